import type { Clock, Timer } from "../../runtime/clock.js";

/** Refreshes at one provider at a time if its profile does not say: providers limit a client to tens of requests a second. */
export const perProviderCap = 16;
/** The most that a profile may say: other providers must find slots of `globalDue`. */
const maxPerProvider = 96;
/** The share of the slots for due work: a caller finds one even when the provider hangs. */
const dueShare = 0.75;
/** Due work at a time at a provider that does not answer, until it does. */
const troubledDue = 2;
/** Consecutive requests without an answer after which a provider counts as one that does not answer. */
const troubledAfter = 3;
/** Requests in all: they cost sockets and memory, and a provider that hangs must leave slots for others. */
export const globalCap = 128;
const globalDue = 112;
/**
 * After this time, a request gives its slot in all to others, and counts as one without an answer: a token request may take two minutes. It
 * keeps its slot at the provider.
 */
const slowAfterMs = 10_000;

/** Requests that are no refresh, in all. */
const globalOther = 64;
/** At one provider: a caller may ask for any number of them, and tokens must be kept alive beside them. */
const perProviderOther = 8;
/** So many of them while refreshes wait. */
const leastOther = 2;
/** How many of them wait at one provider. */
const maxWaitingOther = 200;

/** Between the canaries of a provider that loses its answers: doubles from here. */
const canaryBaseMs = 5_000;
/** By then a token that is needed is dead; a longer outage costs few grants their probe. */
const canaryMaxMs = 5 * 60_000;

/** `demand`: a caller waits for the answer. `due`: the scheduler's own work. */
export type RefreshPriority = "demand" | "due";
/** `other`: no refresh. */
type Priority = RefreshPriority | "other";

const refusals = {
  closed: "the daemon is stopping",
  crowded: "too many requests wait for this provider",
  answers_lost: "the provider's answers are lost, and each one would leave a grant in doubt",
} as const;

/** Work that was not started. */
export class NotStarted extends Error {
  constructor(readonly why: keyof typeof refusals) {
    super(refusals[why]);
    this.name = "NotStarted";
  }
}

interface WaitingForSlot {
  readonly key: string;
  /** It sends what may be sent once more only. */
  readonly isLastSend: boolean;
  start(): void;
  refuse(error: NotStarted): void;
}

/**
 * Limits how many requests run at a provider and in all. Callers come before due work, and slots go to providers in turn, so a slow provider
 * delays only its own connections. If a provider loses its answers, one refresh at a time, a canary, finds out whether that is over.
 */
export class RequestSlots<T = void> {
  readonly #queues = new Map<string, Queue>();
  /** Refreshes that wait or run, by key. */
  readonly #refreshes = new Map<string, { readonly queue: Queue; readonly result: Promise<T> }>();
  /** Requests that are not shared. */
  readonly #others = new Set<Promise<unknown>>();
  /** Queues in which something waits; the one served last is at the end. */
  readonly #turn = new Set<Queue>();
  #running = 0;
  /** Of these, what takes long. */
  #slow = 0;
  #runningOther = 0;
  #closed = false;

  /** @param capOf how many slots a provider has; 0 for the default. Called before and after each request, since it may change */
  constructor(
    private readonly clock: Clock,
    private readonly capOf: (providerId: string) => number = () => 0,
  ) {}

