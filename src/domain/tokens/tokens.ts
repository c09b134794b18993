import type { Principal } from "../../model/access/principal.js";
import type { Connection, ConnectionStatus } from "../../model/connections/connection.js";
import { problemSentence } from "../../model/connections/connection.js";
import {
  DataLoss,
  FailedPrecondition,
  NotFound,
  type PreconditionReason,
  Unavailable,
} from "../../model/errors.js";
import type { ProblemReason } from "../../model/problem_reason.js";
import { problemMessages } from "../../model/problem_reason.js";
import type { Clock } from "../../runtime/clock.js";
import type { ConnectionView, CredentialReader, CurrentToken } from "../credentials/credential_reader.js";
import { demandMayRefresh, isWithheld } from "../lifecycle/refresh_policy.js";
import type { Refresher } from "../refresh/refresher.js";
import type { ReadAudit } from "./read_audit.js";

export interface TokensDeps {
  readonly reader: Pick<CredentialReader, "cached" | "view">;
  readonly refresher: Pick<Refresher, "refresh">;
  readonly readAudit: Pick<ReadAudit, "read" | "refused">;
  readonly clock: Clock;
}

/** Tokens for callers. Each read is recorded before its token leaves. */
export class Tokens {
  constructor(private readonly deps: TokensDeps) {}

  /**
   * The current token: at once while it lives, after a shared refresh when it does not. Answers without a promise when the token is
   * cached and this reader has read it before.
   *
   * @param minTtlMs wished remaining lifetime; cut to what a new token has before its refresh window
   * @throws NotFound, FailedPrecondition, DataLoss; Unavailable, also when the read cannot be recorded
   */
  getToken(
    connectionId: string,
    minTtlMs: number,
    principal: Principal,
  ): CurrentToken | Promise<CurrentToken> {
    const token = this.#cached(connectionId, minTtlMs);
    if (token) {
      const recorded = this.deps.readAudit.read(principal, connectionId, token.revision);
      return recorded === undefined ? token : recorded.then(() => token);
    }
    return this.#recorded(principal, connectionId, () => this.#current(connectionId, minTtlMs));
  }

  /**
   * A new token, whatever the age of the present one.
   *
   * @throws NotFound, FailedPrecondition (NOT_REFRESHABLE too), DataLoss; Unavailable, also when the read cannot be recorded
   */
  refreshToken(connectionId: string, principal: Principal): Promise<CurrentToken> {
    return this.#recorded(principal, connectionId, () => this.#refreshed(connectionId));
  }

