import type { Restriction } from "./scope_restriction.js";

/**
 * Who acts, as the listener proved it. What a principal may is not decided here.
 *
 * Names are unique, and stand in the audit log and in policies: `owner`, `admin` (the key in `<data-dir>/admin.key`),
 * `key:<name of the API key>`, `cert:<SPIFFE URI or subject>`, `jwt:<sub>`, `uid:<number>`, `browser`, `daemon`.
 */
export interface Principal extends Identity {
  readonly kind: PrincipalKind;
  /** From where: address of the caller's socket, `unix` for a Unix socket, undefined for the daemon itself. */
  readonly origin?: string;
  /** Through whom it came, in order: a spoke by its principal, a hub by its address. Of a verified link, never of a request. */
  readonly via?: readonly string[];
  /** Comes through the proxy of this daemon, which shows each request as it is sent, and gives no token away. */
  readonly isProxied?: true;
  /** When the proof ends, in milliseconds since the epoch; a stream does not outlive it. */
  readonly expiresAtMs?: number;
}

export interface OnBehalfOf {
  /** A principal of a spoke. */
  readonly name: string;
  /** What the spoke restricts it to; a connection must fit each. */
  readonly restrictions: readonly Restriction[];
}

/** What decides what a principal may. */
export interface Identity {
  readonly name: string;
  /** The caller that it claims to call for. Nobody proved it: it can take from what the principal may, and distinguishes its callers. */
  readonly onBehalfOf?: OnBehalfOf;
}

export type PrincipalKind =
  /** Owns the data folder: came over the Unix socket. */
  | "owner"
  /** Showed an API key. */
  | "key"
  /** Another user of this machine, who may open the socket. */
  | "uid"
  /** Showed a client certificate. */
  | "certificate"
  /** Showed a JWT of a configured issuer. */
  | "jwt"
  /** A person in front of the browser listener. */
  | "browser"
  /** The daemon itself. */
  | "daemon"
  /** Showed nothing, at a service that asks for nothing. */
  | "anyone";

export const owner: Principal = { name: "owner", kind: "owner" };
export const admin: Principal = { name: "admin", kind: "key" };
export const browser: Principal = { name: "browser", kind: "browser" };
export const anyone: Principal = { name: "anyone", kind: "anyone" };
export const daemon: Principal = { name: "daemon", kind: "daemon" };

/** From where and through whom somebody came whom nobody proved; as of a principal. */
export interface Provenance {
  readonly origin: string | undefined;
  readonly via?: readonly string[] | undefined;
}

/** The same one, at an address. */
export function at(principal: Principal, origin: string | undefined, via?: readonly string[]): Principal {
  const there = origin === undefined || origin === "" ? principal : { ...principal, origin };
  return via === undefined ? there : { ...there, via };
}
