import type { Http2Session, IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import type { Authenticate } from "../../domain/access/presented_credentials.js";
import type { Principal } from "../../model/access/principal.js";
import type { ListenAddress } from "../../model/listen_address.js";
import type { Clock } from "../../runtime/clock.js";
import { peerOf } from "../sockets/peer.js";
import { noteCredential } from "../sockets/socket_guard.js";
import { presentedCredentials } from "./api_key.js";
import { callerField, onBehalf } from "./on_behalf.js";

/**
 * How long a connection's last answer is taken for the same credentials. It saves the digest of each call; that a key was revoked, or
 * that a proof has expired, is asked at each call by the policy.
 */
const trustMs = 10_000;

interface Known {
  readonly authorization: string | undefined;
  readonly apiKey: string | undefined;
  readonly principal: Principal;
  readonly untilMs: number;
}

/** Who calls, by the connection and what the headers show. */
export class SessionCallers {
  readonly #known = new WeakMap<Http2Session, Known>();

  constructor(
    private readonly address: ListenAddress,
    private readonly authenticate: Authenticate,
    private readonly clock: Clock | undefined,
  ) {}

  /** As `Authenticate`. @throws what that throws */
  callerOf(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
  ): Principal | undefined | Promise<Principal | undefined> {
    const principal = this.#proven(stream, headers);
    const field = firstOf(headers[callerField]);
    if (field === undefined) return principal;
    if (principal instanceof Promise) return principal.then((proven) => proven && onBehalf(proven, field));
    return principal && onBehalf(principal, field);
  }

  #proven(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
  ): Principal | undefined | Promise<Principal | undefined> {
    const { session } = stream;
    const authorization = headers.authorization;
    const apiKey = firstOf(headers["x-api-key"]);
    const known = session && this.#known.get(session);
    if (
      known &&
      known.authorization === authorization &&
      known.apiKey === apiKey &&
      this.clock &&
      this.clock.monotonicMs() < known.untilMs
    ) {
      return known.principal;
    }
    const live = session && !session.destroyed ? session : undefined;
    const origin = originOf(live);
    const shown = presentedCredentials(this.address, authorization, apiKey, origin, peerOf(live?.socket));
    const principal = this.authenticate(shown);
    if (principal instanceof Promise) {
      return principal.then((caller) => {
        if (caller && session && !session.destroyed) noteCredential(session.socket);
        return caller;
      });
    }
    if (principal && live) noteCredential(live.socket);
    if (principal && live && this.clock) {
      const untilMs = this.clock.monotonicMs() + trustMs;
      this.#known.set(live, { authorization, apiKey, principal, untilMs });
    }
    return principal;
  }
}

/** The address and the port, as the audit log has them of calls. */
function originOf(session: Http2Session | undefined): string {
  const { remoteAddress, remotePort } = session?.socket ?? {};
  if (remoteAddress === undefined) return "unknown";
  return remotePort === undefined ? remoteAddress : `${remoteAddress}:${remotePort}`;
}

function firstOf(field: string | string[] | undefined): string | undefined {
  return Array.isArray(field) ? field[0] : field;
}
