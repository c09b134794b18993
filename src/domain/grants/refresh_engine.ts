import type { FailingProvider } from "../../model/connections/daemon_status.js";
import type { ProviderProfile } from "../../model/providers/provider_profile.js";
import { noTracing, type Tracing } from "../../model/tracing.js";
import type { Changes } from "../../runtime/changes.js";
import { OutcomeWriter } from "./outcomes.js";
import type { PendingConsents } from "./pending_consents.js";
import { ProviderHealth } from "./provider_health.js";
import { RefreshScheduler } from "./refresh_scheduler.js";
import { Refresher, type RefresherDeps } from "./refresher.js";

/** What the engine makes for the refresher. */
type OwnParts = "health" | "outcomes" | "tracing";

/** The parts that keep tokens alive, put together. */
export class RefreshEngine {
  readonly refresher: Refresher;
  readonly #health: ProviderHealth;
  readonly #scheduler: RefreshScheduler;

  constructor(
    deps: Omit<RefresherDeps, OwnParts> & {
      readonly changes: Changes;
      readonly pending: PendingConsents;
      /** None by default. */
      readonly tracing?: Tracing;
    },
  ) {
    const health = new ProviderHealth(deps);
    this.#health = health;
    const outcomes = new OutcomeWriter({ ...deps, health });
    this.refresher = new Refresher({ tracing: noTracing, ...deps, health, outcomes });
    this.#scheduler = new RefreshScheduler({ ...deps, health, refresher: this.refresher });
  }

  start(): void {
    this.#scheduler.start();
  }

  /** Starts nothing more; what is under way ends and is stored. */
  async stop(): Promise<void> {
    this.#health.close();
    await this.#scheduler.stop();
    await this.#health.settled();
  }

  /** See `ProviderHealth.admit`. */
  admit<R>(profile: ProviderProfile, key: string, request: () => Promise<R>): Promise<R> {
    return this.#health.admit(profile, key, request);
  }

  /** How long the first entry of the queue has been due; 0 when nothing is late. */
  lagMs(): number {
    return this.#scheduler.lagMs();
  }

  get suspendedProviders(): number {
    return this.#health.suspendedProviders;
  }

  /** Those that fail longest first. */
  failingProviders(): FailingProvider[] {
    return this.#health.failing();
  }

  /** Requests that are under way, and refreshes that wait for a place. */
  get load(): { readonly running: number; readonly waiting: number } {
    return this.#health.load;
  }

  /** For `/readyz`: true, or what is wrong. */
  health(): true | string {
    return this.#scheduler.stuck() ?? true;
  }
}
