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
/** The longest that a piece is put off, once: a loop that never waits must not keep work from ever starting. */
const maxDebtMs = 5;
/** Between two pieces: what came in meanwhile is served first, and what the first one does is seen. */
const stepMs = 1;

/**
 * Starts one piece at a time, and while the event loop waits as long as it runs: whoever calls in the middle of a thousand pieces
 * finds it waiting as often as not, and behind one piece at most else. A loop that never waits starts one in ten milliseconds.
 */
export class LoopShare implements Pace {
  onFree: () => void = () => undefined;
  #seen: LoopTimes;
  #creditMs = maxCreditMs;
  #isHeld = false;
  #isPutOff = false;

  constructor(
    private readonly clock: Pick<Clock, "setTimer">,
    private readonly times: () => LoopTimes = () => performance.eventLoopUtilization(),
  ) {
    this.#seen = times();
  }

  take(): boolean {
    if (this.#isHeld) return false;
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
    return !this.#isPutOff;
  }
}
