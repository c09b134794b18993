import { about, by } from "../../model/access/audit_event.js";
import type { Principal } from "../../model/access/principal.js";
import {
  type Connection,
  type ConnectionStatus,
  problemSentence,
} from "../../model/connections/connection.js";
import {
  DataLoss,
  FailedPrecondition,
  NexusError,
  NotFound,
  type PreconditionReason,
  Unavailable,
} from "../../model/errors.js";
import { type ProblemReason, problemMessages } from "../../model/problem_reason.js";
import { demandMayRefresh, hasUnservedToken } from "../../model/refresh/refresh_policy.js";
import { noTracing, type Tracing, type Use } from "../../model/tracing.js";
import { BoundedMap } from "../../runtime/bounded_map.js";
import type { Clock } from "../../runtime/clock.js";
import type { Store } from "../../store/store.js";
import type { RequestRules, TokenPurpose } from "../access/access.js";
import type { ConnectionView, CredentialReader, CurrentToken } from "../connections/connections.js";
import { awaitedRefresh, type Refreshes } from "../grants/grants.js";
import type { ReadAudit } from "./read_audit.js";
import type { RefreshLimit } from "./refresh_limit.js";

/** Refreshes on record, by principal and connection. One that is forgotten is recorded again. */
const maxRecordedRefreshes = 10_000;

export interface TokensDeps {
  readonly store: Store;
  readonly reader: CredentialReader;
  readonly refresher: Refreshes;
  readonly clock: Clock;
  readonly readAudit: Pick<ReadAudit, "read" | "refused" | "obtained">;
  readonly limit: Pick<RefreshLimit, "take">;
  readonly rules: Pick<RequestRules, "admit" | "takeBack">;
  readonly tracing: Tracing;
}

/** What a downscoped token is for (RFC 8693 section 2.1; `nexus.v1.TokenServiceGetTokenRequest`). What is empty is not named. */
export interface TokenTarget {
  readonly audience: string;
  readonly resource: string;
  readonly scopes: readonly string[];
}

/** Whether anything is named: what names nothing asks for the connection's own token. */
export function isDownscoped({ audience, resource, scopes }: TokenTarget): boolean {
  return audience !== "" || resource !== "" || scopes.length > 0;
}

/** With a token. */
type WholeView = ConnectionView & { readonly token: CurrentToken };

/** Tokens for callers. Each read is recorded before its token leaves. */
export class Tokens {
  /** The revision whose refresh is on record, by principal and connection. */
  readonly #recordedRefreshes = new BoundedMap<string, bigint>(maxRecordedRefreshes);

  readonly #underway = new Map<string, Promise<WholeView>>();

  constructor(private readonly deps: TokensDeps) {}

  /**
   * The current token: at once while it lives, after a shared refresh when it does not. Answers without a promise when the token is
   * cached and this reader has read it before.
   *
   * @param minTtlMs wished remaining lifetime; cut to what a new token has before its refresh window
   * @param asking the request that the token is for
   * @throws NotFound, FailedPrecondition, PermissionDenied, DataLoss; Unavailable, also when the read cannot be recorded
   */
  getToken(
    connectionId: string,
    minTtlMs: number,
    principal: Principal,
    asking?: TokenPurpose,
  ): CurrentToken | Promise<CurrentToken> {
    const use = this.admitted(principal, connectionId, asking);
    if (use instanceof Promise)
      return use.then((admitted) =>
        this.used(admitted, () => this.read(connectionId, minTtlMs, principal, admitted)),
      );
    return this.read(connectionId, minTtlMs, principal, use);
  }

  /** As `getToken`, whatever the rules say: for what is of no use without a token that somebody has. */
  read(
    connectionId: string,
    minTtlMs: number,
    principal: Principal,
    use?: Use,
  ): CurrentToken | Promise<CurrentToken> {
    const token = this.#cached(connectionId, minTtlMs);
    if (token) {
      const recorded = this.deps.readAudit.read(principal, connectionId, token.revision, 1, use);
      return recorded === undefined ? token : recorded.then(() => token);
    }
    return this.deps.readAudit.obtained({ principal, connectionId, use }, () =>
      this.#current(connectionId, minTtlMs),
    );
  }

  /**
   * As `getToken` of a caller that is admitted, for what is made of the token: nothing is recorded, and it must not leave.
   *
   * @throws as `getToken`
   */
  async subject(connectionId: string, minTtlMs: number): Promise<CurrentToken> {
    return this.#cached(connectionId, minTtlMs) ?? (await this.#current(connectionId, minTtlMs));
  }

