import { setMaxListeners } from "node:events";
import { type Clock, delay, type Timer } from "./clock.js";

/** Work that is to be done at a time. */
export interface DueWork {
  /** What runs is not begun again. */
  readonly key: string;
  /** What it asks of, as a provider: however many hang there, the others have room. */
  readonly lane: string;
  /** In milliseconds, of the clock that the worker goes by. */
  readonly dueAtMs: number;
}

export interface DueWorkerOptions<W extends DueWork> {
  readonly clock: Clock;
  /** Due times are of the monotonic clock; else of the wall clock, as those in a store. */
  readonly isMonotonic?: boolean;
  /** The earliest work of each lane in the order of its time, what is due later and what runs among it. Asked for at each wake. */
  readonly next: (nowMs: number) => Iterable<W>;
  /** Afterwards `next` has it at another time, or no more. @param signal aborts when the daemon waits no longer */
  readonly run: (work: W, signal: AbortSignal) => Promise<void>;
  /** Something is wrong with this program, or its store. The work rests for a while. */
  readonly onError: (error: unknown, work: W) => void;
  /** What runs at a time. */
  readonly atMost: number;
  readonly atMostIn: (lane: string) => number;
  /** What runs when the worker stops may end by itself for so long, in milliseconds. */
  readonly stopMs: number;
}

interface Running<W> {
  readonly work: W;
  readonly ended: Promise<void>;
}

/** What goes by the wall clock is looked at this often even when nothing is due: a machine that slept, or a clock that was set, is noticed. */
const maxSleepMs = 30_000;
/** A second after the first failure, up to a minute. */
const failureRestMs = (failures: number): number => Math.min(60_000, 1_000 * 2 ** (failures - 1));

/** Does work when it is due, again and again until it is no more: fair among lanes, one attempt at a time for each key. */
export class DueWorker<W extends DueWork> {
  readonly #running = new Map<string, Running<W>>();
  /** By key, in monotonic milliseconds. */
  readonly #rests = new Map<string, { readonly failures: number; readonly untilMs: number }>();
  readonly #cut = new AbortController();
  #timer: Timer | undefined;
  #isOpen = false;
  #isStopped = false;

  constructor(private readonly options: DueWorkerOptions<W>) {
    // Each attempt may listen.
    setMaxListeners(0, this.#cut.signal);
  }

  /** Whether it was started and not stopped. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Nothing happens after the stop. */
  start(): void {
    this.#isOpen = !this.#isStopped;
    this.wake();
  }

  /** Looks at what is due. Nothing happens before the start and after the stop. */
  wake(): void {
    if (!this.#isOpen) return;
    const { clock, next, isMonotonic } = this.options;
    const nowMs = isMonotonic ? clock.monotonicMs() : clock.nowMs();
    let sleepMs = isMonotonic ? Number.POSITIVE_INFINITY : maxSleepMs;
    const due: W[] = [];
    for (const work of next(nowMs)) {
      if (this.#running.has(work.key)) continue;
      const restMs = (this.#rests.get(work.key)?.untilMs ?? 0) - clock.monotonicMs();
      const waitMs = Math.max(work.dueAtMs - nowMs, restMs);
      if (waitMs <= 0) due.push(work);
      else sleepMs = Math.min(sleepMs, waitMs);
    }
    // What has no room is looked at when something ends.
    this.#fill(due);
    this.#timer?.cancel();
    if (sleepMs < Number.POSITIVE_INFINITY) this.#timer = clock.setTimer(sleepMs, () => this.wake());
  }

  /** Attempts under way. Each resolves when it is over and what it changed is stored. */
  running(isMeant: (work: W) => boolean): Promise<void>[] {
    return [...this.#running.values()].flatMap(({ work, ended }) => (isMeant(work) ? [ended] : []));
  }

  /** Begins nothing any more. What runs may end by itself for a while, and is cut off then. */
  async stop(): Promise<void> {
    const { clock, stopMs } = this.options;
    this.#isOpen = false;
    this.#isStopped = true;
    this.#timer?.cancel();
    const over = new AbortController();
    const ended = Promise.all(this.running(() => true)).finally(() => over.abort());
    if (stopMs > 0) await Promise.race([ended, delay(clock, stopMs, over.signal)]);
    this.#cut.abort();
    await ended;
  }

  /** The lane where the fewest run comes first, then the order of `due`. */
  #fill(due: readonly W[]): void {
    const { atMost, atMostIn } = this.options;
    const waiting = [...due];
    const counts = this.#counts();
    while (this.#running.size < atMost) {
      let chosen: { readonly at: number; readonly there: number } | undefined;
      for (const [at, { lane }] of waiting.entries()) {
        const there = counts.get(lane) ?? 0;
        if (there < atMostIn(lane) && there < (chosen?.there ?? Number.POSITIVE_INFINITY))
          chosen = { at, there };
        if (chosen?.there === 0) break;
      }
      if (!chosen) return;
      for (const work of waiting.splice(chosen.at, 1)) {
        counts.set(work.lane, chosen.there + 1);
        this.#begin(work);
      }
    }
  }

  #counts(): Map<string, number> {
    const counts = new Map<string, number>();
    for (const { work } of this.#running.values()) counts.set(work.lane, (counts.get(work.lane) ?? 0) + 1);
    return counts;
  }

  #begin(work: W): void {
    const ended = this.#attempt(work).finally(() => {
      this.#running.delete(work.key);
      this.wake();
    });
    this.#running.set(work.key, { work, ended });
  }

  async #attempt(work: W): Promise<void> {
    const { clock, run, onError } = this.options;
    // It is known that this runs before it can be over.
    await Promise.resolve();
    try {
      await run(work, this.#cut.signal);
      this.#rests.delete(work.key);
    } catch (error) {
      const failures = (this.#rests.get(work.key)?.failures ?? 0) + 1;
      const untilMs = clock.monotonicMs() + failureRestMs(failures);
      this.#rests.set(work.key, { failures, untilMs });
      onError(error, work);
    }
  }
}

/** Due times of work that is not in a store. Its worker goes by the monotonic clock. */
export class DueTimes {
  readonly #byKey = new Map<string, DueWork>();
  /** The same, in the order of their times. */
  readonly #ordered: DueWork[] = [];

  /** At that time, or when it is due already if that is sooner. */
  put(key: string, dueAtMs: number, lane = ""): void {
    if ((this.#byKey.get(key)?.dueAtMs ?? Number.POSITIVE_INFINITY) <= dueAtMs) return;
    this.delete(key);
    const work = { key, lane, dueAtMs };
    this.#byKey.set(key, work);
    this.#ordered.splice(this.#placeAfter(dueAtMs), 0, work);
  }

  delete(key: string): void {
    const work = this.#byKey.get(key);
    if (!work) return;
    this.#byKey.delete(key);
    this.#ordered.splice(this.#ordered.lastIndexOf(work, this.#placeAfter(work.dueAtMs)), 1);
  }

  /** What is due, and the first that is due later. */
  next(nowMs: number): DueWork[] {
    return this.#ordered.slice(0, this.#placeAfter(nowMs) + 1);
  }

  #placeAfter(dueAtMs: number): number {
    let [low, high] = [0, this.#ordered.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#ordered[middle]?.dueAtMs ?? 0) <= dueAtMs) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
