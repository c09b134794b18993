import type { FailingProvider } from "../../model/connections/daemon_status.js";
import { FailedPrecondition } from "../../model/errors.js";
import { problemMessages } from "../../model/problem_reason.js";
import type { ProviderProfile } from "../../model/providers/provider_profile.js";
import { noTracing, type Tracing } from "../../model/tracing.js";
import type { Changes } from "../../runtime/changes.js";
import { unlessUnreadable } from "../../store/records/unreadable.js";
import type { PendingConsents } from "../consent/pending_consents.js";
import { FailingProviders } from "./limits/failing_providers.js";
import { ProviderConcurrency } from "./limits/provider_concurrency.js";
import { ProviderSuspensions } from "./limits/provider_suspensions.js";
import { OutcomeWriter } from "./outcome_writer.js";
import type { RefreshOutcome } from "./refresh_outcome.js";
import type { RefresherDeps } from "./refresh_preparation.js";
import { RefreshScheduler } from "./refresh_scheduler.js";
import { Refresher } from "./refresher.js";

/** What the engine makes for the refresher. */
type OwnParts = "concurrency" | "suspensions" | "outcomes" | "failing" | "tracing";

/** The parts that keep tokens alive, put together. */
export class RefreshEngine {
  readonly refresher: Refresher;
  readonly #suspensions: ProviderSuspensions;
  readonly #failing: FailingProviders;
  readonly #concurrency: ProviderConcurrency<RefreshOutcome>;
  readonly #scheduler: RefreshScheduler;

  constructor(
    private readonly deps: Omit<RefresherDeps, OwnParts> & {
      readonly changes: Changes;
      readonly pending: PendingConsents;
      /** None by default. */
      readonly tracing?: Tracing;
    },
  ) {
    const concurrency = new ProviderConcurrency<RefreshOutcome>(deps.clock, (id) => this.#placesOf(id));
    this.#concurrency = concurrency;
    this.#suspensions = new ProviderSuspensions(deps);
    const suspensions = this.#suspensions;
    const failing = new FailingProviders({ ...deps, suspensions });
    this.#failing = failing;
    const outcomes = new OutcomeWriter({ ...deps, suspensions });
    this.refresher = new Refresher({
      tracing: noTracing,
      ...deps,
      concurrency,
      suspensions,
      outcomes,
      failing,
    });
    this.#scheduler = new RefreshScheduler({
      ...deps,
      concurrency,
      suspensions,
      refresher: this.refresher,
    });
    const { changes } = deps;
    changes.on("connections", (changed) => this.#scheduler.wake(changed));
    changes.on("provider", (providerId) => this.#profileChanged(providerId));
    changes.on("consentFailed", (providerId, reason) => failing.consentFailed(providerId, reason));
    changes.on("clientAccepted", (providerId) => this.#clientAccepted(providerId));
  }

  start(): void {
    this.#scheduler.start();
  }

  #placesOf(providerId: string): number {
    const profile = unlessUnreadable(() => this.deps.store.getProvider(providerId));
    return profile?.maxConcurrentRequests ?? 0;
  }

  /** A profile was fixed, or is gone: what waits for it is looked at again. */
  #profileChanged(providerId: string): void {
    this.#failing.forgetAll(providerId);
    // The leader wakes them.
    if (this.deps.store.role === "follower") return;
    this.#suspensions
      .resume(providerId)
      .catch((error: unknown) => this.deps.log.error({ providerId, error }, "connections were not woken"));
  }

  /** The provider has accepted the client for a consent: if it is suspended, a probe goes out now. */
  #clientAccepted(providerId: string): void {
    this.#failing.forgetAll(providerId);
    this.#suspensions.resumeNow(providerId).then(
      () => this.#scheduler.arm(),
      (error: unknown) =>
        this.deps.log.error({ providerId, error }, "the probe of a provider was not moved up"),
    );
  }

  /** Starts nothing more; what is under way ends and is stored. */
  async stop(): Promise<void> {
    this.#concurrency.close();
    await this.#scheduler.stop();
    await Promise.all([this.#concurrency.settled(), this.#suspensions.settled()]);
  }

  /**
   * Runs a request at a provider that is no refresh, within the same limits and behind those that are.
   *
   * @param key no two at a time have the same
   * @throws FailedPrecondition while the provider refuses the client; ConcurrencyClosed; ConcurrencyCrowded; what `request` throws
   */
  async admit<R>(profile: ProviderProfile, key: string, request: () => Promise<R>): Promise<R> {
    if (this.#suspensions.of(profile)) {
      const details = problemMessages.misconfigured;
      throw new FailedPrecondition("PROVIDER_MISCONFIGURED", details, undefined, "misconfigured");
    }
    return await this.#concurrency.admit(profile.id, key, request);
  }

  /** How long the first entry of the queue has been due; 0 when nothing is late. */
  lagMs(): number {
    return this.#scheduler.lagMs();
  }

  get suspendedProviders(): number {
    return this.#suspensions.count;
  }

  /** Those that fail longest first. */
  failingProviders(): FailingProvider[] {
    return this.#failing.list();
  }

  /** Requests that are under way, and refreshes that wait for a place. */
  get load(): { readonly running: number; readonly waiting: number } {
    return { running: this.#concurrency.running, waiting: this.#concurrency.waiting };
  }

  /** For `/readyz`: true, or what is wrong. */
  health(): true | string {
    return this.#scheduler.stuck() ?? true;
  }
}
