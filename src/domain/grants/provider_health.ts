import type { Connection, Refusals } from "../../model/connections/connection.js";
import type { FailingProvider, FailingReason } from "../../model/connections/daemon_status.js";
import type { RefreshOutcome } from "../../model/connections/refresh_outcome.js";
import { FailedPrecondition, Unavailable, unlessDataLoss } from "../../model/errors.js";
import { type ProblemReason, problemMessages } from "../../model/problem_reason.js";
import type { ProviderProfile } from "../../model/providers/provider_profile.js";
import type { Suspension } from "../../model/providers/suspension.js";
import { isRefreshable, probeAtMs, suspensionDelayMs } from "../../model/refresh/refresh_policy.js";
import type { GrantFailure } from "../../oauth/failure.js";
import type { Changes } from "../../runtime/changes.js";
import { SingleFlight } from "../../runtime/single_flight.js";
import { unlessUnreadable } from "../../store/records/unreadable.js";
import type { Transaction } from "../../store/transaction.js";
import {
  type ConnectionChange,
  changeConnection,
  problemSince,
  type StoreParts,
} from "../connections/connections.js";
import { NotStarted, type RefreshPriority, RequestSlots } from "./request_slots.js";

/** One failure may be a hiccup; after an answer that was lost the daemon sends no more than one other request. */
const failingAfter = 2;
/** Connections read or woken at a time. */
const page = 256;

/** Why a consent failed that is not the user's doing. */
const consentFaults: Readonly<Partial<Record<ProblemReason, FailingReason>>> = {
  client_rejected: "misconfigured",
  misconfigured: "misconfigured",
  unsupported_demand: "misconfigured",
  provider_unreachable: "transient",
  issuer_mismatch: "rejected",
  token_exchange_failed: "rejected",
  id_token_verification_failed: "rejected",
  clock_skew: "rejected",
};

interface ProviderTrouble {
  readonly sinceMs: number;
  readonly lastFailedAtMs: number;
  readonly failures: number;
  readonly reason: FailingReason;
  readonly message: string;
}

/** What is known of one provider in this process. */
interface HealthRecord {
  /** How its last refreshes failed, and its last consents. */
  refreshes?: ProviderTrouble | undefined;
  consents?: ProviderTrouble | undefined;
  /** When it last accepted the client for a refresh, and by which version of the profile. */
  accepted?: { readonly atMs: number; readonly profileVersion: bigint };
}

/**
 * Whether providers are well, and what follows from that for requests to them: how many may run, and when the next one may try. A provider
 * that refuses the client of its profile is suspended, which the store knows. Everything else is known until the process ends.
 *
 * The connections of a suspended provider keep their tokens and say `misconfigured` as they fall due. One of them is sent as a probe from
 * time to time, and a change of the profile wakes them all.
 */
export class ProviderHealth {
  readonly #known = new Map<string, HealthRecord>();
  readonly #slots: RequestSlots<RefreshOutcome>;
  readonly #wakings = new SingleFlight<string, void>();

