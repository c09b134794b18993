import type { Clock } from "../../../runtime/clock.js";
import {
  type Answered,
  type Priority,
  ProviderQueue,
  perProviderCap,
  type RefreshPriority,
  type Waiting,
} from "./provider_queue.js";

/** What a profile may say: the others must find places of `globalDue`. */
const maxPerProvider = 96;
/** Refreshes in all: they cost sockets and memory, and a provider that hangs must leave places for others. */
export const globalCap = 128;
const globalDue = 112;

/**
 * After so long work counts as work at a provider that does not answer, and gives its place in all to others: a token request may take two
 * minutes. Its place at the provider it keeps.
 */
const slowAfterMs = 10_000;

/** Of these, what is no refresh. */
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

/** The provider loses its answers, and each would leave a grant in doubt: nothing was started. */
export class AnswersLost extends Error {
  constructor() {
    super("the provider's answers are lost: one refresh at a time asks whether they still are");
    this.name = "AnswersLost";
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
  /** Of these, what takes long. */
  #slow = 0;
  #runningOther = 0;
  #closed = false;

  /** @param capOf how many places a provider has; 0 for the default. Asked before and after each piece of work, since it may change */
  constructor(
    private readonly clock: Clock,
    private readonly capOf: (providerId: string) => number = () => 0,
  ) {}

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
   * @param isLastSend what it sends may be sent once more only
   * @throws ConcurrencyClosed when there was no place before `close`; AnswersLost with `demand`
   */
  run(
    providerId: string,
    key: string,
    priority: RefreshPriority,
    work: () => Promise<T>,
    isLastSend = false,
  ): Promise<T> {
    const present = this.#entries.get(key);
    const queue = present?.queue ?? this.#queueOf(providerId);
    const isHeld = queue.refreshLimit(1, this.clock.monotonicMs()) === 0;
    if (priority === "demand" && isHeld && (!present || queue.isWaiting(key)))
      return Promise.reject(new AnswersLost());
    if (present) {
      if (priority === "demand") {
        present.queue.raisePriority(key);
        this.#dispatch();
      }
      return present.result;
    }
    const result = this.#run(providerId, queue, { key, priority, isLastSend }, work).finally(() =>
      this.#entries.delete(key),
    );
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
    const place = { key, priority: "other", isLastSend: false } as const;
    const result = this.#run(providerId, queue, place, work).finally(() => this.#admitted.delete(result));
    this.#admitted.add(result);
    return await result;
  }

  /**
   * Reports how a refresh ended. After some answers that were lost in a row, refreshes wait: one at a time, less and less often, finds out
   * whether that is over.
   *
   * @returns whether they wait from now on
   */
  note(providerId: string, answered: Answered): boolean {
    const queue = this.#queueOf(providerId);
    const delayMs = queue.note(answered, this.clock.monotonicMs());
    if (answered === "answered") queue.timer?.cancel();
    if (delayMs === undefined) return false;
    queue.timer?.cancel();
    queue.timer = this.clock.setTimer(delayMs, () => this.#dispatch());
    for (const waiting of queue.demand.values()) waiting.refuse(new AnswersLost());
    queue.demand.clear();
    return queue.canaries === 1;
  }

  /** Whether due work of the provider would start at once. */
  hasRoom(providerId: string): boolean {
    const queue = this.#queues.get(providerId);
    if (queue === undefined) return this.#taken < globalDue;
    const limit = queue.refreshLimit(queue.dueLimit, this.clock.monotonicMs());
    return this.#taken < globalDue && queue.running < limit;
  }

  /** Starts nothing more: what waits is rejected with `ConcurrencyClosed`. */
  close(): void {
    this.#closed = true;
    for (const queue of this.#queues.values()) queue.timer?.cancel();
    for (const queue of this.#turn) {
      for (const waiting of [...queue.demand.values(), ...queue.due.values(), ...queue.other.values()])
        waiting.refuse(new ConcurrencyClosed());
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
    { priority, ...place }: Pick<Waiting, "key" | "isLastSend"> & { readonly priority: Priority },
    work: () => Promise<R>,
  ): Promise<R> {
    if (this.#closed) throw new ConcurrencyClosed();
    this.#setCap(queue, providerId);
    await new Promise<void>((resolve, reject) => {
      queue[priority].set(place.key, { ...place, start: resolve, refuse: reject });
      this.#turn.add(queue);
      this.#dispatch();
    });
    let isSlow = false;
    const timer = this.clock.setTimer(slowAfterMs, () => {
      isSlow = true;
      this.#slow++;
      if (priority !== "other") queue.unanswered++;
      this.#dispatch();
    });
    try {
      return await work();
    } finally {
      timer.cancel();
      if (isSlow) this.#slow--;
      this.#count(queue, priority, -1);
      this.#setCap(queue, providerId);
      this.#dispatch();
      if (queue.running === 0 && queue.waiting === 0 && queue.unanswered === 0)
        this.#queues.delete(providerId);
    }
  }

  /** Places in all. */
  get #taken(): number {
    return this.#running - this.#slow;
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
    const nowMs = this.clock.monotonicMs();
    this.#serve("demand", globalCap, (queue) => queue.refreshLimit(queue.cap, nowMs));
    this.#serve("due", globalDue, (queue) => queue.refreshLimit(queue.dueLimit, nowMs));
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
    for (let isServed = true; isServed && this.#taken < cap; ) {
      isServed = false;
      for (const queue of [...this.#turn]) {
        if (this.#taken >= cap) return;
        if (queue.running >= limitOf(queue)) continue;
        const next = queue.nextOf(priority);
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
