import type { FailingProvider, FailingReason } from "../../../model/connections/daemon_status.js";
import { type ProblemReason, problemMessages } from "../../../model/problem_reason.js";
import type { ProviderProfile } from "../../../model/providers/provider_profile.js";
import type { GrantFailure } from "../../../oauth/failure.js";
import type { Clock } from "../../../runtime/clock.js";
import { unlessUnreadable } from "../../../store/records/unreadable.js";
import type { Store } from "../../../store/store.js";
import type { ProviderSuspensions } from "./provider_suspensions.js";

/** One failure may be a hiccup; after an answer that was lost the daemon sends no more than one other request. */
const failingAfter = 2;

/** Why a consent came to nothing that is not the person's doing. */
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

interface Trouble {
  readonly sinceMs: number;
  readonly lastFailedAtMs: number;
  readonly failures: number;
  readonly reason: FailingReason;
  readonly message: string;
}

/**
 * Providers at which refreshes or consents fail. The store knows those that are suspended. Those whose last requests or last consent failed
 * are remembered here until one succeeds or the process ends.
 */
export class FailingProviders {
  readonly #troubles = new Map<string, Trouble>();
  readonly #consents = new Map<string, Trouble>();

  constructor(
    private readonly deps: {
      readonly store: Store;
      readonly suspensions: ProviderSuspensions;
      readonly clock: Clock;
    },
  ) {}

  /** A request was not answered, or not usably. @param message one sentence, without a text of the provider */
  failed(providerId: string, reason: FailingReason, message: string): void {
    this.#count(this.#troubles, providerId, reason, message);
  }

  /** A consent came to nothing; one by the person's doing says nothing about the provider. */
  consentFailed(providerId: string, why: string): void {
    const problem = why as ProblemReason;
    const reason = consentFaults[problem];
    if (reason) this.#count(this.#consents, providerId, reason, problemMessages[problem]);
  }

  #count(troubles: Map<string, Trouble>, providerId: string, reason: FailingReason, message: string): void {
    const nowMs = this.deps.clock.nowMs();
    const before = troubles.get(providerId);
    troubles.set(providerId, {
      sinceMs: before?.sinceMs ?? nowMs,
      lastFailedAtMs: nowMs,
      failures: (before?.failures ?? 0) + 1,
      reason,
      message,
    });
  }

  /** A consent succeeded, or the profile is another one now: nothing is known against the provider. */
  forgetAll(providerId: string): void {
    this.forget(providerId);
    this.#consents.delete(providerId);
  }

  /** A refusal of one grant is an answer like any other. */
  grantFailed(providerId: string, { kind, message }: GrantFailure): void {
    if (kind === "invalid_grant") this.forget(providerId);
    else this.failed(providerId, kind === "client" ? "misconfigured" : kind, message);
  }

  /** A refresh was answered. */
  forget(providerId: string): void {
    this.#troubles.delete(providerId);
    if (this.#consents.get(providerId)?.reason === "transient") this.#consents.delete(providerId);
  }

  /** Those that fail longest first. */
  list(): FailingProvider[] {
    const suspended = this.deps.store.listSuspensions().flatMap(({ providerId }) => {
      const profile = this.#profileOf(providerId);
      return profile ? this.#suspended(profile) : [];
    });
    const troubled = [...this.#troubles].flatMap(([providerId, trouble]) => {
      if (trouble.failures < failingAfter) return [];
      // The refusal of the client was the failure, and it is over, or was that of one connection while others are accepted.
      if (trouble.reason === "misconfigured" && !this.deps.store.getSuspension(providerId)?.unconfirmed)
        return [];
      return this.#troubled(providerId, trouble, false);
    });
    const consents = [...this.#consents].flatMap(([id, trouble]) => this.#troubled(id, trouble, true));
    // Of one provider the last says most.
    const all = new Map([...consents, ...troubled, ...suspended].map((each) => [each.providerId, each]));
    return [...all.values()].sort((one, other) => one.sinceMs - other.sinceMs);
  }

  #troubled(providerId: string, trouble: Trouble, isConsent: boolean): FailingProvider[] {
    const profile = this.#profileOf(providerId);
    if (!profile) return [];
    const common = { providerId, providerName: profile.name, isSuspended: false, retryAtMs: undefined };
    return [{ ...common, isConsent, ...trouble }];
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
        isConsent: false,
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
