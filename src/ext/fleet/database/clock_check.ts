import type { Clock, Log } from "../../../runtime/runtime.js";
import type { CheckedClock, Reference } from "./checked_clock.js";
import { maxClockOffsetMs } from "./verdict.js";

/** A question that took longer shows too little of another clock: this process may have been paused. */
const maxRoundTripMs = 2_000;

export interface ClockCheckDeps {
  /** The machine's. */
  readonly clock: Clock;
  /** What this hub judges by when tokens end; undefined: that is not corrected. */
  readonly checked: CheckedClock | undefined;
  /** The time that each of the other hubs has on its machine; one that does not answer is left out. */
  readonly askOthers: () => Promise<readonly number[]>;
  readonly log: Log;
}

/**
 * Holds the machine's clock against the database's. If they differ, the clocks of the other hubs decide which one is wrong. The database's
 * time is right if one of them has it, and no more of them have this one's. While no other hub answers, the last result holds, and at first
 * the database's time.
 */
export class ClockCheck {
  #offsetMs: number | undefined;
  #database: Reference | undefined;
  /** Whether the database's time is right, where this one has another; undefined: no hub has reported. */
  #isShared: boolean | undefined;
  /** Whether the machine's clock agreed with the database's since the start. */
  #wasRight = false;
  #asking: Promise<void> | undefined;

  constructor(private readonly deps: ClockCheckDeps) {}

  /** This clock minus the database's, in milliseconds; undefined before it was measured. */
  get offsetMs(): number | undefined {
    return this.#offsetMs;
  }

  /** Whether this clock is known to be the wrong one. */
  get isWrong(): boolean {
    return this.#isOff && this.#isShared === true;
  }

  /** @param ask answers the database's time, in milliseconds since the Unix epoch. @throws what `ask` throws */
  async measure(ask: () => Promise<number>): Promise<void> {
    const { clock, checked } = this.deps;
    const askedMs = clock.monotonicMs();
    const ms = await ask();
    const monotonicMs = clock.monotonicMs();
    if (monotonicMs - askedMs > maxRoundTripMs) return;
    this.#database = { ms: ms + (monotonicMs - askedMs) / 2, monotonicMs };
    this.#offsetMs = clock.nowMs() - this.#database.ms;
    if (!this.#isOff) {
      this.#isShared = undefined;
      this.#wasRight = true;
      checked?.follow(this.#database);
    } else if (this.#isShared !== undefined || !this.#wasRight) this.#follow(this.#isShared ?? true);
  }

  /** To be called after `measure`, when it is known which hubs there are. Resolves when those that are asked have answered. */
  async look(): Promise<void> {
    if (!this.#isOff || !this.deps.checked) return;
    this.#asking ??= this.#askOthers();
    await this.#asking;
  }

  get #isOff(): boolean {
    return Math.abs(this.#offsetMs ?? 0) > maxClockOffsetMs;
  }

  async #askOthers(): Promise<void> {
    const { askOthers, log } = this.deps;
    try {
      const times = await askOthers();
      if (times.length > 0 && this.#isOff) this.#judge(times);
    } catch (error) {
      log.debug({ err: error }, "the other hubs could not be asked for their time");
    } finally {
      this.#asking = undefined;
    }
  }

  /** @param times of hubs, each of a moment between the last measure and now */
  #judge(times: readonly number[]): void {
    const { clock, log } = this.deps;
    if (this.#database === undefined) return;
    const { ms, monotonicMs } = this.#database;
    const nowMs = ms + clock.monotonicMs() - monotonicMs;
    const haveIt = (offsetMs: number): number =>
      times.filter(
        (time) => time - offsetMs >= ms - maxClockOffsetMs && time - offsetMs <= nowMs + maxClockOffsetMs,
      ).length;
    const shared = haveIt(0);
    const isShared = shared > 0 && shared >= haveIt(this.#offsetMs ?? 0);
    if (isShared !== this.#isShared)
      log.warn({ offsetMs: Math.round(this.#offsetMs ?? 0) }, isShared ? words.shared : words.alone);
    this.#isShared = isShared;
    this.#follow(isShared);
  }

  #follow(isShared: boolean): void {
    this.deps.checked?.follow(isShared ? this.#database : undefined);
  }
}

const words = {
  shared: "the clock is off: this hub goes by the time that the database and another hub have",
  alone:
    "the clock is not the database's, and the other hubs do not have that either: this hub goes by its own",
};
