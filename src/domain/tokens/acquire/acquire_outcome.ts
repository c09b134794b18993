import { AlreadyExists, FailedPrecondition, NexusError } from "../../../model/errors.js";
import type { ProblemReason } from "../../../model/problem_reason.js";
import type { PendingLink } from "../../consent/consent_request.js";
import type { CurrentToken } from "../../credentials/credential_reader.js";

/** Why a person is needed; see `nexus.v1.ConsentRequired`. */
export type ConsentReason = "not_connected" | "scopes_missing" | ProblemReason;

/** Why there will be no other token without a person. @throws what says otherwise */
export function deathOf(error: unknown): ConsentReason {
  const isDead = error instanceof FailedPrecondition && error.reason === "ATTENTION_REQUIRED";
  if (!isDead || error.problem === "provider_deleted") throw error;
  return error.problem ?? "reauth_required";
}

/** Whether the connection was revoked, or one of its name was made, while the request was prepared. */
export function wasOvertaken(error: unknown): boolean {
  return (
    error instanceof AlreadyExists ||
    (error instanceof FailedPrecondition && error.reason === "CONNECTION_REVOKED")
  );
}

/** For what is only tried: who is refused gets nothing. @throws what is no refusal */
export function refusedAsNone(error: unknown): undefined {
  if (!(error instanceof NexusError)) throw error;
}

/** What `AcquireToken` answers. */
export type Acquired =
  | { readonly kind: "token"; readonly token: CurrentToken }
  | {
      readonly kind: "consent";
      readonly link: PendingLink;
      readonly reason: ConsentReason;
      /** This call made the link: nobody has it yet. */
      readonly isMade?: true;
    };

/**
 * `answered`: the person has answered, and the daemon exchanges the code. `unconfirmed`: the consent was given, and waits for the
 * application that asked for it.
 */
export type Outcome = Acquired | { readonly kind: "answered" } | { readonly kind: "unconfirmed" };

export function acquired(token: CurrentToken): Acquired {
  return { kind: "token", token };
}

/** Whether news may come of it. For a link that the call made nobody comes: the one that its caller was shown may have ended since. */
export function isWaitedFor(outcome: Outcome): boolean {
  return outcome.kind !== "token" && !(outcome.kind === "consent" && outcome.isMade);
}

/** Whether a caller that knows `last` must be told of `now`: a link that it knows, and a consent that is under way, are no news. */
export function isDone(last: Outcome, now: Outcome): boolean {
  if (now.kind === "answered" || now.kind === "unconfirmed") return false;
  return now.kind === "token" || last.kind !== "consent" || linkOf(last) !== linkOf(now);
}

/** What tells one request for consent from another. */
const linkOf = ({ link }: Extract<Acquired, { kind: "consent" }>) => link.device?.userCode ?? link.authUrl;
