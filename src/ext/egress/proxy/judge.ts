import type { IncomingMessage } from "node:http";
import type { Http2ServerRequest } from "node:http2";
import {
  type CanonicalTarget,
  canonicalTarget,
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
import type { ProviderRoute, SessionRoutes } from "./routes.js";
import { authorityOf } from "./upstream.js";

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
