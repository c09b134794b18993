import { type Backoff, fullJitterMs } from "../../runtime/backoff.js";
import { type Connection, isRefusedByApi, type Refusals } from "../connections/connection.js";

/** Upper bound of the refresh window. */
const maxWindowMs = 5 * 60_000;
/** Share of the lifetime that the window takes when that is less. */
const windowShare = 0.2;
/** Refreshes start up to this share of the window early, so that tokens issued together are not refreshed together. */
const jitterShare = 0.25;

/** A refresh token is used before it dies: in the last fifth of its life, at most 3 days ahead. */
const maxKeepAliveWindowMs = 3 * 24 * 60 * 60_000;
/** A refresh token that lives shorter than this is not chased. */
const minKeepAliveMs = 10_000;

/** The short phase: a hiccup of a provider passes within a minute. */
const shortBackoff: Backoff = { baseMs: 1_000, maxMs: 60_000 };
/** Failures in a row that end the short phase. In it callers may cause attempts of their own. */
const shortAttempts = 5;
/** The slow phase doubles from here. */
const slowBaseMs = 60_000;
const slowMaxMs = 24 * 60 * 60_000;
/** Full jitter may draw 0; a provider is not asked again sooner than this. */
const minRetryMs = 250;
/** The remaining life of a token shortens a delay no further than to this. */
const minCappedRetryMs = 10_000;
/** After an answer that was lost: the provider may still be at it, and two requests at once can end a grant. */
const probeDelayMs = 5_000;
/** Between the probes of a provider that refuses the client: doubles from here. */
const suspensionBaseMs = 30_000;
const suspensionMaxMs = 60 * 60_000;

/**
 * When to refresh a token: `expires - window - jitter`.
 *
 * @param overrideMs window of the profile, instead of the smaller of 5 minutes and 20 % of the lifetime; at most half of the lifetime counts
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
 * When to refresh so that the refresh token itself does not die of idleness.
 *
 * @param random uniform in [0, 1)
 */
export function keepAliveMs(issuedAtMs: number, refreshExpiresAtMs: number, random: number): number {
  const lifetimeMs = Math.max(0, refreshExpiresAtMs - issuedAtMs);
  const windowMs = Math.min(maxKeepAliveWindowMs, lifetimeMs * windowShare);
  const startMs = Math.round(refreshExpiresAtMs - windowMs * (1 + jitterShare * random));
  return Math.max(startMs, issuedAtMs + minKeepAliveMs);
}

/**
 * Delay before the next attempt: short with full jitter, then slow up to 24 h, spread over the upper half.
 *
 * @param failures failed attempts in a row, at least 1
 * @param limits `retryAfterMs` is what the provider requested and is never undercut. `remainingMs` is the remaining lifetime of the token
 * (0 or less if it expired): one attempt comes no later than its end.
 * @param random uniform in [0, 1)
 */
export function retryDelayMs(
  failures: number,
  limits: { readonly retryAfterMs?: number | undefined; readonly remainingMs?: number | undefined },
  random: number,
): number {
  const { retryAfterMs = 0, remainingMs = 0 } = limits;
  const slow = Math.min(slowMaxMs, slowBaseMs * 2 ** Math.min(failures - shortAttempts - 1, 20));
  const backoffMs =
    failures <= shortAttempts ? fullJitterMs(shortBackoff, failures, random) : slow * (0.5 + random / 2);
  const cappedMs = remainingMs > 0 ? Math.min(backoffMs, Math.max(remainingMs, minCappedRetryMs)) : backoffMs;
  return Math.round(Math.max(minRetryMs, retryAfterMs, cappedMs));
}

/** How long the token that dies first lives still; 0 when none does. */
export function remainingMs({ expiresAtMs, refreshExpiresAtMs }: Connection, nowMs: number): number {
  const ends = [expiresAtMs, refreshExpiresAtMs].filter((endMs) => endMs !== undefined && endMs > nowMs);
  return ends.length === 0 ? 0 : Math.min(...(ends as number[])) - nowMs;
}

/** Delay before the one probe after a lost answer. @param random uniform in [0, 1) */
export function outcomeProbeDelayMs(random: number): number {
  return Math.round(probeDelayMs * (1 + random));
}