  async #recorded(
    principal: Principal,
    connectionId: string,
    obtain: () => Promise<CurrentToken>,
  ): Promise<CurrentToken> {
    const { readAudit } = this.deps;
    let token: CurrentToken;
    try {
      token = await obtain();
    } catch (error) {
      await readAudit.refused(principal, connectionId, error);
      throw error;
    }
    const recorded = readAudit.read(principal, connectionId, token.revision);
    if (recorded !== undefined) await recorded;
    return token;
  }

  /** The cached token if it lives long enough and is not in its refresh window. */
  #cached(connectionId: string, minTtlMs: number): CurrentToken | undefined {
    const view = this.deps.reader.cached(connectionId);
    if (!view?.token) return undefined;
    const nowMs = this.deps.clock.nowMs();
    const isGood = livesLongEnough(view.connection, minTtlMs, nowMs) && !isInWindow(view.connection, nowMs);
    return isGood ? view.token : undefined;
  }

  async #current(connectionId: string, minTtlMs: number): Promise<CurrentToken> {
    const { refresher, clock } = this.deps;
    const view = this.#view(connectionId);
    const { connection, token } = view;
    const nowMs = clock.nowMs();
    if (token && livesLongEnough(connection, minTtlMs, nowMs)) {
      // The scheduler refreshes it at this time too; a token that a caller wants does not wait for its turn. A failure is written into
      // the connection by the refresher, and this caller has a living token.
      if (isInWindow(connection, nowMs)) refresher.refresh(connectionId, "due").catch(() => undefined);
      return token;
    }
    if (!connection.refreshable || !demandMayRefresh(connection, nowMs)) return tokenOrError(view, nowMs);
    await refresher.refresh(connectionId);
    return tokenOrError(this.#view(connectionId), clock.nowMs());
  }

  async #refreshed(connectionId: string): Promise<CurrentToken> {
    const { refresher, clock } = this.deps;
    const { connection } = this.#view(connectionId);
    if (!connection.refreshable) {
      throw new FailedPrecondition("NOT_REFRESHABLE", "the connection has no refresh token");
    }
    refuseWithheld(connection);
    const { problem } = connection;
    const nowMs = clock.nowMs();
    if (problem?.firm === true && problem.retryAtMs !== undefined && problem.retryAtMs > nowMs) {
      if (problem.reason === "misconfigured") throw precondition("PROVIDER_MISCONFIGURED", "misconfigured");
      throw retryLater(connection, nowMs);
    }
    const outcome = await refresher.refresh(connectionId);
    const view = this.#view(connectionId);
    if (outcome === "refreshed" && view.token) return view.token;
    refuseWithheld(view.connection);
    if (outcome === "suspended" || view.problem?.reason === "misconfigured") {
      throw precondition("PROVIDER_MISCONFIGURED", "misconfigured");
    }
    if (view.problem?.reason === "provider_deleted") {
      throw precondition("PROVIDER_DELETED", "provider_deleted");
    }
    throw retryLater(view.connection, clock.nowMs());
  }

  /** The view of an active connection; the error that says why it is not active otherwise. */
  #view(connectionId: string): ConnectionView {
    const view = this.deps.reader.view(connectionId);
    if (!view) throw new NotFound("connection");
    const { connection, problem } = view;
    if (problem?.reason === "data_loss") throw new DataLoss("the stored credential cannot be opened");
    if (connection.status === "active") return view;
    const why = problem ? ` ${problemSentence(problem)}` : "";
    throw new FailedPrecondition(
      preconditions[connection.status],
      connection.status === "attention"
        ? `the connection needs attention.${why}`
        : `the connection is ${connection.status}.${why}`,
      undefined,
      problem?.reason,
    );
  }
}

function livesLongEnough(connection: Connection, minTtlMs: number, nowMs: number): boolean {
  if (connection.expiresAtMs === undefined || minTtlMs <= 0) return true;
  const issuedMs = connection.issuedAtMs ?? nowMs;
  const obtainableMs = Math.max(0, (connection.refreshNotBeforeMs ?? connection.expiresAtMs) - issuedMs);
  return connection.expiresAtMs - nowMs >= Math.min(minTtlMs, obtainableMs);
}

function tokenOrError(view: ConnectionView, nowMs: number): CurrentToken {
  if (view.token) return view.token;
  const { connection } = view;
  if (!connection.refreshable) throw precondition("ATTENTION_REQUIRED", "no_refresh_token");
  refuseWithheld(connection);
  if (view.problem?.reason === "provider_deleted") {
    throw precondition("ATTENTION_REQUIRED", "provider_deleted");
  }
  if (view.problem?.reason === "misconfigured") {
    throw precondition("PROVIDER_MISCONFIGURED", "misconfigured");
  }
  throw retryLater(connection, nowMs);
}

/** @throws FailedPrecondition when the last refresh brought a token that must not be served */
function refuseWithheld(connection: Connection): void {
  const { problem } = connection;
  if (problem && isWithheld(connection)) throw precondition("ATTENTION_REQUIRED", problem.reason);
}

function precondition(reason: PreconditionReason, problem: ProblemReason): FailedPrecondition {
  return new FailedPrecondition(reason, problemMessages[problem], undefined, problem);
}

function retryLater(connection: Connection, nowMs: number): Unavailable {
  const retryAtMs = connection.problem?.retryAtMs;
  const retryAfterMs = retryAtMs === undefined ? 1_000 : Math.max(1, retryAtMs - nowMs);
  return new Unavailable("the token could not be refreshed; the daemon tries again by itself", retryAfterMs);
}

function isInWindow(connection: Connection, nowMs: number): boolean {
  const startMs = connection.refreshNotBeforeMs;
  return (
    connection.refreshable && startMs !== undefined && nowMs >= startMs && connection.problem === undefined
  );
}

const preconditions: Readonly<Record<Exclude<ConnectionStatus, "active">, PreconditionReason>> = {
  pending: "CONNECTION_PENDING",
  attention: "ATTENTION_REQUIRED",
  revoked: "CONNECTION_REVOKED",
  expired: "CONNECTION_EXPIRED",
  failed: "CONNECTION_FAILED",
};
