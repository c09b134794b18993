/** `demand`: a caller waits for the answer. `due`: the scheduler's own work. */
export type RefreshPriority = "demand" | "due";

/** `other`: no refresh. */
type Priority = RefreshPriority | "other";

/** Refreshes at one provider at a time where its profile says nothing else: providers limit a client to tens of requests a second. */
export const perProviderCap = 16;
/** What a profile may say: the others must find places of `globalDue`. */
const maxPerProvider = 96;
/** The share of the places for due work: a caller finds one even when the provider hangs. */
const dueShare = 0.75;
/** Due work at a time at a provider that does not answer, until it does. */
const troubledDue = 2;
/** Consecutive requests without an answer after which a provider counts as one that does not answer. */
const troubledAfter = 3;
/** Refreshes in all: they cost sockets and memory, and a provider that hangs must leave places for others. */
export const globalCap = 128;
const globalDue = 112;

/**
 * Places of these for what is no refresh: whoever may ask for it may ask for any amount, and tokens must be kept alive beside it.
 */
const perProviderOther = 8;
/** So many of them while refreshes wait. */
const leastOther = 2;
const globalOther = 64;
/** How much of it waits at one provider. */
const maxWaitingOther = 200;

/** More work that is no refresh waits at the provider than it gets done: this was not started. */
export class ConcurrencyCrowded extends Error {
  constructor() {
    super("too many requests wait for this provider");
    this.name = "ConcurrencyCrowded";
  }
}

/** The daemon stops: the work was not started. */
export class ConcurrencyClosed extends Error {
  constructor() {
    super("no more refreshes are started");
    this.name = "ConcurrencyClosed";
  }
}

interface Waiting {
  readonly key: string;
  start(): void;
  close(): void;
}

class ProviderQueue {
  running = 0;
  /** Places of this provider. */
  cap = perProviderCap;
  /** Of those, what is no refresh. */
  runningOther = 0;
  unanswered = 0;
  /** In order of arrival. */
  readonly demand = new Map<string, Waiting>();
  readonly due = new Map<string, Waiting>();
  readonly other = new Map<string, Waiting>();

  get dueLimit(): number {
    const due = Math.ceil(this.cap * dueShare);
    return this.#isTroubled ? Math.min(troubledDue, due) : due;
  }

  get otherLimit(): number {
    if (this.#isTroubled) return this.due.size === 0 ? troubledDue : 0;
    if (this.runningOther < leastOther) return this.cap;
    return this.due.size === 0 && this.runningOther < perProviderOther ? this.dueLimit : 0;
  }

  get #isTroubled(): boolean {
    return this.unanswered >= troubledAfter;
  }

  get waiting(): number {
    return this.demand.size + this.due.size + this.other.size;
  }

  raisePriority(key: string): void {
    const waiting = this.due.get(key);
    if (!waiting) return;
    this.due.delete(key);
    this.demand.set(key, waiting);
  }
}

/** Work that waits or runs, and may be shared. */
interface Entry<T> {
  readonly queue: ProviderQueue;
  readonly result: Promise<T>;
}

/**
 * Limits how much work runs at a provider and in all. Callers come before due work, and places go to providers in turn, so that a slow
 * provider delays only its own connections. Work that is asked for again while it waits or runs is not started twice.
 */
export class ProviderConcurrency<T = void> {
  readonly #queues = new Map<string, ProviderQueue>();
  readonly #entries = new Map<string, Entry<T>>();
  /** Work that is not shared. */
  readonly #admitted = new Set<Promise<unknown>>();
  /** Those in which something waits; the one served last is at the end. */
  readonly #turn = new Set<ProviderQueue>();
  #running = 0;
  #runningOther = 0;
  #closed = false;

  /** @param capOf how many places a provider has; 0 for the default. Asked before and after each piece of work, since it may change */
  constructor(private readonly capOf: (providerId: string) => number = () => 0) {}

  get running(): number {
    return this.#running;
  }

