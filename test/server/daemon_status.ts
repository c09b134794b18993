import type { DaemonStatus, NextRefresh } from "../../src/model/connections/daemon_status.js";

const minuteMs = 60_000;
export const statusTimeMs = Date.UTC(2026, 10, 24, 12, 0, 0);

/** A daemon that was just started and is well, but for `change`. */
export function daemonStatus(change: Partial<DaemonStatus> = {}): DaemonStatus {
  return {
    state: "ready",
    checks: { serving: true, refreshing: true, storing: true },
    version: "0.1.0",
    timeMs: statusTimeMs,
    startedAtMs: statusTimeMs - 190 * minuteMs,
    uptimeMs: 190 * minuteMs,
    connections: { pending: 0, active: 0, attention: 0, revoked: 0, expired: 0, failed: 0 },
    subscribers: 0,
    refreshesRunning: 0,
    refreshesWaiting: 0,
    refreshLagMs: 0,
    nextRefreshes: [],
    endingTokens: [],
    failingProviders: [],
    failingProviderCount: 0,
    storeBytes: 131_072,
    ...change,
  };
}

export function planned(change: Partial<NextRefresh> = {}): NextRefresh {
  return {
    connectionId: "c",
    providerId: "p",
    providerName: "github",
    dueAtMs: statusTimeMs + 4 * minuteMs,
    failedRefreshes: 0,
    ...change,
  };
}

export function failing(
  change: Partial<DaemonStatus["failingProviders"][number]> = {},
): DaemonStatus["failingProviders"][number] {
  return {
    providerId: "p",
    providerName: "acme",
    reason: "transient",
    message: "the provider did not process the request (503)",
    isSuspended: false,
    isConsent: false,
    sinceMs: statusTimeMs - 4 * minuteMs,
    lastFailedAtMs: statusTimeMs - 1_000,
    failures: 7,
    retryAtMs: undefined,
    connections: 120,
    ...change,
  };
}
