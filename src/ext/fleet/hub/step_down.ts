import { type AuditEvent, daemon } from "../../../model/access/access.js";
import { type Clock, delay, type Log } from "../../../runtime/runtime.js";
import type { Store } from "../../../store/store.js";
import type { Hub } from "./hub.js";
import type { LeaderHealthMonitor, LeadTrouble } from "./leader_health_monitor.js";

/** Where commits may not go on, what cannot be put on record in this time is not. */
const recordMs = 3_000;

/** How this hub gives the lead back by itself: it ends, drained where its disk goes on, and is on record. */
export class StepDown {
  #unrecorded: AuditEvent | undefined;

  constructor(
    private readonly deps: {
      readonly store: Store;
      readonly hub: Hub;
      readonly watch: LeaderHealthMonitor;
      readonly onStepDown: () => void;
      readonly clock: Clock;
      readonly log: Log;
    },
  ) {}

  /** What this hub could not put on record: the next leader is to. */
  get unrecorded(): AuditEvent | undefined {
    return this.#unrecorded;
  }

  get isDiskStuck(): boolean {
    return this.#unrecorded?.reason === "disk_stuck";
  }

  /** Another hub could lead: it does in a second. */
  async begin(trouble: LeadTrouble): Promise<void> {
    const { store, hub, onStepDown, clock, log } = this.deps;
    const event = this.#event(trouble);
    if (trouble === "disk_stuck") {
      this.#unrecorded = event;
      hub.end("its disk takes no writes");
      return;
    }
    const recorded = store
      .commit((tx) => tx.appendAudit(event))
      .catch((error: unknown) =>
        log.error({ err: error }, "it is not on record that the lead was given back"),
      );
    await Promise.race([recorded, delay(clock, recordMs)]);
    onStepDown();
  }

  /** The store of this leader could not be written: the process ends. */
  diskFailed(): void {
    this.deps.watch.note("disk_failed");
    this.#unrecorded = this.#event("disk_failed");
  }

  #event(reason: LeadTrouble): AuditEvent {
    const timeMs = this.deps.clock.nowMs();
    return { timeMs, principal: daemon.name, type: "fleet.lead_given_back", reason };
  }
}
