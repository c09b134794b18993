import type { Connection, ConnectionStatus, ProblemReason } from "../model/connection.js";
import { problemMessages, problemSentence } from "../model/connection.js";
import {
  DataLoss,
  FailedPrecondition,
  NotFound,
  type PreconditionReason,
  Unavailable,
} from "../model/errors.js";
import type { Clock } from "../runtime/clock.js";
import type { ConnectionView, CredentialReader, CurrentToken } from "./credential_reader.js";
import { demandMayRefresh } from "./refresh_policy.js";
import type { Refresher } from "./refresher.js";

/** Answers a caller who asks for a token. */
export class TokenManager {
  readonly #reader: CredentialReader;
  readonly #refresher: Pick<Refresher, "refresh">;
  readonly #clock: Clock;

  constructor(options: { reader: CredentialReader; refresher: Pick<Refresher, "refresh">; clock: Clock }) {
    this.#reader = options.reader;
    this.#refresher = options.refresher;
    this.#clock = options.clock;
  }

  /** The token if it is at hand, lives long enough and is not in its refresh window: nothing is left to do. */
  tokenAtHand(connectionId: string, minTtlMs: number): CurrentToken | undefined {
    const view = this.#reader.atHand(connectionId);
    if (!view?.token) return undefined;
    const nowMs = this.#clock.nowMs();
    const isLeft =
      this.#livesLongEnough(view.connection, minTtlMs, nowMs) && !isInWindow(view.connection, nowMs);
    return isLeft ? view.token : undefined;
  }

  /**
   * The current token: at once while it lives, after a shared refresh when it does not.
   *
   * @param minTtlMs wished remaining lifetime; cut to what a new token has before its refresh window
   * @throws NotFound, FailedPrecondition, Unavailable, DataLoss
   */
  async getToken(connectionId: string, minTtlMs: number): Promise<CurrentToken> {
    const view = this.#view(connectionId);
    const { connection, token } = view;
    const nowMs = this.#clock.nowMs();
    if (token && this.#livesLongEnough(connection, minTtlMs, nowMs)) {
      // The scheduler refreshes it at this time too; a token that is asked for need not wait for its turn.
      if (isInWindow(connection, nowMs)) this.#nudge(connectionId);
      return token;
    }
    if (!connection.refreshable || !demandMayRefresh(connection, nowMs)) return tokenOrError(view, nowMs);
    await this.#refresher.refresh(connectionId);
    return tokenOrError(this.#view(connectionId), this.#clock.nowMs());
  }

  /**
   * A new token, whatever the age of the present one.
   *
   * @throws NotFound, FailedPrecondition (NOT_REFRESHABLE too), Unavailable, DataLoss
   */
  async refreshToken(connectionId: string): Promise<CurrentToken> {
    const { connection } = this.#view(connectionId);
    if (!connection.refreshable) {
      throw new FailedPrecondition("NOT_REFRESHABLE", "the connection has no refresh token");
    }
    const { problem } = connection;
    const nowMs = this.#clock.nowMs();
    if (problem?.firm === true && problem.retryAtMs !== undefined && problem.retryAtMs > nowMs) {
      if (problem.reason === "misconfigured") throw precondition("PROVIDER_MISCONFIGURED", "misconfigured");
      throw retryLater(connection, nowMs);
    }
    const outcome = await this.#refresher.refresh(connectionId);
    const view = this.#view(connectionId);
    if (outcome === "refreshed" && view.token) return view.token;
    if (outcome === "suspended" || view.problem?.reason === "misconfigured") {
      throw precondition("PROVIDER_MISCONFIGURED", "misconfigured");
    }
    if (view.problem?.reason === "provider_deleted") {
      throw precondition("PROVIDER_DELETED", "provider_deleted");
    }
    throw retryLater(view.connection, this.#clock.nowMs());
  }

  /** The view of an active connection; the error that says why it is not active otherwise. */
  #view(connectionId: string): ConnectionView {
    const view = this.#reader.view(connectionId);
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

  #livesLongEnough(connection: Connection, minTtlMs: number, nowMs: number): boolean {
    if (connection.expiresAtMs === undefined || minTtlMs <= 0) return true;
    const issuedMs = connection.issuedAtMs ?? nowMs;
    const obtainableMs = Math.max(0, (connection.refreshNotBeforeMs ?? connection.expiresAtMs) - issuedMs);
    return connection.expiresAtMs - nowMs >= Math.min(minTtlMs, obtainableMs);
  }

  #nudge(connectionId: string): void {
    // A failure is written into the connection by the refresher; whoever asked has a living token.
    this.#refresher.refresh(connectionId, "due").catch(() => undefined);
  }
}

function tokenOrError(view: ConnectionView, nowMs: number): CurrentToken {
  if (view.token) return view.token;
  const { connection } = view;
  if (!connection.refreshable) throw precondition("ATTENTION_REQUIRED", "no_refresh_token");
  if (view.problem?.reason === "provider_deleted") {
    throw precondition("ATTENTION_REQUIRED", "provider_deleted");
  }
  if (view.problem?.reason === "misconfigured") {
    throw precondition("PROVIDER_MISCONFIGURED", "misconfigured");
  }
  throw retryLater(connection, nowMs);
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
