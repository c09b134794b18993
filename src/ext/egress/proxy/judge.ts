import type { IncomingMessage } from "node:http";
import type { Http2ServerRequest } from "node:http2";
import type { EgressNetwork } from "../../../config/rows/egress_settings.js";
import { methodOverrides, readTarget } from "../../../model/access/request_facts.js";
import { Texts } from "../../../model/access/scope_restriction.js";
import { canonicalHost } from "../../../outbound/address_judge.js";
import type { Origin } from "./dial.js";
import { Problem } from "./problem.js";
import type { Route, Routes } from "./routes.js";
import { authorityOf } from "./upstream.js";

/** A request inside a tunnel, of either version of HTTP. */
export type Incoming = IncomingMessage | Http2ServerRequest;

/** What a session lets its requests do. */
export interface Allowance {
  readonly routes: Routes;
  /** Undefined for any. */
  readonly methods: readonly string[] | undefined;
  /** Paths, and beginnings of paths that end with `*`; undefined for any. */
  readonly paths: readonly string[] | undefined;
  /** Where it is open, requests below no base path of a profile go on without a credential. */
  readonly network: EgressNetwork;
}

/**
 * Judges a request before a credential is put in. Every request to a provider's host passes here, upgrades too.
 *
 * @param origin where the tunnel leads
 * @returns whose credential it gets; undefined for what goes on without one
 * @throws Problem
 */
export function judge(origin: Origin, request: Incoming, allowance: Allowance): Route | undefined {
  const { routes, network } = allowance;
  const { method = "GET", url: target = "/" } = request;
  refuseMisdirected(origin, request, target);
  if (method === "TRACE" || method === "CONNECT")
    throw new Problem(405, "method-refused", `${method} is refused: it could show the credential`);
  refuseUnallowed(request, method, target, allowance);
  const [path = "/"] = target.split(/[?#]/, 1);
  const match = routes.match(origin.host, origin.port, path);
  if (match.kind === "ambiguous") {
    const detail = `several providers claim ${origin.host}${path}: ${match.providers.join(", ")}; name one with --allow, or connect to one alone`;
    throw new Problem(403, "ambiguous-provider", detail);
  }
  if (match.kind === "none" && network !== "open")
    throw new Problem(403, "no-provider", `no provider of this session has ${origin.host}${path}`);
  return match.kind === "route" ? match.route : undefined;
}

/** What the flags of `nexusd run` say; the rules of the daemon are asked afterwards. */
function refuseUnallowed({ headers }: Incoming, method: string, target: string, allowed: Allowance): void {
  const { methods, paths } = allowed;
  const isOverridden = methodOverrides.some((name) => name in headers);
  if (methods && (isOverridden || !methods.includes(method))) {
    const what = isOverridden ? "a header that changes the method" : method;
    const detail = `${what} is refused: this session may only send ${methods.join(", ")} (--read-only, --method)`;
    throw new Problem(403, "method-not-allowed", detail);
  }
  if (!paths) return;
  const { path } = readTarget(target);
  if (path !== undefined && new Texts(paths).has(path)) return;
  const what = path === undefined ? "a path that can be read in two ways" : "this path";
  const detail = `${what} is refused: this session may only call ${paths.join(", ")} (--path)`;
  throw new Problem(403, "path-not-allowed", detail);
}

function refuseMisdirected(origin: Origin, request: Incoming, target: string): void {
  const authority = request.headers[":authority"] ?? request.headers.host ?? "";
  const hosts = request.rawHeaders.filter((name, at) => at % 2 === 0 && /^host$/i.test(name));
  if (hosts.length < 2 && isAuthority(String(authority), origin) && target.startsWith("/")) return;
  const detail = `this tunnel leads to ${authorityOf(origin)}: the request must name the same host, and a path`;
  throw new Problem(421, "misdirected", detail);
}

/** What a request names as its host must be where the tunnel leads. */
function isAuthority(text: string, origin: Origin): boolean {
  if (text === authorityOf(origin)) return true;
  const [, name = "", port = "443"] = /^(\[[^\]]*\]|[^:]*)(?::(\d{1,5}))?$/.exec(text) ?? [];
  return canonicalHost(name) === origin.host && Number(port) === origin.port;
}
