import type { Clock, Timer } from "../../src/runtime/clock.js";

interface Entry {
  readonly dueMs: number;
  readonly order: number;
  readonly callback: () => void;
}

/**
 * A clock that stands still until a test moves it. Timers fire in order of their time, then of their setting; one without a
 * delay fires by itself.
 */
export class ManualClock implements Clock {
  #nowMs: number;
  #monotonicMs = 0;
  #order = 0;
  readonly #timers = new Set<Entry>();

  constructor(startMs: number) {
    this.#nowMs = startMs;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  monotonicMs(): number {
    return this.#monotonicMs;
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    const entry = { dueMs: this.#monotonicMs + Math.max(0, delayMs), order: this.#order++, callback };
    this.#timers.add(entry);
    if (delayMs <= 0) setImmediate(() => this.advance(0));
    return { cancel: () => void this.#timers.delete(entry) };
  }

  /** How many timers are set. */
  get pending(): number {
    return this.#timers.size;
  }

  /** Moves time by `byMs`, firing what falls due on the way at its own time. */
  advance(byMs: number): void {
    const endMs = this.#monotonicMs + byMs;
    for (;;) {
      let next: Entry | undefined;
      for (const entry of this.#timers) {
        if (entry.dueMs > endMs) continue;
        if (!next || entry.dueMs < next.dueMs || (entry.dueMs === next.dueMs && entry.order < next.order)) {
          next = entry;
        }
      }
      if (!next) break;
      this.#timers.delete(next);
      this.#move(Math.max(0, next.dueMs - this.#monotonicMs));
      next.callback();
    }
    this.#move(endMs - this.#monotonicMs);
  }

  /** Sets the wall clock without moving the monotonic one, as a person or NTP does. */
  jump(byMs: number): void {
    this.#nowMs += byMs;
  }

  #move(byMs: number): void {
    this.#nowMs += byMs;
    this.#monotonicMs += byMs;
  }
}
