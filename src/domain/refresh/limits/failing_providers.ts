import type { FailingProvider, FailingReason } from "../../../model/connections/daemon_status.js";
import { problemMessages } from "../../../model/problem_reason.js";
import type { ProviderProfile } from "../../../model/providers/provider_profile.js";
import type { GrantFailure } from "../../../oauth/failure.js";
import type { Clock } from "../../../runtime/clock.js";
import { unlessUnreadable } from "../../../store/records/unreadable.js";
import type { Store } from "../../../store/store.js";
import type { ProviderSuspensions } from "./provider_suspensions.js";

/** One failure may be a hiccup; after an answer that was lost the daemon sends no more than one other request. */
const failingAfter = 2;

interface Trouble {
  readonly sinceMs: number;
  readonly lastFailedAtMs: number;
  readonly failures: number;
  readonly reason: FailingReason;
  readonly message: string;
}

/**
 * Providers at which refreshing fails: those that are suspended, which the store knows, and those whose last requests failed, which are
 * remembered here until one is answered or the process ends.
 */
export class FailingProviders {
  readonly #troubles = new Map<string, Trouble>();

  constructor(
    private readonly deps: {
      readonly store: Store;
      readonly suspensions: Pick<ProviderSuspensions, "of">;
      readonly clock: Clock;
    },
  ) {}

  /** A request was not answered, or not usably. @param message one sentence, without a text of the provider */
  failed(providerId: string, reason: FailingReason, message: string): void {
    const nowMs = this.deps.clock.nowMs();
    const before = this.#troubles.get(providerId);
    this.#troubles.set(providerId, {
      sinceMs: before?.sinceMs ?? nowMs,
      lastFailedAtMs: nowMs,
      failures: (before?.failures ?? 0) + 1,
      reason,
      message,
    });
  }

  /** A refusal of one grant is an answer like any other. */
  grantFailed(providerId: string, { kind, message }: GrantFailure): void {
    if (kind === "invalid_grant") this.forget(providerId);
    else this.failed(providerId, kind === "client" ? "misconfigured" : kind, message);
  }

  /** The provider has done its part, or its profile is another one now. */
  forget(providerId: string): void {
    this.#troubles.delete(providerId);
  }

  /** Those that fail longest first. */
  list(): FailingProvider[] {
    const suspended = this.deps.store.listSuspensions().flatMap(({ providerId }) => {
      const profile = this.#profileOf(providerId);
      return profile ? this.#suspended(profile) : [];
    });
    const known = new Set(suspended.map(({ providerId }) => providerId));
    const troubled = [...this.#troubles].flatMap(([providerId, trouble]): FailingProvider[] => {
      if (trouble.failures < failingAfter || known.has(providerId)) return [];
      // The refusal of the client was the failure, and it is over, or was that of one connection while others are accepted.
      if (trouble.reason === "misconfigured" && !this.deps.store.getSuspension(providerId)?.unconfirmed)
        return [];
      const profile = this.#profileOf(providerId);
      if (!profile) return [];
      return [
        { providerId, providerName: profile.name, isSuspended: false, retryAtMs: undefined, ...trouble },
      ];
    });
    return [...suspended, ...troubled].sort((one, other) => one.sinceMs - other.sinceMs);
  }

  #suspended(profile: ProviderProfile): FailingProvider[] {
    const suspension = this.deps.suspensions.of(profile);
    if (!suspension) return [];
    const { sinceMs, failures, retryAtMs } = suspension;
    const trouble = this.#troubles.get(profile.id);
    return [
      {
        providerId: profile.id,
        providerName: profile.name,
        reason: "misconfigured",
        message: problemMessages.misconfigured,
        isSuspended: true,
        sinceMs,
        lastFailedAtMs: trouble?.lastFailedAtMs,
        failures,
        retryAtMs,
      },
    ];
  }

  #profileOf(providerId: string): ProviderProfile | undefined {
    return unlessUnreadable(() => this.deps.store.getProvider(providerId));
  }
}
