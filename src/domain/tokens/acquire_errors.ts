import { AlreadyExists, FailedPrecondition, NexusError } from "../../model/errors.js";
import type { ProblemReason } from "../../model/problem_reason.js";

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
