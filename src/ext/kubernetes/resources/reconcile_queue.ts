import { type Backoff, fullJitterMs } from "../../../runtime/backoff.js";
import type { Clock, Timer } from "../../../runtime/clock.js";
import type { Log } from "../../../runtime/log.js";

export interface ReconcileQueueDeps {
  /** Brings the daemon and the status of an object to what its spec says. @returns when to look again, in milliseconds */
  readonly reconcile: (key: string) => Promise<number | undefined>;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Log;
}

/** What runs at a time: each is a handful of requests of the API server and commits of the store. */
const maxRunning = 8;
const backoff: Backoff = { baseMs: 1_000, maxMs: 120_000 };

/** Reconciles each object that was named, one at a time for each, and again after a failure. */
export class ReconcileQueue {
  readonly #waiting = new Set<string>();
  readonly #running = new Map<string, Promise<void>>();
  readonly #timers = new Map<string, Timer>();
  readonly #failures = new Map<string, number>();
  #isStopped = false;

  constructor(private readonly deps: ReconcileQueueDeps) {}

  add(key: string): void {
    this.#waiting.add(key);
    this.#begin();
  }

  /** Resolves when nothing of it runs. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    for (const timer of this.#timers.values()) timer.cancel();
    await Promise.all(this.#running.values());
  }

  #begin(): void {
    for (const key of this.#waiting) {
      if (this.#isStopped || this.#running.size >= maxRunning) return;
      if (this.#running.has(key)) continue;
      this.#waiting.delete(key);
      this.#timers.get(key)?.cancel();
      this.#timers.delete(key);
      this.#running.set(key, this.#run(key));
    }
  }

  async #run(key: string): Promise<void> {
    const { reconcile, random, log } = this.deps;
    try {
      const againMs = await reconcile(key);
      this.#failures.delete(key);
      if (againMs !== undefined) this.#later(key, againMs);
    } catch (error) {
      const failures = (this.#failures.get(key) ?? 0) + 1;
      this.#failures.set(key, failures);
      log.warn(
        { object: key, reason: (error as Error).message },
        "an object could not be reconciled: trying again",
      );
      this.#later(key, fullJitterMs(backoff, failures, random()));
    }
    this.#running.delete(key);
    this.#begin();
  }

  #later(key: string, delayMs: number): void {
    if (this.#isStopped) return;
    this.#timers.get(key)?.cancel();
    this.#timers.set(
      key,
      this.deps.clock.setTimer(delayMs, () => this.add(key)),
    );
  }
}
