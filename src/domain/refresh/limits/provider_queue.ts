import type { Timer } from "../../../runtime/clock.js";

/** `demand`: a caller waits for the answer. `due`: the scheduler's own work. */
export type RefreshPriority = "demand" | "due";

/** `other`: no refresh. */
export type Priority = RefreshPriority | "other";

/** How a request ended: `lost` where it may have been processed, `unsent` where it was not sent. */
export type Answered = "answered" | "lost" | "unsent";

/** Refreshes at one provider at a time where its profile says nothing else: providers limit a client to tens of requests a second. */
export const perProviderCap = 16;
/** The share of the places for due work: a caller finds one even when the provider hangs. */
const dueShare = 0.75;
/** Due work at a time at a provider that does not answer, until it does. */
const troubledDue = 2;
/** Consecutive requests without an answer after which a provider counts as one that does not answer. */
const troubledAfter = 3;
/** Between the canaries of a provider that loses its answers: doubles from here. */
const canaryBaseMs = 5_000;
/** By then a token that is needed is dead; a longer outage costs few grants their probe. */
const canaryMaxMs = 5 * 60_000;

/**
 * Places of these for what is no refresh: anyone who may ask for it may ask for any amount, and tokens must be kept alive beside it.
 */
const perProviderOther = 8;
/** So many of them while refreshes wait. */
const leastOther = 2;

export interface Waiting {
  readonly key: string;
  /** It sends what may be sent once more only. */
  readonly isLastSend: boolean;
  start(): void;
  refuse(error: Error): void;
}

/** What waits and runs at one provider. */
export class ProviderQueue {
  running = 0;
  /** Places of this provider. */
  cap = perProviderCap;
  /** Of those, what is no refresh. */
  runningOther = 0;
  unanswered = 0;
  /** Answers that were lost in a row. */
  lost = 0;
  /** Since then refreshes are started one at a time: how many were, and when the next may be. */
  canaries = 0;
  canaryAtMs = 0;
  timer: Timer | undefined;
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

  get #losesAnswers(): boolean {
    return this.lost >= troubledAfter;
  }

  /** @returns in how many milliseconds the next canary may go, where that is another time now */
  note(answered: Answered, nowMs: number): number | undefined {
    this.unanswered = answered === "answered" ? 0 : this.unanswered + 1;
    if (answered === "answered") Object.assign(this, { lost: 0, canaries: 0, canaryAtMs: 0 });
    if (answered === "lost") this.lost++;
    // What was under way when the first ones were lost shows nothing new.
    if (!this.#losesAnswers || nowMs < this.canaryAtMs) return undefined;
    const delayMs = Math.min(canaryMaxMs, canaryBaseMs * 2 ** Math.min(this.canaries++, 20));
    this.canaryAtMs = nowMs + delayMs;
    return delayMs;
  }

  /** @param limit where answers come */
  refreshLimit(limit: number, nowMs: number): number {
    if (!this.#losesAnswers) return limit;
    return nowMs >= this.canaryAtMs && this.running === this.runningOther ? this.running + 1 : 0;
  }

  isWaiting(key: string): boolean {
    return this.due.has(key) || this.demand.has(key);
  }

  /** While answers are lost, one that can be probed afterwards goes first. */
  nextOf(priority: Priority): Waiting | undefined {
    const [first] = this[priority].values();
    if (!this.#losesAnswers || !first?.isLastSend) return first;
    return [...this[priority].values()].find(({ isLastSend }) => !isLastSend) ?? first;
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
