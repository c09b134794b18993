import type { Clock, Timer } from "./clock.js";

/** Called when its time has come. Must not throw. */
export interface BookmarkMember {
  bookmarkDue(): void;
}

/** Times are rounded up to this, so that idle streams wake the process together. */
const slotMs = 1_000;

/** When each idle stream is to have its next bookmark: one timer for all of them. */
export class TimerWheel {
  readonly #clock: Clock;
  readonly #slots = new Map<number, Set<BookmarkMember>>();
  #armed: { readonly slot: number; readonly timer: Timer } | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @returns the slot that the member is in until its time comes */
  add(member: BookmarkMember, delayMs: number): number {
    const slot = Math.ceil((this.#clock.monotonicMs() + delayMs) / slotMs);
    const members = this.#slots.get(slot);
    if (members) members.add(member);
    else this.#slots.set(slot, new Set([member]));
    if (!this.#armed || slot < this.#armed.slot) this.#arm(slot);
    return slot;
  }

  delete(member: BookmarkMember, slot: number): void {
    const members = this.#slots.get(slot);
    members?.delete(member);
    if (members?.size === 0) this.#slots.delete(slot);
    if (this.#slots.size === 0) this.#disarm();
  }

  #arm(slot: number): void {
    this.#disarm();
    const delayMs = slot * slotMs - this.#clock.monotonicMs();
    this.#armed = { slot, timer: this.#clock.setTimer(delayMs, () => this.#passed(slot)) };
  }

  #disarm(): void {
    this.#armed?.timer.cancel();
    this.#armed = undefined;
  }

  #passed(slot: number): void {
    this.#armed = undefined;
    const members = this.#slots.get(slot) ?? [];
    this.#slots.delete(slot);
    const next = Math.min(...this.#slots.keys());
    if (Number.isFinite(next)) this.#arm(next);
    for (const member of members) member.bookmarkDue();
  }
}
