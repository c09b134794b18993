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

/** See `nexus.v1.FleetRole`. */
export type FleetRole = "follower" | "taking_over" | "leader" | "resigned";

/** A hub as it describes itself to the others. */
export interface FleetMemberState {
  readonly address: string;
  readonly version: string;
  readonly layout: number;
  readonly applied: bigint;
  readonly keyIds: readonly string[];
  readonly seenMs: number;
  readonly isLeader: boolean;
}

/** See `nexus.v1.FleetStatus`. */
export interface FleetState {
  readonly role: FleetRole;
  /** Of this hub. */
  readonly address: string;
  readonly waitsForStandby: boolean;
  readonly leader: string | undefined;
  readonly fence: bigint;
  readonly applied: bigint;
  readonly newest: bigint;
  readonly lastContactMs: number;
  readonly warnings: readonly string[];
  readonly mayNotLead: readonly string[];
  readonly outbox: number;
  readonly layout: number;
  readonly minLayout: number;
  readonly members: readonly FleetMemberState[];
}

/** See `nexus.v1.SpokeStatus`. */
export interface SpokeState {
  readonly hub: string;
  readonly isConnected: boolean;
  /** Since a hub last sent a message; undefined when none ever was. */
  readonly ageMs: number | undefined;
  /** What stands in the way; empty while the stream is open. */
  readonly trouble: string;
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
  /** Of a hub. */
  readonly fleet?: FleetState | undefined;
  readonly spoke?: SpokeState | undefined;
}