  constructor(
    private readonly deps: StoreParts & {
      readonly changes: Changes;
      /** Uniform in [0, 1). */
      readonly random: () => number;
    },
  ) {
    const { store, clock, changes } = deps;
    const capOf = (providerId: string) =>
      unlessUnreadable(() => store.getProvider(providerId))?.maxConcurrentRequests ?? 0;
    this.#slots = new RequestSlots<RefreshOutcome>(clock, capOf);
    changes.on("provider", (providerId) => this.#profileChanged(providerId));
    changes.on("consentFailed", (providerId, reason) => this.#consentFailed(providerId, reason));
  }

  /** Requests that run, and those that wait for a slot. */
  get load(): { readonly running: number; readonly waiting: number } {
    return this.#slots.load;
  }

  /** Whether a due refresh at the provider would start at once. */
  hasRoom(providerId: string): boolean {
    return this.#slots.hasRoom(providerId);
  }

  /**
   * Runs a refresh when there is a slot. One of the same connection that waits or runs is shared.
   *
   * @param isLastSend what it sends may be sent once more only
   */
  async refresh(
    { id, providerId }: Connection,
    priority: RefreshPriority,
    work: () => Promise<RefreshOutcome>,
    isLastSend: boolean,
  ): Promise<RefreshOutcome> {
    try {
      return await this.#slots.refresh(providerId, id, priority, work, isLastSend);
    } catch (error) {
      if (!(error instanceof NotStarted)) throw error;
      return error.why === "closed" ? "stopped" : "retry";
    }
  }

  /**
   * Runs a request that is no refresh, within the same limits and behind refreshes.
   *
   * @param key no two at a time have the same
   * @throws FailedPrecondition while the provider refuses the client; Unavailable if too many wait, or the daemon stops; what `request` throws
   */
  async admit<R>(profile: ProviderProfile, key: string, request: () => Promise<R>): Promise<R> {
    if (this.suspension(profile)) {
      const details = problemMessages.misconfigured;
      throw new FailedPrecondition("PROVIDER_MISCONFIGURED", details, undefined, "misconfigured");
    }
    try {
      return await this.#slots.other(profile.id, key, request);
    } catch (error) {
      throw error instanceof NotStarted ? new Unavailable(error.message, 1_000) : error;
    }
  }

  /** A refresh brought a token set. */
  answered(providerId: string): void {
    this.#slots.answered(providerId);
    this.#forget(providerId);
  }

  /** A refresh was sent and failed. */
  failed(providerId: string, failure: GrantFailure): void {
    const { kind, httpStatus } = failure;
    // A success that cannot be used may have redeemed the refresh token anyway.
    const isLost = kind === "ambiguous" || kind === "rejected";
    if (!isLost && (httpStatus !== undefined || kind === "client")) this.#slots.answered(providerId);
    else if (this.#slots.unanswered(providerId, isLost))
      this.deps.log.warn(
        { providerId, failure: failure.message },
        "a provider's answers are lost: its refreshes wait behind one at a time",
      );
    this.notSent(providerId, failure);
  }

  /** A refresh failed, before it was sent at the earliest. The refusal of one grant is an answer like any other. */
  notSent(providerId: string, { kind, message }: GrantFailure): void {
    if (kind === "invalid_grant") {
      this.#forget(providerId);
      return;
    }
    const known = this.#of(providerId);
    known.refreshes = this.#again(known.refreshes, kind === "client" ? "misconfigured" : kind, message);
  }

  /** A consent failed; one that the user ended says nothing about the provider. */
  #consentFailed(providerId: string, why: string): void {
    const problem = why as ProblemReason;
    const reason = consentFaults[problem];
    if (!reason) return;
    const known = this.#of(providerId);
    known.consents = this.#again(known.consents, reason, problemMessages[problem]);
  }

  /** Those that fail longest first. */
  failing(): FailingProvider[] {
    const suspended = this.deps.store.listSuspensions().map(({ providerId }) => providerId);
    const troubled = [...this.#known].filter(([, { refreshes, consents }]) => refreshes ?? consents);
    const ids = new Set([...suspended, ...troubled.map(([id]) => id)]);
    return [...ids].flatMap((id) => this.#failing(id)).sort((one, other) => one.sinceMs - other.sinceMs);
  }

  /** The suspension that holds for this version of the profile. */
  suspension(profile: ProviderProfile): Suspension | undefined {
    const suspension = this.deps.store.getSuspension(profile.id);
    return suspension && holds(suspension, profile) && !suspension.unconfirmed ? suspension : undefined;
  }

  get suspendedProviders(): number {
    return this.deps.store.listSuspensions().filter(({ unconfirmed }) => !unconfirmed).length;
  }

  /** In the commit that marks the connection for which the provider cannot be called at all: nor can it for any other one. */
  suspend(tx: Transaction, profile: ProviderProfile, connectionId: string, isProbe: boolean): void {
    const before = going(tx, profile);
    const confirmed = before?.unconfirmed ? undefined : before;
    // Requests that were under way with the first refusal show nothing new.
    if (confirmed && !isProbe) return;
    const nowMs = this.deps.clock.nowMs();
    const failures = (confirmed?.failures ?? 0) + 1;
    const retryAtMs = nowMs + suspensionDelayMs(failures, this.deps.random());
    const sinceMs = before?.sinceMs ?? nowMs;
    putSuspension(tx, profile, connectionId, { sinceMs, failures, retryAtMs }, false);
  }

  /**
   * In the commit that marks a connection whose client is refused: suspends the provider if that speaks for all connections. The first one
   * that is refused speaks for itself until another one is.
   *
   * @returns its refusals with this one, and whether the provider is suspended
   */
  clientRefused(
    tx: Transaction,
    connection: Connection,
    profile: ProviderProfile,
    httpStatus: number,
    isProbe: boolean,
  ): { readonly refused: Refusals; readonly isSuspended: boolean } {
    const refused = this.refusals(connection, profile, httpStatus);
    const speaks = afterRefusal(going(tx, profile), connection.id, refused);
    if (speaks === "of_the_first") {
      const nowMs = this.deps.clock.nowMs();
      putSuspension(tx, profile, connection.id, { sinceMs: nowMs, failures: 1, retryAtMs: nowMs }, true);
    }
    if (speaks === "of_all") this.suspend(tx, profile, connection.id, isProbe);
    return { refused, isSuspended: speaks === "of_all" };
  }

  /** The refusals of a connection with the one that came now. */
  refusals({ problem }: Connection, profile: ProviderProfile, httpStatus: number): Refusals {
    const nowMs = this.deps.clock.nowMs();
    const before = problem?.refused;
    if (before?.profileVersion !== profile.version) {
      const { version: profileVersion } = profile;
      return { sinceMs: nowMs, lastMs: nowMs, times: 1, alone: 0, profileVersion, httpStatus };
    }
    const accepted = this.#known.get(profile.id)?.accepted;
    // A time ahead of the clock is from before it was set back.
    const isAlone =
      accepted?.profileVersion === profile.version &&
      accepted.atMs >= before.lastMs &&
      accepted.atMs <= nowMs;
    const alone = before.alone + (isAlone ? 1 : 0);
    return { ...before, lastMs: nowMs, times: before.times + 1, alone, httpStatus };
  }

  /** The provider knows the client of a refresh: a suspension is over, and what waits for it is woken in the background. */
  accepted({ id, version }: ProviderProfile): void {
    this.#of(id).accepted = { atMs: this.deps.clock.nowMs(), profileVersion: version };
    this.#wakeAfter(id).catch((error: unknown) => this.#notWoken(id, error));
  }

  /**
   * The provider has accepted the client for a consent. One probe now asks whether it does for refreshes, too. A grant type that the client
   * may not use is still refused, and waking all connections would make each of them ask.
   */
  async clientAccepted(providerId: string): Promise<void> {
    this.#forgetAll(providerId);
    const nowMs = this.deps.clock.nowMs();
    if (!this.deps.store.getSuspension(providerId)) return;
    await this.deps.store.commit((tx) => {
      const suspension = tx.getSuspension(providerId);
      if (suspension?.unconfirmed) return this.#wakeOne(tx, suspension.probeConnectionId);
      if (!suspension || suspension.resuming || suspension.retryAtMs <= nowMs) return;
      tx.putSuspension({ ...suspension, retryAtMs: nowMs });
    });
  }

  /** A profile was fixed, or is gone: what waits for it is looked at again. In a fleet, the leader wakes it. */
  #profileChanged(providerId: string): void {
    this.#forgetAll(providerId);
    if (this.deps.store.role === "follower") return;
    this.#resume(providerId).catch((error: unknown) => this.#notWoken(providerId, error));
  }

  /** When a probe is due next; undefined if there is none. */
  nextProbeMs(): number | undefined {
    const nowMs = this.deps.clock.nowMs();
    const times = this.deps.store.listSuspensions().map((each) => {
      if (this.#isOver(each)) return 0;
      return each.unconfirmed ? Number.POSITIVE_INFINITY : probeAtMs(each.retryAtMs, nowMs);
    });
    return times.length === 0 ? undefined : Math.min(...times);
  }

  /** Ends suspensions that are over, and returns the connections to send as probes; theirs are put off until the outcome. */
  async takeProbes(): Promise<string[]> {
    const nowMs = this.deps.clock.nowMs();
    const probes: string[] = [];
    for (const suspension of this.deps.store.listSuspensions()) {
      if (this.#isOver(suspension)) {
        await this.#resume(suspension.providerId);
      } else if (!suspension.unconfirmed && probeAtMs(suspension.retryAtMs, nowMs) <= nowMs) {
        const probe = this.#candidate(suspension);
        await this.#putOff(suspension);
        if (probe) probes.push(probe.id);
      }
    }
    return probes;
  }

  /** Starts nothing more. */
  close(): void {
    this.#slots.close();
  }

  /** Resolves when what waits or runs now is over. */
  async settled(): Promise<void> {
    await Promise.all([this.#slots.settled(), this.#wakings.settled()]);
  }

  #of(providerId: string): HealthRecord {
    let known = this.#known.get(providerId);
    if (!known) {
      known = {};
      this.#known.set(providerId, known);
    }
    return known;
  }

  #again(before: ProviderTrouble | undefined, reason: FailingReason, message: string): ProviderTrouble {
    const nowMs = this.deps.clock.nowMs();
    const failures = (before?.failures ?? 0) + 1;
    return { sinceMs: before?.sinceMs ?? nowMs, lastFailedAtMs: nowMs, failures, reason, message };
  }

  /** A refresh was answered: a consent reaches the provider again, too. */
  #forget(providerId: string): void {
    const known = this.#known.get(providerId);
    if (!known) return;
    known.refreshes = undefined;
    if (known.consents?.reason === "transient") known.consents = undefined;
  }

  /** A consent succeeded, or the profile is another one now: nothing is known against the provider. */
  #forgetAll(providerId: string): void {
    const known = this.#known.get(providerId);
    if (known) Object.assign(known, { refreshes: undefined, consents: undefined });
  }

  /** Of a provider, what is said is its suspension, else its refreshes, else its consents. */
  #failing(providerId: string): FailingProvider[] {
    const profile = unlessUnreadable(() => this.deps.store.getProvider(providerId));
    if (!profile) return [];
    const { refreshes, consents } = this.#known.get(providerId) ?? {};
    const common = { providerId, providerName: profile.name, isSuspended: false, isConsent: false };
    const suspension = this.suspension(profile);
    if (suspension) {
      const { sinceMs, failures, retryAtMs } = suspension;
      const { misconfigured: message } = problemMessages;
      const times = { sinceMs, lastFailedAtMs: refreshes?.lastFailedAtMs, failures, retryAtMs };
      return [{ ...common, reason: "misconfigured", message, isSuspended: true, ...times }];
    }
    const retryAtMs = undefined;
    if (refreshes && this.#isFailing(providerId, refreshes)) return [{ ...common, retryAtMs, ...refreshes }];
    return consents ? [{ ...common, isConsent: true, retryAtMs, ...consents }] : [];
  }

  #isFailing(providerId: string, { failures, reason }: ProviderTrouble): boolean {
    if (failures < failingAfter) return false;
    // The refusal of the client was the failure, and it is over, or was that of one connection while others are accepted.
    return reason !== "misconfigured" || this.deps.store.getSuspension(providerId)?.unconfirmed === true;
  }

  #notWoken(providerId: string, error: unknown): void {
    this.deps.log.error({ providerId, error }, "connections were not woken");
  }

