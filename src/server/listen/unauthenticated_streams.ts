import type { Http2Session, ServerHttp2Stream } from "node:http2";
import type { Clock } from "../../runtime/clock.js";
import { isUnauthenticated } from "../sockets/socket_notes.js";
import { cutOff, resetStream } from "./unread_stream.js";

/** Time a caller without a credential has to take its answer. */
export const unauthenticatedReadMs = 5_000;

/**
 * The streams of callers without a valid credential, at one listening address. They are few over all connections, and short, so that
 * responses which their callers do not read hold little memory.
 */
export class UnauthenticatedStreams {
  #open = 0;
  /** How many of them a session has. */
  readonly #ofSession = new WeakMap<Http2Session, number>();

  constructor(
    private readonly max: number,
    private readonly clock: Clock | undefined,
  ) {}

  /** @returns false when there are as many as may be, and then the stream was reset */
  take(stream: ServerHttp2Stream): boolean {
    if (stream.destroyed || stream.closed) return true;
    const { session } = stream;
    if (this.#open >= this.max) {
      resetStream(stream);
      this.#cutOff(session);
      return false;
    }
    this.#count(session, 1);
    const timer = this.clock?.setTimer(unauthenticatedReadMs, () => resetStream(stream));
    stream.once("close", () => {
      this.#count(session, -1);
      timer?.cancel();
    });
    return true;
  }

  /** A session takes more memory than its streams: one without a credential that gets no answer is not kept either. */
  #cutOff(session: Http2Session | undefined): void {
    if (!session || session.destroyed || (this.#ofSession.get(session) ?? 0) > 0) return;
    if (isUnauthenticated(session.socket)) cutOff(session);
  }

  #count(session: Http2Session | undefined, by: 1 | -1): void {
    this.#open += by;
    if (session) this.#ofSession.set(session, (this.#ofSession.get(session) ?? 0) + by);
  }
}
