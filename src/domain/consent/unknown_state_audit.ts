import { by } from "../../model/access/audit_event.js";
import type { Principal } from "../../model/access/principal.js";
import type { Clock, Timer } from "../../runtime/clock.js";
import type { Log } from "../../runtime/log.js";
import type { Store } from "../../store/store.js";

/** Callbacks with unknown states make at most one event in this time, so that an unauthenticated cannot flood the audit log. */
const intervalMs = 60_000;

/** Puts callbacks with states that nobody requested, or that were used already, on record: the first at once, the others merged. */
export class UnknownStateAudit {
  #timer: Timer | undefined;
  #merged = 0;
  #lastVisitor: Principal | undefined;

  constructor(private readonly deps: { readonly store: Store; readonly clock: Clock; readonly log: Log }) {}

  async record(actor: Principal): Promise<void> {
    if (this.#timer) {
      this.#merged++;
      this.#lastVisitor = actor;
      return;
    }
    this.#timer = this.deps.clock.setTimer(intervalMs, () => this.#next());
    await this.#append(actor, 1);
  }

  /** Writes what was merged. */
  async flush(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = undefined;
    const count = this.#merged;
    this.#merged = 0;
    if (this.#lastVisitor && count > 0) await this.#append(this.#lastVisitor, count);
  }

  #next(): void {
    this.#timer = undefined;
    if (this.#merged === 0) return;
    this.#timer = this.deps.clock.setTimer(intervalMs, () => this.#next());
    const count = this.#merged;
    this.#merged = 0;
    if (this.#lastVisitor) void this.#append(this.#lastVisitor, count);
  }

  /** Never rejects: the visitor gets the same page either way. */
  async #append(actor: Principal, count: number): Promise<void> {
    try {
      await this.deps.store.record((tx) => {
        tx.appendAudit({
          timeMs: this.deps.clock.nowMs(),
          type: "state_verification_failed",
          ...by(actor),
          reason: "unknown_state",
          count: count > 1 ? count : undefined,
        });
      });
    } catch (error) {
      this.deps.log.error({ err: error }, "a callback with an unknown state could not be recorded");
    }
  }
}
