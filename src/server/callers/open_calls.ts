import type { ServerHttp2Stream } from "node:http2";
import { ResourceExhausted } from "../../model/errors.js";
import type { Limits } from "../../model/limits.js";

/** Of all streams; health and reflection are open to unauthenticated callers, who could hold thousands on each of their connections. */
const unauthenticatedShare = 1 / 50;

/** The calls of callers who are nobody, at all addresses together. */
export class OpenCalls {
  readonly #max: number;
  #open = 0;

  constructor({ maxStreams }: Limits) {
    this.#max = Math.max(1, Math.floor(maxStreams * unauthenticatedShare));
  }

  /** Counts a call until its stream is gone. @returns the refusal when there are as many as may be */
  take(stream: ServerHttp2Stream): ResourceExhausted | undefined {
    if (stream.closed) return undefined;
    if (this.#open >= this.#max) {
      const what = "calls of callers without a credential";
      return new ResourceExhausted("TOO_MANY_STREAMS", {
        ...{
          what,
          limit: this.#max,
          unit: "at a time, a fiftieth of all streams",
          setting: "NEXUS_MAX_STREAMS",
        },
      });
    }
    this.#open++;
    stream.once("close", () => this.#open--);
    return undefined;
  }
}
