import type { Principal } from "../../model/access/principal.js";

/** What a caller presents at a listener, before anything of its message is read. */
export interface PresentedCredentials {
  readonly socket: "unix" | "tcp";
  /** API key or JWT: the bearer token of `authorization`, or `x-api-key`. */
  readonly token: string | undefined;
  /** Address of the caller's socket; `unix` for a Unix socket. */
  readonly origin: string;
  /** What the connection itself proves. */
  readonly peer?: Peer | undefined;
}

/** What the connection itself proves of its other end. */
export interface Peer {
  /** The client certificate of a verified chain. */
  readonly certificate?: PeerCertificate | undefined;
  /**
   * User id of the process at the other end of a Unix socket. Undefined if the mode of the socket alone is the guard, and `unknown` if it
   * could not be read.
   */
  readonly uid?: number | "unknown" | undefined;
}

export interface PeerCertificate {
  /** `cert:<SPIFFE ID>` or `cert:<subject>`. */
  readonly name: string;
  /** The end of the certificate's validity, in milliseconds since the epoch. */
  readonly notAfterMs: number;
}

/**
 * Verifies what was presented, secrets in constant time; `undefined` when it is not valid. API keys, sockets and certificates are
 * answered at once; only a JWT that was not seen before makes a promise.
 *
 * @throws Unavailable (as a rejection) when what verifies a JWT cannot be had just now
 */
export type Authenticate = (
  presented: PresentedCredentials,
) => Principal | undefined | Promise<Principal | undefined>;
