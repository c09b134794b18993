import type { IncomingMessage } from "node:http";
import type { Http2ServerRequest } from "node:http2";
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
  readonly isReadOnly: boolean;
  /** Whether requests below no base path of a profile go on without a credential. */
  readonly isOpen: boolean;
}

/** By these some servers take a request for one of another method. */
const methodOverrides = ["x-http-method", "x-http-method-override", "x-method-override"];
/** What changes nothing (RFC 9110 section 9.2.1). */
const readingMethods = ["GET", "HEAD", "OPTIONS"];

/**
 * Judges a request before a credential is put in. Every request to a provider's host passes here, upgrades too.
 *
 * @param origin where the tunnel leads
 * @returns whose credential it gets; undefined for what goes on without one
 * @throws Problem
 */
export async function judge(
  origin: Origin,
  request: Incoming,
  { routes, isReadOnly, isOpen }: Allowance,
): Promise<Route | undefined> {
  const { method = "GET", url: target = "/" } = request;
  refuseMisdirected(origin, request, target);
  if (method === "TRACE" || method === "CONNECT")
    throw new Problem(405, "method-refused", `${method} is refused: it could show the credential`);
  const isOverridden = methodOverrides.some((name) => name in request.headers);
  if (isReadOnly && (isOverridden || !readingMethods.includes(method)))
    throw new Problem(
      403,
      "read-only",
      `${isOverridden ? "a header that changes the method" : method} is refused: this session may only read (${readingMethods.join(", ")}); start it without --read-only`,
    );
  const [path = "/"] = target.split(/[?#]/, 1);
  const match = routes.match(origin.host, origin.port, path);
  if (match.kind === "ambiguous")
    throw new Problem(
      403,
      "ambiguous-provider",
      `several providers claim ${origin.host}${path}: ${match.providers.join(", ")}; name one with --allow, or connect to one alone`,
    );
  if (match.kind === "none" && !isOpen)
    throw new Problem(403, "no-provider", `no provider of this session has ${origin.host}${path}`);
  return match.kind === "route" ? match.route : undefined;
}

function refuseMisdirected(origin: Origin, request: Incoming, target: string): void {
  const authority = request.headers[":authority"] ?? request.headers.host ?? "";
  const isNamedTwice =
    request.rawHeaders.filter((name, at) => at % 2 === 0 && /^host$/i.test(name)).length > 1;
  if (isNamedTwice || !isAuthority(String(authority), origin) || !target.startsWith("/"))
    throw new Problem(
      421,
      "misdirected",
      `this tunnel leads to ${authorityOf(origin)}: the request must name the same host, and a path`,
    );
}

/** What a request names as its host must be where the tunnel leads. */
function isAuthority(text: string, origin: Origin): boolean {
  const [, name = "", port = "443"] = /^(\[[^\]]*\]|[^:]*)(?::(\d{1,5}))?$/.exec(text) ?? [];
  return canonicalHost(name) === origin.host && Number(port) === origin.port;
}
