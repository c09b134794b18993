import type { Action } from "../../model/access/access_table.js";
import { by } from "../../model/access/audit_event.js";
import type { Principal } from "../../model/access/principal.js";
import { BoundedMap } from "../../runtime/bounded_map.js";
import type { Clock } from "../../runtime/clock.js";
import type { Log } from "../../runtime/log.js";
import type { Store } from "../../store/store.js";

/** Denials of one kind are recorded this often, those between are counted: a caller must not fill the audit log. */
const intervalMs = 60_000;
/** Principals and actions remembered; principals of a JWT issuer can be many. */
const maxEntries = 10_000;

interface DeniedEntry {
  readonly principal: Principal;
  readonly action: Action;
  readonly recordedMs: number;
  count: number;
}

/** Who was denied what: an `access.denied` event for each principal and action, at most one a minute, with a count. */
export class DeniedAccessAudit {
  readonly #entries = new BoundedMap<string, DeniedEntry>(maxEntries);

  constructor(private readonly deps: { readonly store: Store; readonly clock: Clock; readonly log: Log }) {}

  /**
   * Records a denial. Never rejects: the caller is denied either way.
   *
   * @param connectionId what the caller requested, whether it exists or not
   */
  async denied(principal: Principal, action: Action, connectionId?: string): Promise<void> {
    const key = `${action} ${principal.name}`;
    const nowMs = this.deps.clock.nowMs();
    const before = this.#entries.get(key);
    if (before && nowMs - before.recordedMs < intervalMs && nowMs >= before.recordedMs) {
      before.count++;
      return;
    }
    this.#entries.set(key, { principal, action, recordedMs: nowMs, count: 0 });
    await this.#write(
      principal,
      action,
      nowMs,
      before && before.count > 0 ? before.count + 1 : undefined,
      connectionId,
    );
  }

  /** Writes every count. */
  async flush(): Promise<void> {
    const counted = [...this.#entries.values()].filter(({ count }) => count > 0);
    await Promise.all(
      counted.map(async (entry) => {
        const { count } = entry;
        entry.count = 0;
        await this.#write(entry.principal, entry.action, this.deps.clock.nowMs(), count);
      }),
    );
  }

  async #write(
    principal: Principal,
    action: Action,
    timeMs: number,
    count: number | undefined,
    connectionId?: string,
  ): Promise<void> {
    try {
      await this.deps.store.record((tx) =>
        tx.appendAudit({
          timeMs,
          type: "access.denied",
          ...by(principal),
          ...{ reason: action, connectionId, count },
        }),
      );
    } catch (error) {
      this.deps.log.error({ err: error }, "a denial could not be recorded");
    }
  }
}
