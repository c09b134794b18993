import type { Problem } from "./connection.js";

/** How a refresh ended: a word for what the connection holds afterwards, or for why nothing was written. */
export type RefreshOutcome =
  /** A new revision is durable. */
  | "refreshed"
  /** The user must consent again. */
  | "attention"
  /** It failed and is tried again at the time in the connection's problem. */
  | "retry"
  /** The provider refuses the client of its profile: the profile must be fixed. */
  | "suspended"
  /** It failed, but the connection has moved on meanwhile: the failure means nothing. */
  | "superseded"
  /** There is nothing to refresh: no refresh token, no provider, not active, or gone. */
  | "not_refreshable"
  /** The daemon is stopping. */
  | "stopped";

/** How the refresh ended that left a connection with this problem. */
export function refreshOutcomeOf(problem: Problem | undefined): RefreshOutcome {
  if (problem === undefined) return "refreshed";
  if (problem.reason === "misconfigured") return "suspended";
  return problem.retryAtMs === undefined ? "attention" : "retry";
}
