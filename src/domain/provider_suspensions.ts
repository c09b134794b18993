import type { Connection } from "../model/connection.js";
import { DataLoss } from "../model/errors.js";
import type { ProviderProfile } from "../model/provider_profile.js";
import type { Suspension } from "../model/suspension.js";
import type { Clock } from "../runtime/clock.js";
import { SingleFlight } from "../runtime/single_flight.js";
import type { Store } from "../store/store.js";
import type { Transaction } from "../store/transaction.js";
import { type ConnectionChange, changeConnection } from "./connection_change.js";
import type { Log } from "./log.js";
import { isRefreshable, probeAtMs, suspensionDelayMs } from "./refresh_policy.js";

/** Connections read or woken at a time. */
const page = 256;

type SuspensionStore = Pick<
  Store,
  "commit" | "getProvider" | "getSuspension" | "listSuspensions" | "listConnections"
>;

/**
 * Providers that refuse the client of their profile. Their connections keep their tokens and say `misconfigured` as they
 * fall due; one of them is sent as a probe from time to time, and a change of the profile wakes them all.
 */
export class ProviderSuspensions {
  readonly #store: SuspensionStore;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #log: Log;
  readonly #wakings = new SingleFlight<string, void>();

  constructor(options: { store: SuspensionStore; clock: Clock; random: () => number; log: Log }) {
    this.#store = options.store;
    this.#clock = options.clock;
    this.#random = options.random;
    this.#log = options.log;
  }

  /** The suspension that holds for this version of the profile. */
  of(profile: ProviderProfile): Suspension | undefined {
    const suspension = this.#store.getSuspension(profile.id);
    return suspension && holds(suspension, profile) ? suspension : undefined;
  }

  get count(): number {
    return this.#store.listSuspensions().length;
  }

  /** In the commit that marks the connection which was refused. */
  suspend(tx: Transaction, profile: ProviderProfile, connectionId: string, isProbe: boolean): void {
    const before = tx.getSuspension(profile.id);
    const going = before && holds(before, profile) ? before : undefined;
    // Requests that were under way with the first refusal tell nothing new.
    if (going && !isProbe) return;
    const nowMs = this.#clock.nowMs();
    const failures = (going?.failures ?? 0) + 1;
    tx.putSuspension({
      providerId: profile.id,
      profileVersion: profile.version,
      sinceMs: going?.sinceMs ?? nowMs,
      failures,
      retryAtMs: nowMs + suspensionDelayMs(failures, this.#random()),
      probeConnectionId: connectionId,
      resuming: false,
    });
  }

  /** When the scheduler must look at suspensions next. */
  nextDueMs(): number | undefined {
    const nowMs = this.#clock.nowMs();
    const times = this.#store
      .listSuspensions()
      .map((each) => (this.#isOver(each) ? 0 : probeAtMs(each.retryAtMs, nowMs)));
    return times.length === 0 ? undefined : Math.min(...times);
  }

  /** Ends what is over and answers the connections to send as probes; their suspensions are put off until the outcome. */
  async takeProbes(): Promise<string[]> {
    const nowMs = this.#clock.nowMs();
    const probes: string[] = [];
    for (const suspension of this.#store.listSuspensions()) {
      if (this.#isOver(suspension)) {
        await this.resume(suspension.providerId);
      } else if (probeAtMs(suspension.retryAtMs, nowMs) <= nowMs) {
        const probe = this.#candidate(suspension);
        await this.#putOff(suspension);
        if (probe) probes.push(probe.id);
      }
    }
    return probes;
  }

  /**
   * The provider has accepted the client for a consent. Whether it does for refreshes too, one probe asks now; a grant type that the
   * client may not use is refused to it still, and waking all would have each of them ask.
   */
  async hasten(providerId: string): Promise<void> {
    const nowMs = this.#clock.nowMs();
    if (!this.#store.getSuspension(providerId)) return;
    await this.#store.commit((tx) => {
      const suspension = tx.getSuspension(providerId);
      if (!suspension || suspension.resuming || suspension.retryAtMs <= nowMs) return;
      tx.putSuspension({ ...suspension, retryAtMs: nowMs });
    });
  }

  /** Wakes every connection that waits for this provider; a crash in between is made good at the next start. */
  async resume(providerId: string): Promise<void> {
    if (!this.#store.getSuspension(providerId)) return;
    await this.#wakings.run(providerId, () => this.#wake(providerId));
  }

  async settled(): Promise<void> {
    await this.#wakings.settled();
  }

  async #wake(providerId: string): Promise<void> {
    await this.#store.commit((tx) => {
      const suspension = tx.getSuspension(providerId);
      if (suspension) tx.putSuspension({ ...suspension, resuming: true });
    });
    this.#log.info({ providerId }, "provider is no longer suspended");
    let afterId: string | undefined;
    for (;;) {
      const connections = this.#store.listConnections({ providerId, afterId, limit: page });
      const waiting = connections.filter(({ problem }) => problem?.reason === "misconfigured");
      if (waiting.length > 0) await this.#wakePage(waiting);
      afterId = connections.at(-1)?.id;
      if (connections.length < page) break;
    }
    await this.#store.commit((tx) => {
      if (tx.getSuspension(providerId)?.resuming) tx.deleteSuspension(providerId);
    });
  }

  async #wakePage(waiting: readonly Connection[]): Promise<void> {
    const nowMs = this.#clock.nowMs();
    await this.#store.commit((tx) => {
      for (const { id } of waiting) {
        const connection = tx.getConnection(id);
        if (connection?.problem?.reason !== "misconfigured") continue;
        tx.putConnection(changeConnection(connection, awake(connection, nowMs), nowMs));
      }
    });
  }

  async #putOff(suspension: Suspension): Promise<void> {
    const delayMs = suspensionDelayMs(suspension.failures, this.#random());
    await this.#store.commit((tx) => {
      const current = tx.getSuspension(suspension.providerId);
      if (!current || current.resuming) return;
      tx.putSuspension({ ...current, retryAtMs: this.#clock.nowMs() + delayMs });
    });
  }

  #isOver(suspension: Suspension): boolean {
    try {
      const profile = this.#store.getProvider(suspension.providerId);
      return !profile || !holds(suspension, profile);
    } catch (error) {
      if (error instanceof DataLoss) return false;
      throw error;
    }
  }

  /** The next connection in turn: one that only its own quirk makes the provider refuse does not speak for all. */
  #candidate({ providerId, probeConnectionId }: Suspension): Connection | undefined {
    const behind = this.#store.listConnections({ providerId, afterId: probeConnectionId, limit: page });
    const fromStart = this.#store.listConnections({ providerId, limit: page });
    const able = [...behind, ...fromStart].filter(isRefreshable);
    return able.find(({ problem }) => problem?.reason === "misconfigured") ?? able[0];
  }
}

function holds(suspension: Suspension, profile: ProviderProfile): boolean {
  return suspension.profileVersion === profile.version && !suspension.resuming;
}

/** A refresh is due at once where it was due before. */
function awake(connection: Connection, nowMs: number): ConnectionChange {
  const refreshNotBeforeMs = connection.refreshNotBeforeMs ?? nowMs;
  return { status: "active", problem: undefined, failedRefreshes: 0, refreshNotBeforeMs };
}
