import { type Clock, setDeadline, type Timer } from "../runtime/clock.js";

/** Why a request is stopped, or its socket closed. Made once: without a reason each abort takes a stack trace. */
const over = new Error("the request is over");

/** Ends a request whose present part takes too long, or whose caller gives it up. */
export class RequestDeadline {
  readonly #stop = new AbortController();
  readonly #onAbort = (): void => this.#end("aborted");
  #reason: "timeout" | "aborted" | undefined;
  #startedMs = 0;
  #limitMs = 0;
  #timer: Timer | undefined;

  /** @param caller gives the request up */
  constructor(
    private readonly clock: Clock,
    private readonly caller: AbortSignal | undefined,
  ) {
    if (caller?.aborted) this.#onAbort();
    caller?.addEventListener("abort", this.#onAbort, { once: true });
  }

  /** Aborted when the request ends so, and when it is closed. */
  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  /** How it was ended; undefined: it was not. */
  get reason(): "timeout" | "aborted" | undefined {
    return this.#reason;
  }

  /** The next part of the request begins, which may take `limitMs`. @throws when the request is over */
  begin(limitMs: number): void {
    this.#stop.signal.throwIfAborted();
    this.#timer?.cancel();
    this.#startedMs = this.clock.monotonicMs();
    this.#limitMs = limitMs;
    this.#timer = setDeadline(this.clock, limitMs, () => this.#end("timeout"));
  }

  /**
   * After a pause sockets are read before the deadline ends anything: what were sent then would be cut off, and its answer lost.
   *
   * @throws when the present part has taken too long, or the request is over
   */
  check(): void {
    if (this.clock.monotonicMs() - this.#startedMs >= this.#limitMs) this.#end("timeout");
    this.#stop.signal.throwIfAborted();
  }

  /** @throws what `work` throws, or when the request ends before */
  until<Value>(work: Promise<Value>): Promise<Value> {
    const { signal } = this.#stop;
    return new Promise((resolve, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
      work.then(resolve, reject);
    });
  }

  /** Nothing ends the request any more; what still connects is stopped. */
  close(): void {
    this.#timer?.cancel();
    this.caller?.removeEventListener("abort", this.#onAbort);
    this.#stop.abort(over);
  }

  #end(reason: "timeout" | "aborted"): void {
    this.#reason ??= reason;
    this.#stop.abort(over);
  }
}
