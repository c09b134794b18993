import type { Connection, RefreshIntent } from "../connections/connection.js";
import type { PendingImport } from "../connections/pending_import.js";

/** A token request lasts two minutes at most, its mark is made in the 10 s before, and the clocks of two daemons differ by 5 s at most. */
const maxInFlightMs = 140_000;
/** Its owner may have been stopped, and come back with the answer. */
const ownerReturnMs = 10 * 60_000;
/** So long before its token ends a connection is not left alone any more: a request and its commit still come in time. */
const beforeEndMs = 15_000;

/**
 * Until when a refresh token that another daemon was about to send is left alone. That daemon may run on another copy of this store or be
 * the former leader, and hold the answer. Undefined when the mark is this daemon's own, from before a crash: then nobody else has the
 * answer.
 */
export function deferredUntilMs(
  intent: RefreshIntent | undefined,
  { expiresAtMs }: Connection,
  owner: string,
): number | undefined {
  if (intent?.owner === undefined || intent.owner === owner) return undefined;
  const { startedAtMs } = intent;
  const patientUntilMs = Math.min((expiresAtMs ?? 0) - beforeEndMs, startedAtMs + ownerReturnMs);
  return Math.max(startedAtMs + maxInFlightMs, patientUntilMs);
}

/** The same of an import; what it brings has no end yet. */
export function importDeferredUntilMs(pending: PendingImport, owner: string): number | undefined {
  if (pending.owner === undefined || pending.owner === owner) return undefined;
  return pending.startedAtMs + ownerReturnMs;
}
