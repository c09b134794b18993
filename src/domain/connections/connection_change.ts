import type { PendingAuthorization } from "../../model/connections/authorization.js";
import {
  assertTransition,
  type Connection,
  type ConnectionStatus,
  isRefusedByApi,
  type Problem,
} from "../../model/connections/connection.js";
import { requestEnded } from "../../model/connections/refused_consent.js";
import { stepUpAnswered } from "../../model/connections/step_up.js";
import type { ProblemReason } from "../../model/problem_reason.js";
import { nextDueMs } from "../../model/refresh/refresh_policy.js";
import type { Transaction } from "../../store/transaction.js";

/** What a change may set; `id`, times and the due time follow by themselves. */
export type ConnectionChange = Partial<
  Omit<Connection, "id" | "userId" | "providerId" | "createdAtMs" | "updatedAtMs" | "dueAtMs">
>;

/** The one way in which a connection changes: checks the transition, and computes when it is due next. */
export function changeConnection(
  connection: Connection,
  change: ConnectionChange,
  nowMs: number,
): Connection {
  const changed = { ...connection, ...change, updatedAtMs: nowMs };
  assertTransition(connection.status, changed.status);
  return { ...changed, dueAtMs: nextDueMs(changed, nowMs) };
}

/** What a new token set sets of its connection: writers compose exactly this, and the spool recovers it. */
export type TokenChange = ReturnType<typeof tokenChangeOf>;

/** @param composed with the token set */
export function tokenChangeOf(composed: Connection) {
  return {
    status: composed.status,
    credentialRevision: composed.credentialRevision,
    grantedScopes: composed.grantedScopes,
    consentedScopes: composed.consentedScopes,
    issuedAtMs: composed.issuedAtMs,
    expiresAtMs: composed.expiresAtMs,
    refreshable: composed.refreshable,
    refreshExpiresAtMs: composed.refreshExpiresAtMs,
    refreshNotBeforeMs: composed.refreshNotBeforeMs,
    problem: composed.problem,
    failedRefreshes: composed.failedRefreshes,
    refreshIntent: composed.refreshIntent,
    subject: composed.subject,
    account: composed.account,
    stepUp: composed.stepUp,
    strategy: composed.strategy,
    metadata: composed.metadata,
  };
}

/** A problem that began now, or goes on if it is the same as before. */
export function problemSince(
  connection: Connection,
  reason: ProblemReason,
  nowMs: number,
  retryAtMs?: number,
): Problem {
  const before = connection.problem;
  return { reason, sinceMs: before?.reason === reason ? before.sinceMs : nowMs, retryAtMs };
}

/** The change to `attention`: the credential is not handed out any more. */
export function attention(connection: Connection, reason: ProblemReason, nowMs: number) {
  const problem = problemSince(connection, reason, nowMs);
  return { status: "attention", problem, refreshIntent: undefined, refreshNotBeforeMs: undefined } as const;
}

/**
 * What a refresh changes of a connection whose credential the API refuses: a new token is no better until the API has accepted it, and only
 * a grant that is lost is another reason.
 */
export function whileRefused(before: Connection, change: ConnectionChange): ConnectionChange {
  const { status, problem } = change;
  const isLost =
    status === "attention" && problem?.retryAtMs === undefined && problem?.reason !== "misconfigured";
  return isLost || !isRefusedByApi(before)
    ? change
    : { ...change, status: "attention", problem: before.problem };
}

/** The change after a consent that came to nothing. Only a connection that never was active shows it as its problem. */
export function consentEnded(
  connection: Connection,
  status: Extract<ConnectionStatus, "failed" | "expired">,
  reason: ProblemReason,
  nowMs: number,
  detail?: string,
): ConnectionChange {
  const ended: ConnectionChange = {
    pendingStateHash: undefined,
    requestExpiresAtMs: undefined,
    awaitingConfirmation: undefined,
    ...requestEnded(reason, nowMs, detail),
  };
  if (connection.status !== "pending") return ended;
  const problem = problemSince(connection, reason, nowMs);
  return { ...ended, status, problem: detail === undefined ? problem : { ...problem, detail } };
}

/** The change by a new request; a connection that never was active waits for its first consent again. */
export function consentRequested(
  connection: Connection,
  consentRequest: {
    readonly scopes: readonly string[];
    readonly stateHash: string;
    readonly expiresAtMs: number;
    readonly providerName: string;
  },
): ConnectionChange {
  const asksFirstTime = connection.status === "failed" || connection.status === "expired";
  return {
    ...(asksFirstTime ? { status: "pending", problem: undefined } : {}),
    providerName: consentRequest.providerName,
    requestedScopes: consentRequest.scopes,
    pendingStateHash: consentRequest.stateHash,
    requestExpiresAtMs: consentRequest.expiresAtMs,
    awaitingConfirmation: undefined,
    // The end of a request before says nothing of one whose place is taken.
    ...(connection.requestExpiresAtMs === undefined ? {} : { refusedConsent: undefined }),
  };
}

/** What a consent sets before its token set does: it may be for another profile, and is the answer to its request. */
export function consentGiven(connection: Connection, given: Connection): Connection {
  const { providerId, providerName, requestedScopes, consentedScopes, metadata } = given;
  return {
    ...{ ...connection, providerId, providerName, requestedScopes, consentedScopes, metadata },
    ...requestOver(connection),
    ...stepUpAnswered(connection),
  };
}

/** Takes a pending authorization in the commit that answers it; undefined when it was answered, replaced or ended. */
export function takeRequest(tx: Transaction, key: string, nowMs: number): PendingAuthorization | undefined {
  const pending = tx.takeAuthorization(key);
  const connection = pending && tx.getConnection(pending.connectionId);
  if (connection?.pendingStateHash === key)
    tx.putUnannounced(changeConnection(connection, { pendingStateHash: undefined }, nowMs));
  return pending;
}

/** The request is over with a credential, unless a newer one is pending. */
function requestOver(connection: Connection): Partial<Connection> {
  if (connection.pendingStateHash !== undefined) return {};
  return { requestExpiresAtMs: undefined, awaitingConfirmation: undefined, refusedConsent: undefined };
}
