import { canonicalHost } from "../../../outbound/address_judge.js";

/** Where requests with a credential go. */
interface Place {
  /** Canonical. */
  readonly host: string;
  readonly port: number;
  /** The host stands for the names one label below. */
  readonly isWildcard: boolean;
  /** Without a slash at its end: `/v1`, or empty for all paths. */
  readonly basePath: string;
}

/** A provider, and which connection of the user to it. */
export interface NamedRoute {
  readonly providerName: string;
  readonly label: string;
}

/** A provider whose credential the session may use. */
export interface Route extends NamedRoute {
  readonly places: readonly Place[];
}

/** Which provider a request is for. */
export type Match =
  | { readonly kind: "route"; readonly route: Route }
  /** Several profiles claim the place. */
  | { readonly kind: "ambiguous"; readonly providers: readonly string[] }
  | { readonly kind: "none" };

/** Of a profile, the part that says where its API is. */
type NamedApi = Readonly<Record<"name" | "apiBaseUrl", string>> & { readonly apiHosts: readonly string[] };

/** Of a host and port that no profile names there is no place: requests to it take no credential. */
export function routeOf(provider: NamedApi, label: string): Route {
  const { name: providerName, apiBaseUrl, apiHosts } = provider;
  return { providerName, label, places: [...placesOf(apiBaseUrl), ...apiHosts.map(wholeHost)] };
}

/** https alone: a credential takes no other way. */
function placesOf(apiBaseUrl: string): Place[] {
  if (!URL.canParse(apiBaseUrl)) return [];
  const url = new URL(apiBaseUrl);
  const host = canonicalHost(url.hostname);
  if (url.protocol !== "https:" || host === undefined) return [];
  const port = url.port === "" ? 443 : Number(url.port);
  return [{ host, port, isWildcard: false, basePath: url.pathname.replace(/\/+$/, "") }];
}

function wholeHost(text: string): Place {
  const [name = "", port = "443"] = text.split(":");
  const isWildcard = name.startsWith("*.");
  return { host: isWildcard ? name.slice(2) : name, port: Number(port), isWildcard, basePath: "" };
}

/** The routes of one session. */
export class Routes {
  /**
   * Several profiles may stand for one API, as an OAuth app and a personal token do: then those count to which the user is connected.
   *
   * @param routes asked at each request
   * @param isConnected whether the user has a connection of that name
   */
  constructor(
    private readonly routes: () => readonly Route[],
    private readonly isConnected: (route: Route) => boolean = () => true,
  ) {}

  get all(): readonly Route[] {
    return this.routes();
  }

  /** Every host; of a wildcard the name above. */
  get hostNames(): readonly string[] {
    return this.routes().flatMap(({ places }) => places.map(({ host }) => host));
  }

  /** Whether requests to it are read, so that a credential can be put in. @param host canonical */
  has(host: string, port: number): boolean {
    return this.routes().some(({ places }) => places.some((place) => isAt(place, host, port)));
  }

  /** The longest base path decides. @param path without the query */
  match(host: string, port: number, path: string): Match {
    const found = this.routes().flatMap((route) =>
      route.places
        .filter((place) => isAt(place, host, port) && isBelow(path, place.basePath))
        .map(({ basePath }) => ({ route, length: basePath.length })),
    );
    const longest = Math.max(...found.map(({ length }) => length));
    const equal = new Set(found.filter(({ length }) => length === longest).map(({ route }) => route));
    const connected = equal.size > 1 ? [...equal].filter((route) => this.isConnected(route)) : [];
    const routes = connected.length > 0 ? connected : [...equal];
    const [route] = routes;
    if (route === undefined) return { kind: "none" };
    if (routes.length === 1) return { kind: "route", route };
    return { kind: "ambiguous", providers: routes.map(({ providerName }) => providerName).sort() };
  }
}

function isAt({ host, port, isWildcard }: Place, wanted: string, wantedPort: number): boolean {
  if (port !== wantedPort) return false;
  return isWildcard ? wanted.slice(wanted.indexOf(".") + 1) === host && wanted !== host : wanted === host;
}

/** A path that climbs is below nothing: servers read it in several ways. */
function isBelow(path: string, basePath: string): boolean {
  if (basePath === "") return true;
  if (/(^|\/|%2f|\\)(\.|%2e){2}($|[/\\;]|%2f|%5c)/i.test(path)) return false;
  return path === basePath || path.startsWith(`${basePath}/`);
}
