import type { ServerHttp2Stream } from "node:http2";
import type { Clock } from "../runtime/clock.js";
import { resetStream } from "./unread_stream.js";

/** Time a caller without a credential has to take its answer. */
export const strangerReadMs = 5_000;

/**
 * The streams of callers without a valid credential, at one listening address: few in the sum of all connections, and short, so
 * that answers which nobody reads hold no more than that.
 */
export class StrangerStreams {
  #open = 0;

  constructor(
    private readonly max: number,
    private readonly clock: Clock | undefined,
  ) {}

  /** @returns false when there are as many as may be, and then the stream was reset */
  take(stream: ServerHttp2Stream): boolean {
    if (stream.destroyed || stream.closed) return true;
    if (this.#open >= this.max) {
      resetStream(stream);
      return false;
    }
    this.#open++;
    const timer = this.clock?.setTimer(strangerReadMs, () => resetStream(stream));
    stream.once("close", () => {
      this.#open--;
      timer?.cancel();
    });
    return true;
  }
}
