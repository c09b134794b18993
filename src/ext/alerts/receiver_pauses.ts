import { type Backoff, fullJitterMs } from "../../runtime/backoff.js";
import type { Clock } from "../../runtime/clock.js";

const backoff: Backoff = { baseMs: 2_000, maxMs: 5 * 60_000 };
const minPauseMs = 1_000;

/** Receivers that could not be reached: they are asked by one notification at a time, less and less often. */
export class ReceiverPauses {
  readonly #failing = new Map<string, { readonly failures: number; readonly untilMs: number }>();

  constructor(private readonly deps: { readonly clock: Clock; readonly random: () => number }) {}

  /** 0 for one that answers. */
  untilMs(receiver: string): number {
    return this.#failing.get(receiver)?.untilMs ?? 0;
  }

  isFailing(receiver: string): boolean {
    return this.#failing.has(receiver);
  }

  answered(receiver: string): void {
    this.#failing.delete(receiver);
  }

  failed(receiver: string, retryAfterMs: number | undefined): void {
    const failures = (this.#failing.get(receiver)?.failures ?? 0) + 1;
    const waitMs = Math.max(
      minPauseMs,
      retryAfterMs ?? 0,
      fullJitterMs(backoff, failures, this.deps.random()),
    );
    this.#failing.set(receiver, { failures, untilMs: this.deps.clock.nowMs() + waitMs });
  }
}