/**
 * Delay before the next probe of a provider that refuses the client.
 *
 * @param failures refusals in a row, at least 1
 * @param random uniform in [0, 1)
 */
export function suspensionDelayMs(failures: number, random: number): number {
  const ceilingMs = Math.min(suspensionMaxMs, suspensionBaseMs * 2 ** Math.min(failures - 1, 20));
  return Math.round(ceilingMs * (0.5 + random / 2));
}

/** Refusals that speak for one connection alone after which its grant is given up: fewer may be a provider that wavers. */
const refusalsAlone = 3;

/** Whether the provider refuses this connection, and not the client: it went on accepting others all along. */
export function isRefusedAlone(refused: Refusals): boolean {
  return refused.alone >= refusalsAlone;
}

/** For how long refreshes may be refused without a word before the grant is given up, whatever becomes of others. */
const refusedForMs = 60 * 60_000;
/** And how often at least: a machine that slept sent nothing meanwhile. */
const refusedTimes = 5;

/** Whether refusals that do not say why have to be taken for the end of the grant. */
export function isRefusedForGood(refused: Refusals): boolean {
  const { sinceMs, lastMs, times } = refused;
  return isRefusedAlone(refused) || (lastMs - sinceMs >= refusedForMs && times >= refusedTimes);
}

/** When a suspended provider may be probed; a time that no delay can explain was set before the clock was set back. */
export function probeAtMs(retryAtMs: number, nowMs: number): number {
  return retryAtMs > nowMs + suspensionMaxMs ? nowMs : retryAtMs;
}

/** Whether a caller's demand may cause an attempt now, or must wait for the time set. */
export function demandMayRefresh(connection: Connection, nowMs: number): boolean {
  const { problem, failedRefreshes } = connection;
  if (problem?.reason === "misconfigured" || hasUnservedToken(connection)) return false;
  if (problem?.retryAtMs === undefined || problem.retryAtMs <= nowMs) return true;
  return problem.firm !== true && failedRefreshes <= shortAttempts;
}

/** Whether a refresh brought a token that must not be served: the one before lives on until it expires, and no other is requested. */
export function hasUnservedToken({ problem }: Connection): boolean {
  return problem?.reason === "account_changed" || problem?.reason === "id_token_verification_failed";
}

/** Whether its refresh token may be redeemed: it is active, or only waits for its provider profile to be fixed. */
export function isRefreshable(connection: Connection): boolean {
  if (!connection.refreshable || hasUnservedToken(connection)) return false;
  return (
    connection.status === "active" ||
    (connection.status === "attention" && connection.problem?.reason === "misconfigured")
  );
}

/** The same for a check: the API refused the token before, and may accept the next one. */
export function isRefreshableToCheck(connection: Connection): boolean {
  return isRefreshable(connection) || (connection.refreshable && isRefusedByApi(connection));
}

/** What a connection needs when its due time has come. */
export type DueAction = "refresh" | "announce_expiry" | "expire_request" | "none";

/** The due action at `nowMs`; a refresh comes before an expiry, since it may make it moot. */
export function dueAction(connection: Connection, nowMs: number): DueAction {
  if (isPast(connection.requestExpiresAtMs, nowMs)) return "expire_request";
  if (isPast(refreshDueMs(connection), nowMs)) return "refresh";
  return connection.status === "active" && isPast(connection.expiresAtMs, nowMs) ? "announce_expiry" : "none";
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
  add(refreshDueMs(connection));
  if (connection.status === "active" && !isPast(connection.expiresAtMs, nowMs)) add(connection.expiresAtMs);
  return times.length === 0 ? undefined : Math.min(...times);
}

function refreshDueMs(connection: Connection): number | undefined {
  const { problem } = connection;
  if (!isRefreshable(connection) || problem?.reason === "provider_deleted") return undefined;
  // Without a time of its own it waits for the suspension of its provider to end.
  if (problem?.reason === "misconfigured") return problem.retryAtMs;
  return problem?.retryAtMs ?? connection.refreshNotBeforeMs;
}

function isPast(timeMs: number | undefined, nowMs: number): boolean {
  return timeMs !== undefined && timeMs <= nowMs;
}
