import type { ActivityInterval, RefreshActivity, RefreshEnd } from "../../model/connections/activity.js";
import type { RefreshOutcome } from "../../model/connections/refresh_outcome.js";
import type { Clock } from "../../runtime/clock.js";

const intervalMs = 15 * 60_000;
/** 24 hours of them. */
const maxIntervals = 96;

/** What is counted; the other outcomes say that nothing was sent, or that it means nothing. */
const ends: Readonly<Partial<Record<RefreshOutcome, RefreshEnd>>> = {
  refreshed: "refreshed",
  retry: "retried",
  attention: "failed",
  suspended: "failed",
};

type Counts = Record<RefreshEnd, number>;

/** The refreshes of the last 24 hours, counted in memory: a restart starts again, which the result shows. */
export class RefreshHistory {
  readonly #startedAtMs: number;
  /** By the number of the interval since the Unix epoch; at most `maxIntervals`, and one more while the next is begun. */
  readonly #counts = new Map<number, Counts>();

  /** To be made when the daemon starts. */
  constructor(private readonly deps: { readonly clock: Clock }) {
    this.#startedAtMs = deps.clock.nowMs();
  }

  read(): RefreshActivity {
    const last = numberOf(this.deps.clock.nowMs());
    const first = Math.max(numberOf(this.#startedAtMs), last - maxIntervals + 1);
    const intervals: ActivityInterval[] = [];
    for (let number = first; number <= last; number++) {
      const counts = this.#counts.get(number) ?? { refreshed: 0, retried: 0, failed: 0 };
      intervals.push({ startMs: number * intervalMs, ...counts });
    }
    const recordedSinceMs = Math.max(this.#startedAtMs, first * intervalMs);
    return { startedAtMs: this.#startedAtMs, recordedSinceMs, intervalMs, intervals };
  }

  /** An attempt has ended. It costs a look into a map. */
  record(outcome: RefreshOutcome): void {
    const end = ends[outcome];
    if (end === undefined) return;
    const number = numberOf(this.deps.clock.nowMs());
    const counts = this.#counts.get(number);
    if (counts) counts[end]++;
    else this.#begin(number, end);
  }

  /** Forgets what is too old; a clock that was set back leaves intervals of the future, which are overwritten in their time. */
  #begin(number: number, end: RefreshEnd): void {
    for (const old of this.#counts.keys()) {
      if (Math.abs(number - old) >= maxIntervals) this.#counts.delete(old);
    }
    const counts: Counts = { refreshed: 0, retried: 0, failed: 0 };
    counts[end]++;
    this.#counts.set(number, counts);
  }
}

function numberOf(timeMs: number): number {
  return Math.floor(timeMs / intervalMs);
}
