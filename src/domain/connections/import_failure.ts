import { FailedPrecondition, type NexusError, Unavailable } from "../../model/errors.js";
import type { GrantFailure } from "../../oauth/failure.js";

export interface ImportFailure {
  /** For the caller. */
  readonly failure: NexusError;
  /** For the audit log. */
  readonly reason: string;
  /** Whether no other attempt can succeed. */
  readonly isFinal: boolean;
}

/** What the failed proof of an imported token means. After a crash a refusal may be the answer to the token's second use. */
export function importFailure(failure: GrantFailure, mode: "first" | "resumed"): ImportFailure {
  switch (failure.kind) {
    case "invalid_grant":
      return {
        failure: new FailedPrecondition(
          "CREDENTIAL_REJECTED",
          "the provider refuses the refresh token",
          failure,
        ),
        reason: mode === "first" ? "credential_rejected" : "outcome_unknown",
        isFinal: true,
      };
    case "client":
      return {
        failure: new FailedPrecondition(
          "PROVIDER_MISCONFIGURED",
          failure.refusal ??
            `the provider refuses the client of the profile${failure.oauthError === undefined ? "" : ` (${failure.oauthError})`}`,
          failure,
        ),
        reason: "provider_misconfigured",
        isFinal: false,
      };
    case "transient":
      return {
        failure: new Unavailable(
          "the provider could not check the refresh token",
          failure.retryAfterMs,
          failure,
        ),
        reason: "provider_unavailable",
        isFinal: false,
      };
    case "ambiguous":
    case "rejected":
      return {
        failure: new Unavailable(
          "the provider gave no usable answer: it may have replaced the refresh token all the same",
          undefined,
          failure,
        ),
        reason: "outcome_unknown",
        isFinal: false,
      };
  }
}