  /** Requests that run, and those that wait for a slot. */
  get load(): { readonly running: number; readonly waiting: number } {
    let waiting = 0;
    for (const queue of this.#turn) waiting += queue.waiting;
    return { running: this.#running, waiting };
  }

  /**
   * Runs a refresh when there is a slot. While one of the same key waits or runs, returns its result instead; with `demand`, it no longer
   * waits behind due work.
   *
   * @param isLastSend what it sends may be sent once more only
   * @throws NotStarted if there was no slot before `close`, or with `demand` while the provider loses its answers
   */
  refresh(
    providerId: string,
    key: string,
    priority: RefreshPriority,
    work: () => Promise<T>,
    isLastSend = false,
  ): Promise<T> {
    const present = this.#refreshes.get(key);
    const queue = present?.queue ?? this.#queueOf(providerId);
    const isHeld = queue.refreshLimit(1, this.clock.monotonicMs()) === 0;
    if (priority === "demand" && isHeld && (!present || queue.isWaiting(key)))
      return Promise.reject(new NotStarted("answers_lost"));
    if (present) {
      if (priority === "demand") {
        queue.raisePriority(key);
        this.#dispatch();
      }
      return present.result;
    }
    const result = this.#run(queue, priority, { key, isLastSend }, work).finally(() =>
      this.#refreshes.delete(key),
    );
    this.#refreshes.set(key, { queue, result });
    return result;
  }

  /**
   * Runs a request that is no refresh when no refresh wants its slot. It is not shared.
   *
   * @param key no two at a time have the same
   * @throws NotStarted if too many wait, or there was no slot before `close`
   */
  async other<R>(providerId: string, key: string, work: () => Promise<R>): Promise<R> {
    const queue = this.#queueOf(providerId);
    if (queue.other.size >= maxWaitingOther) throw new NotStarted("crowded");
    const result = this.#run(queue, "other", { key, isLastSend: false }, work).finally(() =>
      this.#others.delete(result),
    );
    this.#others.add(result);
    return await result;
  }

  /** A refresh was answered. */
  answered(providerId: string): void {
    this.#queueOf(providerId).answered();
  }

