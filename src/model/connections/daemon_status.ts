import type { ConnectionStatus } from "./connection.js";

/** See `nexus.v1.DaemonState`. */
export type DaemonState = "ready" | "attention" | "not_ready" | "draining";

/** The conditions of being ready by name: `true` for one that passes, else what is wrong. */
export type ReadinessChecks = Readonly<Record<string, boolean | string>>;

/** A refresh that is planned. */
export interface NextRefresh {
  readonly connectionId: string;
  readonly providerId: string;
  readonly providerName: string;
  readonly dueAtMs: number;
  readonly failedRefreshes: number;
}

/** A token that ends soon and cannot be refreshed. */
export interface EndingToken {
  readonly connectionId: string;
  readonly providerId: string;
  readonly providerName: string;
  readonly expiresAtMs: number;
}

/** See `nexus.v1.FailingProvider`. */
export type FailingReason = "misconfigured" | "transient" | "ambiguous" | "rejected";

/** A provider at which refreshing or consenting fails. */
export interface FailingProvider {
  readonly providerId: string;
  readonly providerName: string;
  readonly reason: FailingReason;
  /** One sentence; never a text of the provider. */
  readonly message: string;
  readonly isSuspended: boolean;
  /** What fails are consents. */
  readonly isConsent: boolean;
  readonly sinceMs: number;
  readonly lastFailedAtMs: number | undefined;
  /** In a row. */
  readonly failures: number;
  /** When the next probe may be sent. */
  readonly retryAtMs: number | undefined;
}

/** The daemon at one moment; every list is bounded. */
export interface DaemonStatus {
  readonly state: DaemonState;
  readonly checks: ReadinessChecks;
  readonly version: string;
  readonly timeMs: number;
  readonly startedAtMs: number;
  readonly uptimeMs: number;
  readonly connections: Readonly<Record<ConnectionStatus, number>>;
  readonly subscribers: number;
  readonly refreshesRunning: number;
  readonly refreshesWaiting: number;
  readonly refreshLagMs: number;
  readonly nextRefreshes: readonly NextRefresh[];
  readonly endingTokens: readonly EndingToken[];
  readonly failingProviders: readonly (FailingProvider & { readonly connections: number })[];
  readonly failingProviderCount: number;
  readonly storeBytes: number;
}
