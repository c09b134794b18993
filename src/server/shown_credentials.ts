import type { Principal } from "../model/principal.js";

/** What a caller shows of itself at a door, before anything of its message is read. */
export interface ShownCredentials {
  readonly socket: "unix" | "tcp";
  /** API key or JWT: the bearer token of `authorization`, or `x-api-key`. */
  readonly token: string | undefined;
  /** Address of the caller's socket; `unix` for a Unix socket. */
  readonly origin: string;
}

/** Verifies what was shown, secrets in constant time; `undefined` when it proves nobody. */
export type Authenticate = (shown: ShownCredentials) => Principal | undefined;
