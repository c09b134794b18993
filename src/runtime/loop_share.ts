import type { Clock } from "./clock.js";

/** Milliseconds in which the event loop ran, and in which it waited, since it began. */
interface LoopTimes {
  readonly active: number;
  readonly idle: number;
}

/** When work that can wait may start. */
export interface Pace {
  /** Takes the right to start one piece of work; false when there is none, and then `onFree` is called once there may be one. */
  take(): boolean;
  onFree: () => void;
}

/** For whoever need not wait. */
export const unpaced: Pace = { take: () => true, onFree: () => undefined };

/** What may start at once after a time in which little ran, in milliseconds of the loop. */
const maxCreditMs = 5;
/** The longest that pieces are put off, once: a loop that never waits, or only seems so on a busy machine, must not keep work from ever starting. */
const maxDebtMs = 5;
/** Pieces that start together: they share commits, and a caller waits for all of them. */
const atOnce = 4;
/** From some pieces to the next: what came in meanwhile is served first, and what they do is seen. */
const stepMs = 1;

/**
 * Starts a few pieces at a time, and while the event loop waits for as long as it runs: whoever calls in the middle of a thousand
 * pieces finds it waiting as often as not, and else behind a few. A loop that never waits starts as many in ten milliseconds.
 */
export class LoopShare implements Pace {
  onFree: () => void = () => undefined;
  #seen: LoopTimes;
  #creditMs = maxCreditMs;
  #isHeld = false;
  /** Pieces that may still start in this step. */
  #left = 0;
  #isPutOff = false;

  constructor(
    private readonly clock: Pick<Clock, "setTimer">,
    private readonly times: () => LoopTimes = () => performance.eventLoopUtilization(),
  ) {
    this.#seen = times();
  }

  take(): boolean {
    if (this.#isHeld) return this.#left-- > 0;
    const now = this.times();
    const earnedMs = now.idle - this.#seen.idle - (now.active - this.#seen.active);
    this.#seen = now;
    this.#creditMs = Math.max(-maxDebtMs, Math.min(maxCreditMs, this.#creditMs + earnedMs));
    this.#isHeld = true;
    this.clock.setTimer(Math.max(stepMs, -this.#creditMs), () => {
      this.#isHeld = false;
      this.onFree();
    });
    this.#isPutOff = this.#creditMs < 0 && !this.#isPutOff;
    this.#left = this.#isPutOff ? 0 : atOnce - 1;
    return !this.#isPutOff;
  }
}
