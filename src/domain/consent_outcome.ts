import { createHash, timingSafeEqual } from "node:crypto";
import type { PendingAuthorization } from "../model/authorization.js";
import { type Connection, type ProblemReason, problemMessages } from "../model/connection.js";
import type { ProviderProfile } from "../model/provider_profile.js";
import type { ConsentFailure, FinishOutcome } from "./consent.js";

export const unknownRequest: ConsentFailure = {
  kind: "failure",
  status: 404,
  reason: "unknown_request",
  message: "This link was used already, was replaced by a newer one, or is not one of ours.",
};
export const expiredRequest: ConsentFailure = {
  kind: "failure",
  status: 410,
  reason: "consent_expired",
  message: "This link is older than ten minutes.",
};
export const changedProvider: ConsentFailure = {
  kind: "failure",
  status: 410,
  reason: "provider_changed",
  message: "The provider was changed or deleted after this link was made.",
};
export const unreachableProvider: ConsentFailure = {
  kind: "failure",
  status: 503,
  reason: "provider_unavailable",
  message: "The provider cannot be reached at the moment.",
};

/** Nothing is over: the provider's own answer may still come. */
export const foreignError: ConsentFailure = {
  kind: "failure",
  status: 400,
  reason: "state_verification_failed",
  message:
    "This answer is not from the provider that you were sent to. Go on in the provider's own page, or open the link again.",
};

/** Name of the cookie that binds a browser to a request. */
export function bindingName(stateHash: string): string {
  return stateHash.slice(0, 16);
}

export function sameText(one: string, other: string): boolean {
  const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(one), digest(other));
}

/** The request is over, unless a newer one is pending. */
export function requestOver(connection: Connection): Partial<Connection> {
  return connection.pendingStateHash === undefined ? { requestExpiresAtMs: undefined } : {};
}

/** Where the browser goes with the outcome: to the caller, or to a page of ours. */
export function returnToCaller(
  pending: PendingAuthorization,
  profile: ProviderProfile,
  outcome: ReturnOutcome,
): FinishOutcome {
  if (pending.returnUrl === undefined) {
    if (outcome.status === "success") return { kind: "done", providerName: profile.name };
    const reason: ProblemReason = Object.hasOwn(problemMessages, outcome.error)
      ? (outcome.error as ProblemReason)
      : "authorization_failed";
    return { kind: "failure", status: 400, reason: outcome.error, message: messageForPerson(reason) };
  }
  return { kind: "return", location: returnLocation(pending.returnUrl, pending, profile, outcome) };
}

/** What the person in front of the browser is told; the words of `problemMessages` are for agents and operators. */
export function messageForPerson(reason: ProblemReason): string {
  switch (reason) {
    case "access_denied":
      return "You said no, or the provider did.";
    case "state_verification_failed":
      return "This is not the browser in which you opened the link, or the answer is not the provider's.";
    default:
      return problemMessages[reason];
  }
}

/** Adds the outcome to the return URL; a query already there is kept. */
export function returnLocation(
  returnUrl: string,
  pending: Pick<PendingAuthorization, "connectionId">,
  profile: Pick<ProviderProfile, "name">,
  outcome: ReturnOutcome,
): string {
  const url = new URL(returnUrl);
  const added = new URLSearchParams({
    ...outcome,
    connection_id: pending.connectionId,
    provider: profile.name,
  });
  const kept = url.search.slice(1).split("&").filter(isForeign);
  url.search = [...kept, added.toString()].join("&");
  return url.href;
}

/** What the outcome says must not stand there already: of two values an application may read the first. */
function isForeign(pair: string): boolean {
  const [name] = [...new URLSearchParams(pair).keys()];
  return name !== undefined && !outcomeNames.has(name);
}

const outcomeNames = new Set(["status", "error", "connection_id", "provider", "completion_code"]);

export type ReturnOutcome =
  | { readonly status: "success"; readonly completion_code?: string }
  | { readonly status: "error"; readonly error: string };

/** @param completionCode when the credential waits for its confirmation */
export function successOf(completionCode: string | undefined): ReturnOutcome {
  return { status: "success", ...(completionCode === undefined ? {} : { completion_code: completionCode }) };
}
