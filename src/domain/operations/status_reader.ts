import type {
  DaemonState,
  DaemonStatus,
  EndingToken,
  NextRefresh,
  ReadinessChecks,
} from "../../model/connections/daemon_status.js";
import { dueAction } from "../../model/refresh/refresh_policy.js";
import type { Clock } from "../../runtime/clock.js";
import type { DueEntry, Store } from "../../store/store.js";
import type { RefreshEngine } from "../grants/grants.js";
import type { Subscribers } from "../reading/reading.js";

/** Entries of the queue that are looked at for refreshes: it also holds ends of tokens and of requests. */
const maxLooks = 256;
/** A token that cannot be refreshed is worth a word so long before its end: a working day. */
const endingMs = 24 * 60 * 60_000;

/** Reads how the daemon is. What it costs does not grow with what is stored. */
export class StatusReader {
  readonly #startedAtMs: number;
  readonly #startedMonotonicMs: number;

  /** To be made when the daemon starts. */
  constructor(
    private readonly deps: {
      readonly store: Store;
      readonly engine: Pick<RefreshEngine, "failingProviders" | "health" | "lagMs" | "load">;
      readonly subscribers: Subscribers;
      readonly clock: Clock;
      readonly version: string;
      /** Of a hub or a spoke; `following` is true, or what is wrong with its copy. */
      readonly member?: { following(): true | string } | undefined;
    },
  ) {
    this.#startedAtMs = deps.clock.nowMs();
    this.#startedMonotonicMs = deps.clock.monotonicMs();
  }

  /** The daemon's own time. */
  get nowMs(): number {
    return this.deps.clock.nowMs();
  }

  /** What `/readyz` answers. */
  checks(): ReadinessChecks {
    return {
      serving: this.deps.subscribers.draining ? "the daemon is ending" : true,
      refreshing: this.deps.engine.health(),
      storing: this.deps.store.isFailed ? "the store takes no more writes" : true,
      ...(this.deps.member && { following: this.deps.member.following() }),
    };
  }

  /** @param maxEntries of each list, at least 1 */
  read(maxEntries: number): DaemonStatus {
    const checks = this.checks();
    const connections = this.deps.store.countByStatus();
    const failing = this.deps.engine.failingProviders();
    const { running, waiting } = this.deps.engine.load;
    return {
      state: this.#stateOf(checks, connections.attention > 0 || failing.length > 0),
      checks,
      version: this.deps.version,
      timeMs: this.deps.clock.nowMs(),
      startedAtMs: this.#startedAtMs,
      uptimeMs: this.deps.clock.monotonicMs() - this.#startedMonotonicMs,
      connections,
      subscribers: this.deps.subscribers.size,
      refreshesRunning: running,
      refreshesWaiting: waiting,
      refreshLagMs: this.deps.engine.lagMs(),
      ...this.#planned(maxEntries),
      failingProviders: failing.slice(0, maxEntries).map((provider) => ({
        ...provider,
        connections: this.deps.store.countConnections(provider.providerId),
      })),
      failingProviderCount: failing.length,
      storeBytes: this.deps.store.fileBytes,
    };
  }

  #stateOf(checks: ReadinessChecks, needsPerson: boolean): DaemonState {
    if (this.deps.subscribers.draining) return "draining";
    if (!Object.values(checks).every((check) => check === true)) return "not_ready";
    return needsPerson ? "attention" : "ready";
  }

  /** What comes next in the queue of due work. */
  #planned(limit: number): Planned {
    const planned: Planned = { nextRefreshes: [], endingTokens: [] };
    const endsMs = this.deps.clock.nowMs() + endingMs;
    const batch = Math.min(maxLooks, limit * 2);
    let after: DueEntry | undefined;
    for (let looks = 0; looks < maxLooks; looks += batch) {
      const entries = this.deps.store.due(Number.POSITIVE_INFINITY, Math.min(batch, maxLooks - looks), after);
      for (const entry of entries) this.#plan(planned, entry, limit, endsMs);
      after = entries.at(-1);
      const isPast = after === undefined || after.dueAtMs > endsMs || planned.endingTokens.length === limit;
      if (entries.length < batch || (planned.nextRefreshes.length === limit && isPast)) break;
    }
    return planned;
  }

  #plan(planned: Planned, { connectionId, dueAtMs }: DueEntry, limit: number, endsMs: number): void {
    const connection = this.deps.store.getConnection(connectionId);
    if (!connection) return;
    const { providerId, providerName, failedRefreshes } = connection;
    const place = { connectionId, providerId, providerName };
    const action = dueAction(connection, dueAtMs);
    if (action === "refresh" && planned.nextRefreshes.length < limit) {
      planned.nextRefreshes.push({ ...place, dueAtMs, failedRefreshes });
    }
    const ends = action === "announce_expiry" && dueAtMs <= endsMs && planned.endingTokens.length < limit;
    if (ends) planned.endingTokens.push({ ...place, expiresAtMs: dueAtMs });
  }
}

interface Planned {
  readonly nextRefreshes: NextRefresh[];
  readonly endingTokens: EndingToken[];
}
