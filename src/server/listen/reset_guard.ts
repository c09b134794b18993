import { constants, type ServerHttp2Stream } from "node:http2";
import { RateLimiter } from "../../service/pipeline/rate_limiter.js";
import { addressKey } from "../sockets/socket_guard.js";
import { cutOff } from "./unread_stream.js";

/**
 * Calls that the clients of one address may take back before anything was answered. A client does so when a deadline passes or its own
 * caller leaves: now and then. Node lets each connection do so a thousand times, and then 33 times per second. A client that is cut off can
 * come again on a new connection, so this counts across connections.
 */
const rate = { perSecond: 50, burst: 500 };

/** Cuts off connections that open streams to reset them at once (CVE-2023-44487), before they cost more than their opening. */
export class ResetGuard {
  readonly #resets = new RateLimiter(rate);

  watch(stream: ServerHttp2Stream): void {
    stream.once("close", () => this.closed(stream));
  }

  /** For a stream that somebody else watches. */
  closed(stream: ServerHttp2Stream): void {
    const { session } = stream;
    if (stream.headersSent || stream.rstCode === constants.NGHTTP2_NO_ERROR) return;
    // When the connection itself is gone it took back nothing.
    if (!session || session.destroyed) return;
    const key = addressKey(session.socket.remoteAddress) ?? "unix";
    if (!this.#resets.take(key)) cutOff(session);
  }
}
