import type { RefreshIntent } from "../../model/connections/connection.js";
import { DataLoss } from "../../model/errors.js";
import type { ProblemReason } from "../../model/problem_reason.js";
import { GrantFailure } from "../../oauth/failure.js";
import { IdentityRequired } from "../../oauth/grants/identity_required.js";

/** What follows from a failure. */
export type FailureReaction =
  /** A person must consent again. */
  | { readonly kind: "reauthorize"; readonly reason: ProblemReason; readonly detail?: string }
  /** The provider cannot be asked at all: every connection of the profile waits. */
  | { readonly kind: "suspend" }
  /** The provider refuses the client, for this connection or for all. */
  | { readonly kind: "refuse_client" }
  /** A 4xx that does not say why. */
  | { readonly kind: "refuse_grant"; readonly httpStatus: number }
  /** The refresh token may be sent as if this attempt had not been. */
  | { readonly kind: "retry" }
  /** The answer was lost: one probe, soon. */
  | { readonly kind: "probe" };

/** The table of reactions: what was sent is used up by being used, so a lost answer leaves the grant in doubt. */
export function reactionTo(failure: GrantFailure, earlier: RefreshIntent | undefined): FailureReaction {
  const wasLost = earlier !== undefined && earlier.sends > 0;
  const inDoubt = { kind: "reauthorize", reason: "outcome_unknown" } as const;
  switch (failure.kind) {
    case "invalid_grant": {
      const refused = failure.consentRevoked ? "consent_revoked" : "reauth_required";
      // Of a restored token that was not sent from here, only the provider's own word says more.
      const isPlain = !earlier || (earlier.sends === 0 && failure.consentRevoked);
      return isPlain ? { kind: "reauthorize", reason: refused } : inDoubt;
    }
    case "client":
      // What the provider did not answer says nothing of the connection.
      if (failure.httpStatus === undefined) return { kind: "suspend" };
      return wasLost && failure.mayConcernGrant ? inDoubt : { kind: "refuse_client" };
    case "transient": {
      if (wasLost && failure.isClientError) return inDoubt;
      const { isRefusal, httpStatus } = failure;
      if (isRefusal && httpStatus !== undefined) return { kind: "refuse_grant", httpStatus };
      return { kind: "retry" };
    }
    case "ambiguous":
    // A success that holds no usable token may have redeemed the refresh token all the same.
    case "rejected":
      return wasLost ? inDoubt : { kind: "probe" };
  }
}

/** The same where no person is needed: nothing is used up, and there is nobody to ask but whoever keeps the profile. */
export function unattendedReactionTo(failure: GrantFailure): FailureReaction {
  if (failure instanceof IdentityRequired)
    return { kind: "reauthorize", reason: "identity_required", detail: failure.words };
  switch (failure.kind) {
    case "invalid_grant":
    case "client":
      return { kind: failure.httpStatus === undefined ? "suspend" : "refuse_client" };
    case "transient":
      return { kind: failure.isRefusal && failure.httpStatus !== undefined ? "refuse_client" : "retry" };
    case "ambiguous":
    case "rejected":
      return { kind: "retry" };
  }
}

/** Why a grant failed. A client secret that cannot be opened is an error of the profile; nothing was sent. @throws what is no failure of a grant */
export function failureOf(error: unknown): GrantFailure {
  if (error instanceof GrantFailure) return error;
  if (error instanceof DataLoss) return new GrantFailure({ kind: "client" });
  throw error;
}
