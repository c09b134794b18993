import {
  type Backoff,
  type Clock,
  DueTimes,
  type DueWork,
  DueWorker,
  type Log,
  retryDelayMs,
} from "../../../runtime/runtime.js";

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
  readonly #times = new DueTimes();
  readonly #failures = new Map<string, number>();
  readonly #worker: DueWorker<DueWork>;

  constructor(private readonly deps: ReconcileQueueDeps) {
    const { clock, log } = deps;
    this.#worker = new DueWorker({
      ...{ clock, stopMs: 0, isMonotonic: true },
      ...{ atMost: maxRunning, atMostIn: () => maxRunning },
      next: (nowMs) => this.#times.next(nowMs),
      run: ({ key }) => this.#reconcile(key),
      onError: (error, { key }) =>
        log.error({ err: error, object: key }, "an object could not be reconciled"),
    });
  }

  /** At once, also where the object waits for another attempt. */
  add(key: string): void {
    this.#later(key, 0);
    this.#worker.start();
  }

  /** Resolves when nothing of it runs. */
  async stop(): Promise<void> {
    await this.#worker.stop();
  }

  async #reconcile(key: string): Promise<void> {
    const { reconcile, random, log } = this.deps;
    // What is added from now on is a change that this attempt may not see.
    this.#times.delete(key);
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
      this.#later(key, retryDelayMs(backoff, failures, random()));
    }
  }

  #later(key: string, delayMs: number): void {
    this.#times.put(key, this.deps.clock.monotonicMs() + delayMs);
  }
}
