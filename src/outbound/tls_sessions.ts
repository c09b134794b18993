import type { TLSSocket } from "node:tls";
import { SystemClock } from "../runtime/clock.js";

/** For so long a server is believed by its session alone: then it shows its certificate again. */
const believedMs = 10 * 60_000;

/**
 * The newest TLS session of one server, so that the next connection does without its certificate chain (RFC 8446 section 2.2). Nothing is
 * sent early: a request is still written when the handshake has ended.
 */
export class TlsSession {
  #kept: { readonly session: Buffer; readonly verifiedMs: number } | undefined;

  constructor(private readonly clock: Pick<SystemClock, "monotonicMs"> = new SystemClock()) {}

  /** Undefined where the server has to show its certificate. */
  get current(): Buffer | undefined {
    const { session, verifiedMs = 0 } = this.#kept ?? {};
    return this.clock.monotonicMs() - verifiedMs < believedMs ? session : undefined;
  }

  /** Keeps what the server gives for the connection after this one, whose handshake begins now. */
  follow(socket: TLSSocket): void {
    const verifiedBeforeMs = this.#kept?.verifiedMs;
    const beganMs = this.clock.monotonicMs();
    socket.on("session", (session) => {
      const verifiedMs = socket.isSessionReused() ? verifiedBeforeMs : beganMs;
      if (verifiedMs !== undefined) this.#kept = { session, verifiedMs };
    });
    // A server may fail over a session that it gave itself.
    socket.once("error", () => {
      this.#kept = undefined;
    });
  }
}
