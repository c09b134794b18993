import type { Connection, Refusals } from "../../../model/connections/connection.js";
import { unlessDataLoss } from "../../../model/errors.js";
import type { ProviderProfile } from "../../../model/providers/provider_profile.js";
import type { Suspension } from "../../../model/providers/suspension.js";
import { isRefreshable, probeAtMs, suspensionDelayMs } from "../../../model/refresh/refresh_policy.js";
import { SingleFlight } from "../../../runtime/single_flight.js";
import type { Transaction } from "../../../store/transaction.js";
import {
  type ConnectionChange,
  changeConnection,
  problemSince,
} from "../../connections/state/connection_change.js";
import type { StoreParts } from "../../credentials/parts.js";

/** Connections read or woken at a time. */
const page = 256;

/**
 * Providers that refuse the client of their profile. Their connections keep their tokens and say `misconfigured` as they fall due. One of
 * them is sent as a probe from time to time, and a change of the profile wakes them all. A refusal speaks for all of them as `afterRefusal`
 * says. Until then, the one that was refused is retried by itself.
 */
export class ProviderSuspensions {
  readonly #wakings = new SingleFlight<string, void>();
  /** By provider: when it last accepted the client for a refresh, and by which version of the profile. */
  readonly #accepted = new Map<string, { readonly atMs: number; readonly profileVersion: bigint }>();

  constructor(
    private readonly deps: StoreParts & {
      readonly random: () => number;
    },
  ) {}

  /** The suspension that holds for this version of the profile. */
  of(profile: ProviderProfile): Suspension | undefined {
    const suspension = this.deps.store.getSuspension(profile.id);
    return suspension && holds(suspension, profile) && !suspension.unconfirmed ? suspension : undefined;
  }

  get count(): number {
    return this.deps.store.listSuspensions().filter(({ unconfirmed }) => !unconfirmed).length;
  }

  /** In the commit that marks the connection for which the provider cannot be asked at all: so it is for every other one. */
  suspend(tx: Transaction, profile: ProviderProfile, connectionId: string, isProbe: boolean): void {
    const before = this.going(tx, profile);
    const going = before?.unconfirmed ? undefined : before;
    // Requests that were under way with the first refusal show nothing new.
    if (going && !isProbe) return;
    const nowMs = this.deps.clock.nowMs();
    const failures = (going?.failures ?? 0) + 1;
    const retryAtMs = nowMs + suspensionDelayMs(failures, this.deps.random());
    const sinceMs = before?.sinceMs ?? nowMs;
    putSuspension(tx, profile, connectionId, { sinceMs, failures, retryAtMs }, false);
  }

  /** In the commit that marks the first connection whose client is refused: it speaks for itself until another one is. */
  suspect(tx: Transaction, profile: ProviderProfile, connectionId: string): void {
    const nowMs = this.deps.clock.nowMs();
    putSuspension(tx, profile, connectionId, { sinceMs: nowMs, failures: 1, retryAtMs: nowMs }, true);
  }

  /** The refusals of a connection with the one that came now. */
  refusedAgain({ problem }: Connection, profile: ProviderProfile, httpStatus: number): Refusals {
    const nowMs = this.deps.clock.nowMs();
    const before = problem?.refused;
    if (before?.profileVersion !== profile.version) {
      const { version: profileVersion } = profile;
      return { sinceMs: nowMs, lastMs: nowMs, times: 1, alone: 0, profileVersion, httpStatus };
    }
    const accepted = this.#accepted.get(profile.id);
    // A time ahead of the clock is from before it was set back.
    const isAlone =
      accepted?.profileVersion === profile.version &&
      accepted.atMs >= before.lastMs &&
      accepted.atMs <= nowMs;
    const alone = before.alone + (isAlone ? 1 : 0);
    return { ...before, lastMs: nowMs, times: before.times + 1, alone, httpStatus };
  }

  /** The provider knows the client: what waits for it is woken. */
  async accepted({ id, version }: ProviderProfile): Promise<void> {
    this.#accepted.set(id, { atMs: this.deps.clock.nowMs(), profileVersion: version });
    const suspension = this.deps.store.getSuspension(id);
    if (!suspension?.unconfirmed) return await this.resume(id);
    await this.deps.store.commit((tx) => {
      const current = tx.getSuspension(id);
      if (!current?.unconfirmed) return;
      tx.deleteSuspension(id);
      this.#wakeOne(tx, current.probeConnectionId);
    });
  }

