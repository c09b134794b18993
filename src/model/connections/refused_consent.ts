import type { ProblemReason } from "../problem_reason.js";
import { authorizationLifetimeMs } from "./authorization.js";
import type { Connection } from "./connection.js";

const refusals: readonly ProblemReason[] = [
  "access_denied",
  "authorization_failed",
  "token_exchange_failed",
  "id_token_verification_failed",
  "account_changed",
  "authentication_insufficient",
];

/** Whether the person or the provider declined: the same request would be answered so again. */
export function isRefusal(reason: ProblemReason): boolean {
  return refusals.includes(reason);
}

/** What is remembered of a request for consent that came to nothing. */
export function requestEnded(reason: ProblemReason, nowMs: number, detail: string | undefined) {
  return { refusedConsent: { reason, refusedAtMs: nowMs, ...(detail !== undefined && { detail }) } };
}

/** Why the request before was refused, for as long as somebody who showed its link may ask: the life of the next one. */
export function refusedLately({ refusedConsent }: Connection, nowMs: number): ProblemReason | undefined {
  if (refusedConsent === undefined || !isRefusal(refusedConsent.reason)) return undefined;
  // One of a time that is yet to come is forgotten too: the clock was set back.
  const isLate = Math.abs(nowMs - refusedConsent.refusedAtMs) >= authorizationLifetimeMs;
  return isLate ? undefined : refusedConsent.reason;
}