  /** Of an unconfirmed suspension, one connection waits. */
  async #wakeAfter(providerId: string): Promise<void> {
    const suspension = this.deps.store.getSuspension(providerId);
    if (!suspension?.unconfirmed) return await this.#resume(providerId);
    await this.deps.store.commit((tx) => {
      const current = tx.getSuspension(providerId);
      if (!current?.unconfirmed) return;
      tx.deleteSuspension(providerId);
      this.#wakeOne(tx, current.probeConnectionId);
    });
  }

  /** Wakes every connection that waits for this provider; a crash in between is made good at the next start. */
  async #resume(providerId: string): Promise<void> {
    if (!this.deps.store.getSuspension(providerId)) return;
    await this.#wakings.run(providerId, () => this.#wake(providerId));
  }

  async #wake(providerId: string): Promise<void> {
    const { store } = this.deps;
    await store.commit((tx) => {
      const suspension = tx.getSuspension(providerId);
      if (suspension) tx.putSuspension({ ...suspension, resuming: true });
    });
    this.deps.log.info({ providerId }, "provider is no longer suspended");
    let afterId: string | undefined;
    for (;;) {
      const connections = store.listConnections({ providerId, afterId, limit: page });
      const waiting = connections.filter(({ problem }) => problem?.reason === "misconfigured");
      if (waiting.length > 0)
        await store.commit((tx) => {
          for (const { id } of waiting) this.#wakeOne(tx, id);
        });
      afterId = connections.at(-1)?.id;
      if (connections.length < page) break;
    }
    await store.commit((tx) => {
      if (tx.getSuspension(providerId)?.resuming) tx.deleteSuspension(providerId);
    });
  }

  #wakeOne(tx: Transaction, connectionId: string): void {
    const nowMs = this.deps.clock.nowMs();
    const connection = tx.getConnection(connectionId);
    if (connection?.problem?.reason !== "misconfigured") return;
    tx.putConnection(changeConnection(connection, awake(connection, nowMs), nowMs));
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
    const { store } = this.deps;
    const behind = store.listConnections({ providerId, afterId: probeConnectionId, limit: page });
    const fromStart = store.listConnections({ providerId, limit: page });
    const able = [...behind, ...fromStart].filter(isRefreshable);
    const waiting = able.filter(({ problem }) => problem?.reason === "misconfigured");
    const isNew = ({ problem }: Connection): boolean => problem?.refused === undefined;
    return waiting.find(isNew) ?? able.find(isNew) ?? waiting[0] ?? able[0];
  }
}

/**
 * Of which connections a refusal of the client speaks. Some servers (Gitea, Forgejo) refuse the client for one dead refresh token, so it
 * takes two connections, and none accepted between them, to speak of all.
 *
 * @param suspension of the provider for this version of its profile
 */
export function afterRefusal(
  suspension: Suspension | undefined,
  connectionId: string,
  { alone }: Refusals,
): "of_all" | "of_the_first" | "of_one" {
  if (suspension === undefined) return alone > 0 ? "of_one" : "of_the_first";
  const isSecond = suspension.probeConnectionId !== connectionId && alone === 0;
  return !suspension.unconfirmed || isSecond ? "of_all" : "of_one";
}

/** The suspension that holds, an unconfirmed one too. */
function going(tx: Transaction, profile: ProviderProfile): Suspension | undefined {
  const suspension = tx.getSuspension(profile.id);
  return suspension && holds(suspension, profile) ? suspension : undefined;
}

function holds(suspension: Suspension, profile: ProviderProfile): boolean {
  return suspension.profileVersion === profile.version && !suspension.resuming;
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