  /** When the scheduler must look at suspensions next. */
  nextDueMs(): number | undefined {
    const nowMs = this.deps.clock.nowMs();
    const times = this.deps.store.listSuspensions().map((each) => {
      if (this.#isOver(each)) return 0;
      return each.unconfirmed ? Number.POSITIVE_INFINITY : probeAtMs(each.retryAtMs, nowMs);
    });
    return times.length === 0 ? undefined : Math.min(...times);
  }

  /** Ends what is over and answers the connections to send as probes; their suspensions are put off until the outcome. */
  async takeProbes(): Promise<string[]> {
    const nowMs = this.deps.clock.nowMs();
    const probes: string[] = [];
    for (const suspension of this.deps.store.listSuspensions()) {
      if (this.#isOver(suspension)) {
        await this.resume(suspension.providerId);
      } else if (!suspension.unconfirmed && probeAtMs(suspension.retryAtMs, nowMs) <= nowMs) {
        const probe = this.#candidate(suspension);
        await this.#putOff(suspension);
        if (probe) probes.push(probe.id);
      }
    }
    return probes;
  }

  /**
   * The provider has accepted the client for a consent. One probe now asks whether it does for refreshes, too. A grant type that the client
   * may not use is still refused, and waking all connections would make each of them ask.
   */
  async resumeNow(providerId: string): Promise<void> {
    const nowMs = this.deps.clock.nowMs();
    if (!this.deps.store.getSuspension(providerId)) return;
    await this.deps.store.commit((tx) => {
      const suspension = tx.getSuspension(providerId);
      if (suspension?.unconfirmed) return this.#wakeOne(tx, suspension.probeConnectionId);
      if (!suspension || suspension.resuming || suspension.retryAtMs <= nowMs) return;
      tx.putSuspension({ ...suspension, retryAtMs: nowMs });
    });
  }

  /** Wakes every connection that waits for this provider; a crash in between is made good at the next start. */
  async resume(providerId: string): Promise<void> {
    if (!this.deps.store.getSuspension(providerId)) return;
    await this.#wakings.run(providerId, () => this.#wake(providerId));
  }

  async settled(): Promise<void> {
    await this.#wakings.settled();
  }

  async #wake(providerId: string): Promise<void> {
    await this.deps.store.commit((tx) => {
      const suspension = tx.getSuspension(providerId);
      if (suspension) tx.putSuspension({ ...suspension, resuming: true });
    });
    this.deps.log.info({ providerId }, "provider is no longer suspended");
    let afterId: string | undefined;
    for (;;) {
      const connections = this.deps.store.listConnections({ providerId, afterId, limit: page });
      const waiting = connections.filter(({ problem }) => problem?.reason === "misconfigured");
      if (waiting.length > 0) await this.#wakePage(waiting);
      afterId = connections.at(-1)?.id;
      if (connections.length < page) break;
    }
    await this.deps.store.commit((tx) => {
      if (tx.getSuspension(providerId)?.resuming) tx.deleteSuspension(providerId);
    });
  }

  async #wakePage(waiting: readonly Connection[]): Promise<void> {
    await this.deps.store.commit((tx) => {
      for (const { id } of waiting) this.#wakeOne(tx, id);
    });
  }

  #wakeOne(tx: Transaction, connectionId: string): void {
    const nowMs = this.deps.clock.nowMs();
    const connection = tx.getConnection(connectionId);
    if (connection?.problem?.reason !== "misconfigured") return;
    tx.putConnection(changeConnection(connection, awake(connection, nowMs), nowMs));
  }

  /** Unconfirmed ones too. */
  going(tx: Transaction, profile: ProviderProfile): Suspension | undefined {
    const suspension = tx.getSuspension(profile.id);
    return suspension && holds(suspension, profile) ? suspension : undefined;
  }

  async #putOff(suspension: Suspension): Promise<void> {
    const delayMs = suspensionDelayMs(suspension.failures, this.deps.random());
    await this.deps.store.commit((tx) => {
      const current = tx.getSuspension(suspension.providerId);
      if (!current || current.resuming) return;
      tx.putSuspension({ ...current, retryAtMs: this.deps.clock.nowMs() + delayMs });
    });
  }

  /** Not that of a profile that cannot be read. */
  #isOver(suspension: Suspension): boolean {
    const found = unlessDataLoss(() => ({ profile: this.deps.store.getProvider(suspension.providerId) }));
    return found !== undefined && !(found.profile && holds(suspension, found.profile));
  }

  /** One that was not refused yet, else the next in turn: one that only its own quirk makes the provider refuse does not speak for all. */
  #candidate({ providerId, probeConnectionId }: Suspension): Connection | undefined {
    const behind = this.deps.store.listConnections({ providerId, afterId: probeConnectionId, limit: page });
    const fromStart = this.deps.store.listConnections({ providerId, limit: page });
    const able = [...behind, ...fromStart].filter(isRefreshable);
    const waiting = able.filter(({ problem }) => problem?.reason === "misconfigured");
    const isNew = ({ problem }: Connection): boolean => problem?.refused === undefined;
    return waiting.find(isNew) ?? able.find(isNew) ?? waiting[0] ?? able[0];
  }
}

function putSuspension(
  tx: Transaction,
  { id: providerId, version: profileVersion }: ProviderProfile,
  probeConnectionId: string,
  times: Pick<Suspension, "sinceMs" | "failures" | "retryAtMs">,
  unconfirmed: boolean,
): void {
  tx.putSuspension({ ...times, providerId, profileVersion, probeConnectionId, resuming: false, unconfirmed });
}

function holds(suspension: Suspension, profile: ProviderProfile): boolean {
  return suspension.profileVersion === profile.version && !suspension.resuming;
}

/** A refresh is due at once where it was due before, or was refused; refusals are remembered until one succeeds. */
function awake(connection: Connection, nowMs: number): ConnectionChange {
  const refreshNotBeforeMs = connection.refreshNotBeforeMs ?? nowMs;
  const refused = connection.problem?.refused;
  const problem = refused && {
    ...problemSince(connection, "refresh_failing", nowMs, nowMs),
    refused,
  };
  return { status: "active", problem, failedRefreshes: 0, refreshNotBeforeMs };
}