  /**
   * A refresh had no answer. After some that were lost in a row, refreshes wait behind canaries, which are sent less and less often.
   *
   * @param isLost it may have been processed
   * @returns whether they wait from now on
   */
  unanswered(providerId: string, isLost: boolean): boolean {
    const queue = this.#queueOf(providerId);
    const delayMs = queue.countUnanswered(isLost, this.clock.monotonicMs());
    if (delayMs === undefined) return false;
    queue.timer = this.clock.setTimer(delayMs, () => this.#dispatch());
    queue.refuse(["demand"], "answers_lost");
    return queue.canaries === 1;
  }

  /** Whether due work of the provider would start at once. */
  hasRoom(providerId: string): boolean {
    const queue = this.#queues.get(providerId);
    if (queue === undefined) return this.#taken < globalDue;
    const limit = queue.refreshLimit(queue.dueLimit, this.clock.monotonicMs());
    return this.#taken < globalDue && queue.running < limit;
  }

  /** Starts nothing more: what waits is rejected. */
  close(): void {
    this.#closed = true;
    for (const queue of this.#queues.values()) {
      queue.timer?.cancel();
      queue.refuse(["demand", "due", "other"], "closed");
    }
    this.#turn.clear();
  }

  /** Resolves when the work that waits or runs now is over. */
  async settled(): Promise<void> {
    const shared = [...this.#refreshes.values()].map(({ result }) => result);
    await Promise.allSettled([...shared, ...this.#others]);
  }

  async #run<R>(
    queue: Queue,
    priority: Priority,
    request: Pick<WaitingForSlot, "key" | "isLastSend">,
    work: () => Promise<R>,
  ): Promise<R> {
    if (this.#closed) throw new NotStarted("closed");
    queue.setCap(this.capOf(queue.providerId));
    await new Promise<void>((resolve, reject) => {
      queue[priority].set(request.key, { ...request, start: resolve, refuse: reject });
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
      queue.setCap(this.capOf(queue.providerId));
      this.#dispatch();
      if (queue.isIdle) this.#queues.delete(queue.providerId);
    }
  }

  /** Slots in all. */
  get #taken(): number {
    return this.#running - this.#slow;
  }

  #queueOf(providerId: string): Queue {
    let queue = this.#queues.get(providerId);
    if (!queue) {
      queue = new Queue(providerId);
      this.#queues.set(providerId, queue);
    }
    return queue;
  }

  #dispatch(): void {
    const nowMs = this.clock.monotonicMs();
    this.#serve("demand", globalCap, (queue) => queue.refreshLimit(queue.cap, nowMs));
    this.#serve("due", globalDue, (queue) => queue.refreshLimit(queue.dueLimit, nowMs));
    this.#serve("other", globalCap, (queue) => (this.#runningOther < globalOther ? queue.otherLimit : 0));
  }

  #count(queue: Queue, priority: Priority, step: 1 | -1): void {
    queue.running += step;
    this.#running += step;
    if (priority !== "other") return;
    queue.runningOther += step;
    this.#runningOther += step;
  }

  /** Gives slots to work of one priority, one to each provider in turn, while there are any. */
  #serve(priority: Priority, cap: number, limitOf: (queue: Queue) => number): void {
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

/** What waits and runs at one provider. */
class Queue {
  running = 0;
  /** Of those, what is no refresh. */
  runningOther = 0;
  cap = perProviderCap;
  unanswered = 0;
  /** Answers that were lost in a row. */
  lost = 0;
  /** Since then refreshes are started one at a time: how many were, and when the next may be. */
  canaries = 0;
  canaryAtMs = 0;
  timer: Timer | undefined;
  /** In order of arrival. */
  readonly demand = new Map<string, WaitingForSlot>();
  readonly due = new Map<string, WaitingForSlot>();
  readonly other = new Map<string, WaitingForSlot>();

  constructor(readonly providerId: string) {}

  /** @param cap of the profile; 0 for the default */
  setCap(cap: number): void {
    this.cap = Math.min(cap || perProviderCap, maxPerProvider);
  }

  get isIdle(): boolean {
    return this.running === 0 && this.waiting === 0 && this.unanswered === 0;
  }

  get waiting(): number {
    return this.demand.size + this.due.size + this.other.size;
  }

  get dueLimit(): number {
    const due = Math.ceil(this.cap * dueShare);
    return this.#isTroubled ? Math.min(troubledDue, due) : due;
  }

  get otherLimit(): number {
    if (this.#isTroubled) return this.due.size === 0 ? troubledDue : 0;
    if (this.runningOther < leastOther) return this.cap;
    return this.due.size === 0 && this.runningOther < perProviderOther ? this.dueLimit : 0;
  }

  /** @param limit where answers come */
  refreshLimit(limit: number, nowMs: number): number {
    if (!this.#losesAnswers) return limit;
    return nowMs >= this.canaryAtMs && this.running === this.runningOther ? this.running + 1 : 0;
  }

  answered(): void {
    this.unanswered = 0;
    this.lost = 0;
    this.canaries = 0;
    this.canaryAtMs = 0;
    this.timer?.cancel();
  }

  /** @returns in how many milliseconds the next canary may go, if that is another time now */
  countUnanswered(isLost: boolean, nowMs: number): number | undefined {
    this.unanswered++;
    if (isLost) this.lost++;
    // What was under way when the first ones were lost shows nothing new.
    if (!this.#losesAnswers || nowMs < this.canaryAtMs) return undefined;
    const delayMs = Math.min(canaryMaxMs, canaryBaseMs * 2 ** Math.min(this.canaries++, 20));
    this.canaryAtMs = nowMs + delayMs;
    this.timer?.cancel();
    return delayMs;
  }

  isWaiting(key: string): boolean {
    return this.due.has(key) || this.demand.has(key);
  }

  /** While answers are lost, one that can be probed afterwards goes first. */
  nextOf(priority: Priority): WaitingForSlot | undefined {
    const [first] = this[priority].values();
    if (!this.#losesAnswers || !first?.isLastSend) return first;
    return [...this[priority].values()].find(({ isLastSend }) => !isLastSend) ?? first;
  }

  raisePriority(key: string): void {
    const waiting = this.due.get(key);
    if (!waiting) return;
    this.due.delete(key);
    this.demand.set(key, waiting);
  }

  refuse(priorities: readonly Priority[], why: NotStarted["why"]): void {
    for (const priority of priorities) {
      for (const waiting of this[priority].values()) waiting.refuse(new NotStarted(why));
      this[priority].clear();
    }
  }

  get #isTroubled(): boolean {
    return this.unanswered >= troubledAfter;
  }

  get #losesAnswers(): boolean {
    return this.lost >= troubledAfter;
  }
}
