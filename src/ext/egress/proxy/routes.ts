import { canonicalPath, climbs } from "../../../model/access/access.js";
import { canonicalHost } from "../../../outbound/outbound.js";

/** Where requests with a credential go. */
interface ApiPlace {
  /** Canonical. */
  readonly host: string;
  readonly port: number;
  /** The host stands for the names one label below. */
  readonly isWildcard: boolean;
  /** Canonical, without a slash at its end: `/v1`, or empty for all paths. */
  readonly basePath: string;
}

/** A provider, and which connection of the user to it. */
export interface NamedRoute {
  readonly providerName: string;
  readonly label: string;
}

/** A provider whose credential the session may use. */
export interface ProviderRoute extends NamedRoute {
  readonly places: readonly ApiPlace[];
}

/** Which provider a request is for. */
export type RouteMatch =
  | { readonly kind: "route"; readonly route: ProviderRoute }
  /** Several profiles claim the place. */
  | { readonly kind: "ambiguous"; readonly providers: readonly string[] }
  /** It depends on how a server reads the path. */
  | { readonly kind: "unclear" }
  | { readonly kind: "none" };

/** Of a profile, the part that says where its API is. */
type NamedApi = Readonly<Record<"name" | "apiBaseUrl", string>> & { readonly apiHosts: readonly string[] };

/** Of a host and port that no profile names there is no place: requests to it take no credential. */
export function routeOf(provider: NamedApi, label: string): ProviderRoute {
  const { name: providerName, apiBaseUrl, apiHosts } = provider;
  return { providerName, label, places: [...placesOf(apiBaseUrl), ...apiHosts.map(placeOf)] };
}

/** https alone: a credential takes no other way. */
function placesOf(apiBaseUrl: string): ApiPlace[] {
  if (!URL.canParse(apiBaseUrl)) return [];
  const url = new URL(apiBaseUrl);
  const host = canonicalHost(url.hostname);
  if (url.protocol !== "https:" || host === undefined) return [];
  const port = url.port === "" ? 443 : Number(url.port);
  const { path = url.pathname } = canonicalPath(url.pathname);
  return [{ host, port, isWildcard: false, basePath: path.replace(/\/+$/, "") }];
}

/** `host`, `*.host`, with `:port` and a base path where they are given. */
function placeOf(text: string): ApiPlace {
  const slash = text.indexOf("/");
  const [authority, basePath] = slash < 0 ? [text, ""] : [text.slice(0, slash), text.slice(slash)];
  const [name = "", port = "443"] = authority.split(":");
  const isWildcard = name.startsWith("*.");
  return { host: isWildcard ? name.slice(2) : name, port: Number(port), isWildcard, basePath };
}

/** The routes of one session. */
export class SessionRoutes {
  /**
   * Several profiles may stand for one API, as an OAuth app and a personal token do: then those count to which the user is connected.
   *
   * @param routes asked at each request
   * @param isConnected whether the user has a connection of that name
   */
  constructor(
    private readonly routes: () => readonly ProviderRoute[],
    private readonly isConnected: (route: ProviderRoute) => boolean = () => true,
  ) {}

  get all(): readonly ProviderRoute[] {
    return this.routes();
  }

  /** Every host; of a wildcard the name above. */
  get hostNames(): readonly string[] {
    return this.routes().flatMap(({ places }) => places.map(({ host }) => host));
  }

  /** Every host and port that has a name; those of wildcards have none. */
  get origins(): readonly { readonly host: string; readonly port: number }[] {
    return this.routes().flatMap(({ places }) => places.filter(({ isWildcard }) => !isWildcard));
  }

  /** Whether requests to it are read, so that a credential can be put in. @param host canonical */
  has(host: string, port: number): boolean {
    return this.routes().some(({ places }) => places.some((place) => isAt(place, host, port)));
  }

  /**
   * The longest base path decides.
   *
   * @param readings what servers may take the path for, without the query: all must lead to the same
   */
  match(host: string, port: number, readings: readonly string[]): RouteMatch {
    const here = this.routes().flatMap((route) =>
      route.places
        .filter((place) => isAt(place, host, port))
        .map(({ basePath }) => ({ route, basePath, length: basePath.length })),
    );
    if (here.some(({ basePath }) => basePath !== "") && readings.some(climbs)) return { kind: "unclear" };
    const below = readings.map((path) => {
      const found = here.filter(({ basePath }) => isBelow(path, basePath));
      const longest = Math.max(...found.map(({ length }) => length));
      return new Set(found.filter(({ length }) => length === longest).map(({ route }) => route));
    });
    const [equal = new Set<ProviderRoute>()] = below;
    if (below.some((others) => others.size !== equal.size || [...others].some((route) => !equal.has(route))))
      return { kind: "unclear" };
    return this.#chosen(equal);
  }

  #chosen(equal: ReadonlySet<ProviderRoute>): RouteMatch {
    const connected = equal.size > 1 ? [...equal].filter((route) => this.isConnected(route)) : [];
    const routes = connected.length > 0 ? connected : [...equal];
    const [route] = routes;
    if (route === undefined) return { kind: "none" };
    if (routes.length === 1) return { kind: "route", route };
    return { kind: "ambiguous", providers: routes.map(({ providerName }) => providerName).sort() };
  }
}

function isAt({ host, port, isWildcard }: ApiPlace, wanted: string, wantedPort: number): boolean {
  if (port !== wantedPort) return false;
  return isWildcard ? wanted.slice(wanted.indexOf(".") + 1) === host && wanted !== host : wanted === host;
}

function isBelow(path: string, basePath: string): boolean {
  return basePath === "" || path === basePath || path.startsWith(`${basePath}/`);
}
