import type { AuditEvent } from "../../model/access/audit_event.js";
import { BoundedMap } from "../../runtime/bounded_map.js";
import type { Clock, Timer } from "../../runtime/clock.js";
import type { Log } from "../../runtime/log.js";
import type { Recording } from "../../store/recording.js";
import type { Store } from "../../store/store.js";

const intervalMs = 60_000;
/** Kinds remembered; principals of a JWT issuer can be many. */
const defaultMaxKinds = 10_000;

/** An event as it is written, without what is counted. */
type EventOf = (tx: Recording) => Omit<AuditEvent, "timeMs" | "count">;

interface CountedEvents {
  /** The last one. */
  readonly eventOf: EventOf;
  readonly recordedMs: number;
  /** Those after the recorded one. */
  readonly count: number;
}

/**
 * Events that callers can cause without end, as refusals: they must not fill the audit log. The first of a kind is recorded at once. Those
 * of the next minute become one event with their count, when the minute is over, and at the end of the daemon.
 */
export class CountedAudit {
  readonly #kinds: BoundedMap<string, CountedEvents>;
  #timer: Timer | undefined;

  constructor(
    private readonly deps: {
      readonly store: Pick<Store, "record">;
      readonly clock: Clock;
      readonly log: Log;
      /** 10 000 by default. */
      readonly maxKinds?: number | undefined;
    },
  ) {
    this.#kinds = new BoundedMap(deps.maxKinds ?? defaultMaxKinds);
  }

  /** Never rejects: the caller is refused either way. */
  async record(kind: string, eventOf: EventOf): Promise<void> {
    const nowMs = this.deps.clock.nowMs();
    const before = this.#kinds.get(kind);
    if (before && nowMs - before.recordedMs < intervalMs && nowMs >= before.recordedMs) {
      this.#kinds.set(kind, { ...before, eventOf, count: before.count + 1 });
      this.#await();
      return;
    }
    this.#kinds.set(kind, { eventOf, recordedMs: nowMs, count: 0 });
    await this.#write([{ eventOf, count: 1 + (before?.count ?? 0) }]);
  }

  /** Writes every count. */
  async flush(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = undefined;
    await this.#write(this.#taken(Number.POSITIVE_INFINITY));
  }

  async #minuteOver(): Promise<void> {
    this.#timer = undefined;
    const counted = this.#taken(this.deps.clock.nowMs() - intervalMs);
    // Some were recorded later.
    if ([...this.#kinds.values()].some(({ count }) => count > 0)) this.#await();
    await this.#write(counted);
  }

  #await(): void {
    this.#timer ??= this.deps.clock.setTimer(intervalMs, () => void this.#minuteOver());
  }

  /** The counts of what was recorded by then: they begin again. */
  #taken(recordedByMs: number): CountedEvents[] {
    const counted = [...this.#kinds.entries()].filter(
      ([, { count, recordedMs }]) => count > 0 && recordedMs <= recordedByMs,
    );
    const recordedMs = this.deps.clock.nowMs();
    for (const [kind, { eventOf }] of counted) this.#kinds.set(kind, { eventOf, recordedMs, count: 0 });
    return counted.map(([, events]) => events);
  }

  async #write(events: readonly Pick<CountedEvents, "eventOf" | "count">[]): Promise<void> {
    if (events.length === 0) return;
    const { store, clock, log } = this.deps;
    const timeMs = clock.nowMs();
    try {
      await store.record((tx) => {
        for (const { eventOf, count } of events)
          tx.appendAudit({ ...eventOf(tx), timeMs, count: count > 1 ? count : undefined });
      });
    } catch (error) {
      log.error({ err: error }, "refusals could not be recorded");
    }
  }
}