  /**
   * A new token, whatever the age of the present one.
   *
   * @throws NotFound, FailedPrecondition (NOT_REFRESHABLE too), ResourceExhausted, DataLoss; Unavailable, also when the read cannot be
   * recorded
   */
  async refreshToken(
    connectionId: string,
    principal: Principal,
    asking?: TokenPurpose,
  ): Promise<CurrentToken> {
    const use = await this.admitted(principal, connectionId, asking);
    const refreshed = async (): Promise<CurrentToken> => (await this.#forced(connectionId)).token;
    return await this.used(use, () =>
      this.deps.readAudit.obtained({ principal, connectionId, use }, refreshed),
    );
  }

  /**
   * As `refreshToken`, of which nobody gets the token: instead of a read, the request of this principal is on record, once for each
   * revision.
   *
   * @returns the connection with its new revision
   * @throws NotFound, FailedPrecondition (NOT_REFRESHABLE too), ResourceExhausted, DataLoss, Unavailable
   */
  async renew(connectionId: string, principal: Principal): Promise<Connection> {
    const before = this.view(connectionId).connection;
    const revision = before.credentialRevision;
    const key = `${principal.name} ${connectionId}`;
    if (this.#recordedRefreshes.get(key) !== revision) {
      const timeMs = this.deps.clock.nowMs();
      const event = { timeMs, type: "token_refresh_requested", ...by(principal), ...about(before) } as const;
      await this.deps.store.record((tx) => tx.appendAudit({ ...event, revision }));
      this.#recordedRefreshes.set(key, revision);
    }
    const { connection } = await this.#forced(connectionId);
    return connection;
  }

  /** The view of an active connection. @throws NotFound, DataLoss, FailedPrecondition that says why it is not active */
  view(connectionId: string): ConnectionView {
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

  /**
   * A new revision, whatever the age of the present one.
   *
   * @param onlyRevision refreshed if the connection still has it, and nothing is done if it has a newer one
   * @param beforeSending may still refuse it
   * @throws as `view`; FailedPrecondition (NOT_REFRESHABLE too), Unavailable
   */
  async refreshed(
    connectionId: string,
    onlyRevision?: bigint,
    beforeSending?: (view: ConnectionView) => void,
  ): Promise<WholeView> {
    const { clock } = this.deps;
    const before = this.view(connectionId);
    const { connection } = before;
    if (isNewer(before, onlyRevision) && isWhole(before)) return before;
    if (!connection.refreshable) {
      throw new FailedPrecondition(
        "NOT_REFRESHABLE",
        "the connection has no refresh token: the user must consent again, or replace the key of a static type",
      );
    }
    const { problem } = connection;
    const nowMs = clock.nowMs();
    const isFirm = problem?.firm === true && problem.retryAtMs !== undefined && problem.retryAtMs > nowMs;
    if (isFirm || hasUnservedToken(connection)) throw noToken(connection, nowMs);
    beforeSending?.(before);
    const options = onlyRevision === undefined ? {} : { onlyRevision };
    const outcome = await awaitedRefresh(this.deps, connectionId, options);
    const view = this.view(connectionId);
    if (outcome === "refreshed" && isWhole(view)) return view;
    if (!hasUnservedToken(view.connection) && isNewer(view, onlyRevision) && isWhole(view)) return view;
    const isSuspended = outcome === "suspended" && !hasUnservedToken(view.connection);
    if (isSuspended) throw precondition("PROVIDER_MISCONFIGURED", "misconfigured");
    throw noToken(view.connection, clock.nowMs());
  }

  /** Shared by all who ask at the same time. Counted unless `getToken` would refresh too. @throws ResourceExhausted */
  #forced(connectionId: string): Promise<WholeView> {
    const underway = this.#underway.get(connectionId);
    if (underway !== undefined) return underway;
    const count = ({ connection, token }: ConnectionView): void => {
      const nowMs = this.deps.clock.nowMs();
      const isNeeded = token === undefined || isInWindow(connection, nowMs);
      if (!isNeeded || !demandMayRefresh(connection, nowMs)) this.deps.limit.take(connectionId);
    };
    const refreshed = this.refreshed(connectionId, undefined, count).finally(() =>
      this.#underway.delete(connectionId),
    );
    this.#underway.set(connectionId, refreshed);
    return refreshed;
  }

  /** What the use goes on record with. @throws what the rules refuse with, when that is on record */
  admitted(
    principal: Principal,
    connectionId: string,
    asking?: TokenPurpose,
  ): ReturnType<RequestRules["admit"]> {
    const annotated = <U extends Use | undefined>(use: U): U => this.#annotated(principal, connectionId, use);
    const admitted = this.deps.rules.admit(principal, connectionId, asking);
    if (!(admitted instanceof Promise)) return annotated(admitted);
    return admitted.then(annotated, async (error: unknown) => {
      if (error instanceof NexusError) annotated(error.use);
      await this.deps.readAudit.refused(principal, connectionId, error);
      throw error;
    });
  }

  /** What is obtained for a use that was admitted: where nothing is, the use does not count. */
  async used<T>(use: Use | undefined, obtain: () => T | Promise<T>): Promise<T> {
    try {
      return await obtain();
    } catch (error) {
      this.deps.rules.takeBack(use);
      throw error;
    }
  }

  /** On the span of the call. */
  #annotated<U extends Use | undefined>({ name, onBehalfOf }: Principal, connectionId: string, use: U): U {
    const { tracing, store } = this.deps;
    if (tracing === noTracing) return use;
    tracing.annotate({
      "nexus.agent": onBehalfOf?.name ?? name,
      "nexus.connection_id": connectionId,
      "user.id": store.getConnection(connectionId)?.userId,
      "session.id": use?.session,
      "nexus.rule": use?.rule,
      "nexus.shadow": use?.shadow,
      "nexus.approver": use?.approver,
    });
    return use;
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
    const view = this.view(connectionId);
    const { connection, token } = view;
    const nowMs = clock.nowMs();
    if (token && livesLongEnough(connection, minTtlMs, nowMs)) {
      // The scheduler refreshes it at this time too; a token that a caller wants does not wait for its turn. A failure is written into
      // the connection by the refresher, and this caller has a living token.
      if (isInWindow(connection, nowMs)) refresher.refresh(connectionId, "due").catch(() => undefined);
      return token;
    }
    if (!connection.refreshable || !demandMayRefresh(connection, nowMs)) return tokenOrError(view, nowMs);
    await awaitedRefresh(this.deps, connectionId);
    return tokenOrError(this.view(connectionId), clock.nowMs());
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
  if (!view.connection.refreshable) throw precondition("ATTENTION_REQUIRED", "no_refresh_token");
  if (view.problem?.reason === "provider_deleted")
    throw precondition("ATTENTION_REQUIRED", "provider_deleted");
  throw noToken(view.connection, nowMs);
}

/** What a caller gets instead of a token: the precondition that the problem of the connection breaks, or the time of the next try. */
function noToken(connection: Connection, nowMs: number): NexusError {
  const { problem } = connection;
  if (problem && hasUnservedToken(connection)) return precondition("ATTENTION_REQUIRED", problem.reason);
  if (problem?.reason === "misconfigured") return precondition("PROVIDER_MISCONFIGURED", "misconfigured");
  if (problem?.reason === "provider_deleted") return precondition("PROVIDER_DELETED", "provider_deleted");
  const retryAfterMs = problem?.retryAtMs === undefined ? 0 : problem.retryAtMs - nowMs;
  return new Unavailable("the token could not be refreshed; the daemon tries again by itself", retryAfterMs);
}

export function precondition(reason: PreconditionReason, problem: ProblemReason): FailedPrecondition {
  return new FailedPrecondition(reason, problemMessages[problem], undefined, problem);
}

const preconditions: Readonly<Record<Exclude<ConnectionStatus, "active">, PreconditionReason>> = {
  pending: "CONNECTION_PENDING",
  attention: "ATTENTION_REQUIRED",
  revoked: "CONNECTION_REVOKED",
  expired: "CONNECTION_EXPIRED",
  failed: "CONNECTION_FAILED",
};

function isNewer({ connection }: ConnectionView, revision: bigint | undefined): boolean {
  return revision !== undefined && connection.credentialRevision > revision;
}

function isWhole(view: ConnectionView): view is WholeView {
  return view.token !== undefined;
}

function isInWindow(connection: Connection, nowMs: number): boolean {
  const startMs = connection.refreshNotBeforeMs;
  return (
    connection.refreshable && startMs !== undefined && nowMs >= startMs && connection.problem === undefined
  );
}
