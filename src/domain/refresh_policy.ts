import type { Connection } from "../model/connection.js";
import { type Backoff, fullJitterMs } from "../runtime/backoff.js";

/** Upper bound of the refresh window. */
const maxWindowMs = 5 * 60_000;
/** Share of the lifetime that the window takes when that is less. */
const windowShare = 0.2;
/** Refreshes start up to this share of the window early, so that tokens issued together are not refreshed together. */
const jitterShare = 0.25;

const retryBackoff: Backoff = { baseMs: 1_000, maxMs: 60 * 60_000 };
/** Full jitter may draw 0; a provider is not asked again sooner than this. */
const minRetryMs = 250;
/** After this many failures in a row, callers no longer cause attempts of their own. */
const demandAttempts = 5;

/**
 * When to refresh a token: `expires - window - jitter`.
 *
 * @param overrideMs window of the profile, in place of the smaller of 5 minutes and 20 % of the lifetime; at most half of the lifetime counts
 * @param random uniform in [0, 1)
 */
export function refreshNotBeforeMs(
  issuedAtMs: number,
  expiresAtMs: number,
  overrideMs: number | undefined,
  random: number,
): number {
  const lifetimeMs = Math.max(0, expiresAtMs - issuedAtMs);
  const windowMs = Math.min(overrideMs ?? Math.min(maxWindowMs, lifetimeMs * windowShare), lifetimeMs / 2);
  return Math.round(expiresAtMs - windowMs * (1 + jitterShare * random));
}

/**
 * Delay before the next attempt.
 *
 * @param failures failed attempts in a row, at least 1
 * @param retryAfterMs what the provider asked for; never undercut
 */
export function retryDelayMs(failures: number, retryAfterMs: number | undefined, random: number): number {
  return Math.max(minRetryMs, retryAfterMs ?? 0, fullJitterMs(retryBackoff, failures, random));
}

/** Whether a caller's demand may cause an attempt now, or must wait for the time set. */
export function demandMayRefresh(connection: Connection, nowMs: number): boolean {
  const retryAtMs = connection.problem?.retryAtMs;
  return retryAtMs === undefined || retryAtMs <= nowMs || connection.failedRefreshes <= demandAttempts;
}

/** What a connection needs when its due time has come. */
export type DueAction = "refresh" | "announce_expiry" | "expire_request" | "none";

/** The due action at `nowMs`; a refresh comes before an expiry, since it may make it moot. */
export function dueAction(connection: Connection, nowMs: number): DueAction {
  if (isPast(connection.requestExpiresAtMs, nowMs)) return "expire_request";
  if (connection.status !== "active") return "none";
  if (isPast(refreshDueMs(connection), nowMs)) return "refresh";
  return isPast(connection.expiresAtMs, nowMs) ? "announce_expiry" : "none";
}

/**
 * When the daemon must look at a connection next; undefined when never. An expiry that has passed is not due any more: the
 * commit that this is computed for announces it.
 */
export function nextDueMs(connection: Connection, nowMs: number): number | undefined {
  const times: number[] = [];
  const add = (timeMs: number | undefined): void => {
    if (timeMs !== undefined) times.push(timeMs);
  };
  add(connection.requestExpiresAtMs);
  if (connection.status === "active") {
    add(refreshDueMs(connection));
    if (!isPast(connection.expiresAtMs, nowMs)) add(connection.expiresAtMs);
  }
  return times.length === 0 ? undefined : Math.min(...times);
}

function refreshDueMs(connection: Connection): number | undefined {
  if (!connection.refreshable || connection.problem?.reason === "provider_deleted") return undefined;
  return connection.problem?.retryAtMs ?? connection.refreshNotBeforeMs;
}

function isPast(timeMs: number | undefined, nowMs: number): boolean {
  return timeMs !== undefined && timeMs <= nowMs;
}
