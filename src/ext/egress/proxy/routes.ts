import type { IncomingMessage } from "node:http";
import type { Http2ServerRequest } from "node:http2";
import {
  type CanonicalTarget,
  canonicalPath,
  canonicalTarget,
  climbs,
  echoesRequest,
  isCanonicalMethod,
  isMethodParameter,
  isReadOnly,
  isWithinMethods,
  overriddenBy,
  queryOf,
  readingsOf,
  readsOnly,
  Texts,
} from "../../../model/access/access.js";
import { canonicalHost } from "../../../outbound/outbound.js";
import type { Origin } from "./dial.js";
import type { EgressNetwork } from "./egress_settings.js";
import { ProblemDetails } from "./problem.js";
import { authorityOf } from "./upstream.js";

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
  /** Whose authorities are trusted for it, by a name of NEXUS_API_CA_FILES; empty for those of the system alone. */
  readonly apiCaFile: string;
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
type NamedApi = Readonly<Record<"name" | "apiBaseUrl", string>> & {
  readonly apiHosts: readonly string[];
  readonly apiCaFile?: string;
};

/** Of a host and port that no profile names there is no place: requests to it take no credential. */
export function routeOf(provider: NamedApi, label: string): ProviderRoute {
  const { name: providerName, apiBaseUrl, apiHosts, apiCaFile = "" } = provider;
  return { providerName, label, apiCaFile, places: [...placesOf(apiBaseUrl), ...apiHosts.map(placeOf)] };
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

  /** Those at which a profile has the host, once each. @param host canonical */
  portsOf(host: string): readonly number[] {
    const places = this.routes().flatMap((route) => route.places);
    return [...new Set(places.filter((place) => isAt(place, host, place.port)).map(({ port }) => port))];
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

/** A request inside a tunnel, of either version of HTTP. */
export type Incoming = IncomingMessage | Http2ServerRequest;

/** What a session lets its requests do. */
export interface Allowance {
  readonly routes: SessionRoutes;
  /** Undefined for any. */
  readonly methods: readonly string[] | undefined;
  /** Paths, and beginnings of paths that end with `*`; undefined for any. */
  readonly paths: readonly string[] | undefined;
  /** Where it is open, requests below no base path of a profile go on without a credential. */
  readonly network: EgressNetwork;
}

/**
 * Judges a request before a credential is put in. Every request to a provider's host passes here, upgrades too. One that gets a credential
 * has its path in the canonical form afterwards: what is judged is sent.
 *
 * @param origin where the tunnel leads
 * @returns whose credential it gets; undefined for what goes on without one
 * @throws Problem
 */
export function judge(origin: Origin, request: Incoming, allowance: Allowance): ProviderRoute | undefined {
  const { routes, network } = allowance;
  const { method = "GET", url: target = "/" } = request;
  refuseMisdirected(origin, request, target);
  if (echoesRequest(method) || /^connect$/i.test(method))
    throw new ProblemDetails(405, "method-refused", `${method} is refused: it could show the credential`);
  const canonical = canonicalTarget(target);
  refuseUnallowed(origin, request, canonical, allowance);
  const [path = "/"] = canonical.target.split("?", 1);
  const match = routes.match(origin.host, origin.port, readingsOf(path));
  if (match.kind === "unclear")
    throw unclear(`the path (${canonical.unclear})`, `the credential is for paths below one base path`);
  if (match.kind === "ambiguous") {
    const detail = `several providers claim ${origin.host}${path}: ${match.providers.join(", ")}; name one with --allow, or connect to one alone`;
    throw new ProblemDetails(403, "ambiguous-provider", detail);
  }
  if (match.kind === "none" && network !== "open")
    throw new ProblemDetails(403, "no-provider", `no provider of this session has ${origin.host}${path}`);
  if (match.kind === "none") return undefined;
  request.url = canonical.target;
  return match.route;
}

/** What the flags of `nexusd run` say; the rules of the daemon apply afterwards. */
function refuseUnallowed(
  { host }: Origin,
  { headers, method = "GET" }: Incoming,
  { path, decoded, target, unclear: oddity }: CanonicalTarget,
  { methods, paths }: Allowance,
): void {
  const overridden = Object.keys(headers).map((name) => [overriddenBy(name), name] as const);
  const by = (what: "method" | "path") => overridden.find(([changes]) => changes === what)?.[1];
  if (methods) {
    const query = queryOf(target);
    const changing = by("method") ?? [...query.keys()].find(isMethodParameter);
    const only = isReadOnly(methods)
      ? "this session may only read (--read-only)"
      : `this session may only send ${methods.join(", ")} (--method)`;
    if (changing !== undefined) throw unclear(`a request that ${changing} changes the method of`, only);
    if (!isCanonicalMethod(method)) throw unclear(`the method ${method}`, only);
    const judged = by("path") === undefined ? path : undefined;
    const reads = readsOnly({ method, host, path: judged, decoded, query });
    const isWithin = isWithinMethods(methods, { method, reads });
    if (isWithin === undefined)
      throw unclear(`the path (${oddity ?? "percent-encoding, or a header that changes it"})`, only);
    if (!isWithin) {
      const why = methods.includes(method) ? ", and this API writes so" : "";
      throw new ProblemDetails(403, "method-not-allowed", `${method} is refused: ${only}${why}`);
    }
  }
  if (!paths) return;
  const only = `this session may only call ${paths.join(", ")} (--path)`;
  const changing = by("path");
  if (path === undefined || changing !== undefined)
    throw unclear(`the path (${changing === undefined ? oddity : `the header ${changing}`})`, only);
  if (!new Texts(paths).has(path))
    throw new ProblemDetails(403, "path-not-allowed", `this path is refused: ${only}`);
}

function unclear(what: string, only: string): ProblemDetails {
  const detail = `servers read ${what} in several ways, and ${only}: send it in its plain form`;
  return new ProblemDetails(400, "unclear-request", detail);
}

function refuseMisdirected(origin: Origin, request: Incoming, target: string): void {
  const authority = request.headers[":authority"] ?? request.headers.host ?? "";
  const hosts = request.rawHeaders.filter((name, at) => at % 2 === 0 && /^host$/i.test(name));
  if (hosts.length < 2 && isAuthority(String(authority), origin) && target.startsWith("/")) return;
  const detail = `this tunnel leads to ${authorityOf(origin)}: the request must name the same host, and a path`;
  throw new ProblemDetails(421, "misdirected", detail);
}

/** What a request names as its host must be where the tunnel leads. */
function isAuthority(text: string, origin: Origin): boolean {
  if (text === authorityOf(origin)) return true;
  const [, name = "", port = "443"] = /^(\[[^\]]*\]|[^:]*)(?::(\d{1,5}))?$/.exec(text) ?? [];
  return canonicalHost(name) === origin.host && Number(port) === origin.port;
}
