import { DataLoss } from "../../model/errors.js";
import type { ProblemReason } from "../../model/problem_reason.js";
import { GrantFailure } from "../../oauth/failure.js";
import { IdentityRequired } from "../../oauth/grants/identity_required.js";

/**
 * What is known of a refresh token before it is sent, which uses it up:
 *
 * - `unused`, as far as is known
 * - `restored` from a backup, and not sent from here
 * - `in_doubt` after a request whose answer was lost
 * - `minted` if there is none, and nothing is used up
 */
const states = ["unused", "restored", "in_doubt", "minted"] as const;
export type GrantState = (typeof states)[number];

/** A user must consent again for this reason, and nothing more is sent. */
type Ending = Extract<
  ProblemReason,
  "outcome_unknown" | "reauth_required" | "consent_revoked" | "data_loss" | "identity_required"
>;

/** The next state of the connection, and its next attempt. */
export type Outcome =
  | Ending
  /** As `reauth_required`; the grant comes back with its client and server. */
  | "detach"
  /** Every connection of the profile waits until a probe is accepted, or the profile changes. */
  | "suspend"
  /** It waits with them. */
  | "wait"
  /** As `afterRefusal` says: it waits with all others, is asked again at 30 s, doubling up to an hour, or ends. */
  | "refuse_client"
  /** As `retry`, until it was refused for an hour and five times, or alone. */
  | "refuse_grant"
  /** Sent as if this attempt had not been: within a minute at first, later up to a day. */
  | "retry"
  /** Sent once more in 5 to 10 s, and not sooner on demand. */
  | "probe";

/** State x answer -> outcome. The answers before the blank line come before anything is sent. */
const table = {
  // The one probe was sent too: a third request may end all tokens of the grant.
  spent: ["outcome_unknown", "outcome_unknown", "outcome_unknown", "retry"],
  // What is stored does not open.
  unreadable: ["data_loss", "data_loss", "data_loss", "retry"],
  // A refresh token is sent to nobody but its issuer (RFC 6749 section 10.4).
  moved: ["detach", "detach", "detach", "suspend"],
  // Its provider is suspended.
  held: ["wait", "wait", "wait", "wait"],
  // The address or the client of the profile is not known: so it is for every connection.
  profile_unusable: ["suspend", "suspend", "suspend", "suspend"],

  // The provider's own word, unless a request of ours may have brought it about.
  withdrawn: ["consent_revoked", "consent_revoked", "outcome_unknown", "refuse_client"],
  // What a token that was used before is answered, too.
  invalid_grant: ["reauth_required", "outcome_unknown", "outcome_unknown", "refuse_client"],
  // The user must sign in at the identity provider that vouches for them.
  identity_required: ["reauth_required", "outcome_unknown", "outcome_unknown", "identity_required"],
  // Client authentication failed: the refresh token was not looked at.
  bad_client: ["refuse_client", "refuse_client", "refuse_client", "refuse_client"],
  // The client was known: some servers do so for a dead refresh token.
  bad_request: ["refuse_client", "refuse_client", "outcome_unknown", "refuse_client"],
  // A 4xx that does not say why: of a token that may have been used, that is the reason.
  refused: ["refuse_grant", "outcome_unknown", "outcome_unknown", "refuse_client"],
  // A 4xx that promises a better answer later.
  later: ["retry", "retry", "outcome_unknown", "retry"],
  // Not redeemed: never sent, 429, 503, or an error of the server.
  not_processed: ["retry", "retry", "retry", "retry"],
  // It may have been redeemed.
  lost: ["probe", "probe", "outcome_unknown", "retry"],
  // A success without a usable token may have redeemed the refresh token anyway.
  unusable: ["probe", "probe", "outcome_unknown", "retry"],
} as const satisfies Readonly<
  Record<string, readonly [unused: Outcome, restored: Outcome, inDoubt: Outcome, minted: Outcome]>
>;
export type Answer = keyof typeof table;
export const answers = Object.keys(table) as readonly Answer[];

export function outcomeOf(state: GrantState, answer: Answer): Outcome {
  return table[answer][states.indexOf(state)] as Outcome;
}

/** Which answer a failed token request was. */
export function answerOf(failure: GrantFailure): Answer {
  if (failure instanceof IdentityRequired) return "identity_required";
  switch (failure.kind) {
    case "invalid_grant":
      return failure.consentRevoked ? "withdrawn" : "invalid_grant";
    case "client":
      if (failure.httpStatus === undefined) return "profile_unusable";
      return failure.mayConcernGrant ? "bad_request" : "bad_client";
    case "transient":
      if (failure.isRefusal && failure.httpStatus !== undefined) return "refused";
      return failure.isClientError ? "later" : "not_processed";
    case "ambiguous":
      return "lost";
    case "rejected":
      return "unusable";
  }
}

/** Why a grant failed. A client secret that cannot be opened is an error of the profile; nothing was sent. @throws what is no failure of a grant */
export function failureOf(error: unknown): GrantFailure {
  if (error instanceof GrantFailure) return error;
  if (error instanceof DataLoss) return new GrantFailure({ kind: "client" });
  throw error;
}
