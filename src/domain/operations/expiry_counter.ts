import type { ExpiryClass, ExpiryCounts } from "../../model/connections/activity.js";
import type { Connection } from "../../model/connections/connection.js";
import type { Clock } from "../../runtime/clock.js";
import type { Store } from "../../store/store.js";

/** Connections decoded in one stretch: some 5 ms, so that other callers are not held up. */
const stretch = 500;
/** Ids are random: so many of them speak for all, within a percent. */
const maxConnections = 50_000;
/** A page that somebody looks at asks again and again. */
const keptMs = 30_000;

const minuteMs = 60_000;
const bounds = [0, 5 * minuteMs, 60 * minuteMs, 24 * 60 * minuteMs, 7 * 24 * 60 * minuteMs] as const;
const classes: readonly ExpiryClass["within"][] = [...bounds, "later", "unlimited"];

/** Counts the tokens of active connections by the time until they end. What it costs is bounded, and paid when somebody asks. */
export class ExpiryCounter {
  #newest: ExpiryCounts | undefined;
  #underWay: Promise<ExpiryCounts> | undefined;

  constructor(private readonly deps: { readonly store: Store; readonly clock: Clock }) {}

  /** At most 30 seconds old. Callers at the same time share one count. */
  async read(): Promise<ExpiryCounts> {
    const nowMs = this.deps.clock.nowMs();
    const newest = this.#newest;
    if (newest && Math.abs(nowMs - newest.countedAtMs) < keptMs) return newest;
    this.#underWay ??= this.#count(nowMs).finally(() => {
      this.#underWay = undefined;
    });
    return await this.#underWay;
  }

  async #count(countedAtMs: number): Promise<ExpiryCounts> {
    const { store } = this.deps;
    const counts = new Map(classes.map((within) => [within, { count: 0, refreshable: 0 }]));
    let counted = 0;
    let afterId: string | undefined;
    while (counted < maxConnections) {
      const page = store.listConnections({ afterId, limit: stretch });
      for (const connection of page) {
        const within = classOf(connection, countedAtMs);
        const row = within === undefined ? undefined : counts.get(within);
        if (!row) continue;
        row.count++;
        if (connection.refreshable) row.refreshable++;
      }
      counted += page.length;
      afterId = page.at(-1)?.id;
      if (page.length < stretch) break;
      await new Promise((resolve) => setImmediate(resolve));
    }
    const stored = Object.values(store.countByStatus()).reduce((sum, count) => sum + count, 0);
    const rows = classes.map((within) => ({
      within,
      ...(counts.get(within) ?? { count: 0, refreshable: 0 }),
    }));
    this.#newest = { countedAtMs, classes: rows, counted, stored: Math.max(stored, counted) };
    return this.#newest;
  }
}

/** Undefined for a connection without a token that is served. */
function classOf({ status, expiresAtMs }: Connection, nowMs: number): ExpiryClass["within"] | undefined {
  if (status !== "active") return undefined;
  if (expiresAtMs === undefined) return "unlimited";
  return bounds.find((bound) => expiresAtMs - nowMs <= bound) ?? "later";
}