  get waiting(): number {
    let count = 0;
    for (const queue of this.#turn) count += queue.waiting;
    return count;
  }

  /**
   * Runs `work` when there is a place. While work of the same key waits or runs, answers its result instead; with `demand` it no longer
   * waits behind due work.
   *
   * @throws ConcurrencyClosed when there was no place before `close`
   */
  run(providerId: string, key: string, priority: RefreshPriority, work: () => Promise<T>): Promise<T> {
    const present = this.#entries.get(key);
    if (present) {
      if (priority === "demand") {
        present.queue.raisePriority(key);
        this.#dispatch();
      }
      return present.result;
    }
    const queue = this.#queueOf(providerId);
    const result = this.#run(providerId, queue, key, priority, work).finally(() => this.#entries.delete(key));
    this.#entries.set(key, { queue, result });
    return result;
  }

  /**
   * Runs work that is no refresh when no refresh wants its place. It is not shared.
   *
   * @param key that no work has which waits or runs
   * @throws ConcurrencyClosed as `run`; ConcurrencyCrowded
   */
  async admit<R>(providerId: string, key: string, work: () => Promise<R>): Promise<R> {
    const queue = this.#queueOf(providerId);
    if (queue.other.size >= maxWaitingOther) throw new ConcurrencyCrowded();
    const result = this.#run(providerId, queue, key, "other", work).finally(() =>
      this.#admitted.delete(result),
    );
    this.#admitted.add(result);
    return await result;
  }

  /** Tells whether the provider answered at all. */
  note(providerId: string, answered: boolean): void {
    const queue = this.#queueOf(providerId);
    queue.unanswered = answered ? 0 : queue.unanswered + 1;
  }

  /** Whether due work of the provider would start at once. */
  hasRoom(providerId: string): boolean {
    const queue = this.#queues.get(providerId);
    return this.#running < globalDue && (queue === undefined || queue.running < queue.dueLimit);
  }

  /** Starts nothing more: what waits is rejected with `ConcurrencyClosed`. */
  close(): void {
    this.#closed = true;
    for (const queue of this.#turn) {
      for (const waiting of [...queue.demand.values(), ...queue.due.values(), ...queue.other.values()])
        waiting.close();
      queue.demand.clear();
      queue.due.clear();
      queue.other.clear();
    }
    this.#turn.clear();
  }

  /** Resolves when the work that waits or runs now is over. */
  async settled(): Promise<void> {
    const shared = [...this.#entries.values()].map(({ result }) => result);
    await Promise.allSettled([...shared, ...this.#admitted]);
  }

  async #run<R>(
    providerId: string,
    queue: ProviderQueue,
    key: string,
    priority: Priority,
    work: () => Promise<R>,
  ): Promise<R> {
    if (this.#closed) throw new ConcurrencyClosed();
    this.#setCap(queue, providerId);
    await new Promise<void>((resolve, reject) => {
      queue[priority].set(key, { key, start: resolve, close: () => reject(new ConcurrencyClosed()) });
      this.#turn.add(queue);
      this.#dispatch();
    });
    try {
      return await work();
    } finally {
      this.#count(queue, priority, -1);
      this.#setCap(queue, providerId);
      this.#dispatch();
      if (queue.running === 0 && queue.waiting === 0 && queue.unanswered === 0)
        this.#queues.delete(providerId);
    }
  }

  #queueOf(providerId: string): ProviderQueue {
    let queue = this.#queues.get(providerId);
    if (!queue) {
      queue = new ProviderQueue();
      this.#queues.set(providerId, queue);
    }
    return queue;
  }

  #setCap(queue: ProviderQueue, providerId: string): void {
    queue.cap = Math.min(this.capOf(providerId) || perProviderCap, maxPerProvider);
  }

  #dispatch(): void {
    this.#serve("demand", globalCap, (queue) => queue.cap);
    this.#serve("due", globalDue, (queue) => queue.dueLimit);
    this.#serve("other", globalCap, (queue) => (this.#runningOther < globalOther ? queue.otherLimit : 0));
  }

  #count(queue: ProviderQueue, priority: Priority, step: 1 | -1): void {
    queue.running += step;
    this.#running += step;
    if (priority !== "other") return;
    queue.runningOther += step;
    this.#runningOther += step;
  }

  /** Gives places to work of one priority, one to each provider in turn, while there are any. */
  #serve(priority: Priority, cap: number, limitOf: (queue: ProviderQueue) => number): void {
    for (let isServed = true; isServed && this.#running < cap; ) {
      isServed = false;
      for (const queue of [...this.#turn]) {
        if (this.#running >= cap) return;
        if (queue.running >= limitOf(queue)) continue;
        const [next] = queue[priority].values();
        if (!next) continue;
        queue[priority].delete(next.key);
        this.#turn.delete(queue);
        if (queue.waiting > 0) this.#turn.add(queue);
        this.#count(queue, priority, 1);
        isServed = true;
        next.start();
      }
    }
  }
}
