import type { Clock, Timer } from "../../../runtime/runtime.js";

/** How long the reference's report is carried on by the monotonic clock, which stands still while a machine sleeps. */
const youngMs = 12_000;

/** What another clock reported. */
export interface Reference {
  /** Milliseconds since the Unix epoch. */
  readonly ms: number;
  /** When it reported it, by the monotonic clock here. */
  readonly monotonicMs: number;
}

/**
 * The machine's clock as long as it agrees with another one, and that one's time where it does not. A machine's clock that jumps is
 * not followed until the reference was asked again, for 12 seconds at most. Timers are the machine's.
 */
export class CheckedClock implements Clock {
  #reference: (Reference & { readonly offsetMs: number }) | undefined;

  /** @param toleratedMs what the machine's clock may be off */
  constructor(
    private readonly machine: Clock,
    private readonly toleratedMs: number,
  ) {}

  /** From now on this is right; undefined: the machine's clock is. */
  follow(reference: Reference | undefined): void {
    const { machine } = this;
    const monotonicMs = machine.monotonicMs();
    const wallMs = machine.nowMs();
    const { ms } = reference ?? { ms: wallMs };
    const sinceMs = monotonicMs - (reference?.monotonicMs ?? monotonicMs);
    this.#reference = { ms: ms + sinceMs, monotonicMs, offsetMs: wallMs - ms - sinceMs };
  }

  nowMs(): number {
    const { machine } = this;
    const wallMs = machine.nowMs();
    const reference = this.#reference;
    if (reference === undefined) return wallMs;
    const sinceMs = machine.monotonicMs() - reference.monotonicMs;
    const ms = sinceMs < youngMs ? reference.ms + sinceMs : wallMs - reference.offsetMs;
    // Whole, as times are everywhere.
    return Math.abs(wallMs - ms) <= this.toleratedMs ? wallMs : Math.round(ms);
  }

  monotonicMs(): number {
    return this.machine.monotonicMs();
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    return this.machine.setTimer(delayMs, callback);
  }
}
