import { type Connection, hasUsableToken } from "../../model/connections/connection.js";
import type { ProblemReason } from "../../model/problem_reason.js";
import { remainingMs, retryDelayMs } from "../../model/refresh/refresh_policy.js";
import type { Renewed } from "../../oauth/grants/renewal.js";
import { attention, problemSince, type TokenChange } from "../connections/state/connection_change.js";

/** Why a new access token is not served. Its refresh token is kept anyway: the provider may have rotated it. */
export interface InvalidAnswer {
  readonly reason: Extract<
    ProblemReason,
    "account_changed" | "id_token_verification_failed" | "refresh_failing"
  >;
  /** When the new refresh token is tried; undefined when the user must consent again. */
  readonly retryAtMs: number | undefined;
  /** What is wrong, in words for a log. */
  readonly detail: string;
}

/**
 * Judges the answer to a refresh. An id_token that fails a check says that the token is another account's, another client's or no answer
 * to us (OpenID Connect Core 1.0 section 12.2): a person must look. An access token that no request can carry is the provider's fault,
 * which may pass.
 *
 * @param random uniform in [0, 1)
 */
export function invalidAnswerOf(
  { idTokenViolation, accessTokenViolation }: Omit<Renewed, "tokenSet">,
  connection: Connection,
  nowMs: number,
  random: number,
): InvalidAnswer | undefined {
  if (idTokenViolation !== undefined) {
    const reason = idTokenViolation === "sub" ? "account_changed" : "id_token_verification_failed";
    return { reason, retryAtMs: undefined, detail: `the id_token fails the check of ${idTokenViolation}` };
  }
  if (accessTokenViolation === undefined) return undefined;
  const limits = { remainingMs: remainingMs(connection, nowMs) };
  const retryAtMs = nowMs + retryDelayMs(connection.failedRefreshes + 1, limits, random);
  return { reason: "refresh_failing", retryAtMs, detail: accessTokenViolation };
}

/** The change of a connection whose new access token is withheld: the old one lives on until it expires. */
export function invalidAnswerChange(
  connection: Connection,
  { reason, retryAtMs }: InvalidAnswer,
  nowMs: number,
): Partial<TokenChange> {
  if (retryAtMs === undefined && !hasUsableToken(connection, nowMs))
    return attention(connection, reason, nowMs);
  return {
    status: "active",
    problem: problemSince(connection, reason, nowMs, retryAtMs),
    failedRefreshes: connection.failedRefreshes + 1,
    refreshIntent: undefined,
    ...(retryAtMs === undefined && { refreshNotBeforeMs: undefined }),
  };
}

/** The event of a refresh whose token is withheld, or is not. */
export function auditOf(invalidAnswer: InvalidAnswer | undefined) {
  if (invalidAnswer === undefined) return { type: "token_refreshed" } as const;
  const type = invalidAnswer.retryAtMs === undefined ? "token_refresh_fatal" : "token_refresh_failed";
  return { type, reason: invalidAnswer.reason } as const;
}
