import type { Clock, Timer } from "../../runtime/clock.js";
import { isHttp2, type Response } from "./http_message.js";
import type { ListenerLimits } from "./listener_limits.js";
import { resetResponse } from "./unread_stream.js";

/** Looks at the answers in each such part of their time. */
const looksPerTimeout = 4;

/**
 * The answers of one listening address that their clients do not read. An answer that was given whole and is still not sent after
 * `streamReadTimeoutMs`, and at most a quarter of it more, is reset; over HTTP/1.1 its connection is closed. One timer serves them all.
 */
export class UnreadAnswers {
  /** Since when each waits to be read, in milliseconds of the monotonic clock; undefined before it was given whole. */
  readonly #open = new Map<Response, number | undefined>();
  readonly #clock: Clock | undefined;
  readonly #timeoutMs: number;
  #timer: Timer | undefined;

  /** @param bounds without them answers wait for ever */
  constructor(bounds: ListenerLimits | undefined) {
    this.#clock = bounds?.clock;
    this.#timeoutMs = bounds?.limits.streamReadTimeoutMs ?? 0;
  }

  watch(response: Response): void {
    if (!this.#clock) return;
    this.#open.set(response, undefined);
    response.once("close", () => this.#open.delete(response));
    this.#timer ??= this.#lookLater(this.#clock);
  }

  #lookLater(clock: Clock): Timer {
    return clock.setTimer(this.#timeoutMs / looksPerTimeout, () => {
      const nowMs = clock.monotonicMs();
      for (const [response, sinceMs] of this.#open) {
        if (!isWaiting(response)) continue;
        if (sinceMs === undefined) this.#open.set(response, nowMs);
        else if (nowMs - sinceMs >= this.#timeoutMs) resetResponse(response);
      }
      this.#timer = this.#open.size === 0 ? undefined : this.#lookLater(clock);
    });
  }
}

/** An answer behind another one on its connection (HTTP/1.1 pipelining) has no socket yet, and waits for the daemon. */
function isWaiting(response: Response): boolean {
  return response.writableEnded && (isHttp2(response) || response.socket !== null);
}
