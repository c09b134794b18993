import {
  type Connection,
  type ConnectionStatus,
  problemSentence,
} from "../../model/connections/connection.js";
import {
  DataLoss,
  FailedPrecondition,
  NotFound,
  type PreconditionReason,
  Unavailable,
} from "../../model/errors.js";
import { type ProblemReason, problemMessages } from "../../model/problem_reason.js";
import { isWithheld } from "../../model/refresh/refresh_policy.js";
import type { Clock } from "../../runtime/clock.js";
import type { ConnectionView, CredentialReader, CurrentToken } from "../credentials/credential_reader.js";
import { awaitedRefresh, type Refreshes } from "../refresh/refresher.js";

export interface DemandedRefreshDeps {
  readonly reader: CredentialReader;
  readonly refresher: Refreshes;
  readonly clock: Clock;
}

/** With a token. */
export type WholeView = ConnectionView & { readonly token: CurrentToken };

/** Refreshes that a caller waits for, and the error when there is no token. */
export class DemandedRefresh {
  constructor(private readonly deps: DemandedRefreshDeps) {}

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
  async refresh(
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
    refuseWithheld(connection);
    const { problem } = connection;
    const nowMs = clock.nowMs();
    if (problem?.firm === true && problem.retryAtMs !== undefined && problem.retryAtMs > nowMs) {
      if (problem.reason === "misconfigured") throw precondition("PROVIDER_MISCONFIGURED", "misconfigured");
      throw retryLater(connection, nowMs);
    }
    beforeSending?.(before);
    const options = onlyRevision === undefined ? {} : { onlyRevision };
    const outcome = await awaitedRefresh(this.deps, connectionId, options);
    const view = this.view(connectionId);
    if (outcome === "refreshed" && isWhole(view)) return view;
    refuseWithheld(view.connection);
    if (isNewer(view, onlyRevision) && isWhole(view)) return view;
    if (outcome === "suspended" || view.problem?.reason === "misconfigured") {
      throw precondition("PROVIDER_MISCONFIGURED", "misconfigured");
    }
    if (view.problem?.reason === "provider_deleted") {
      throw precondition("PROVIDER_DELETED", "provider_deleted");
    }
    throw retryLater(view.connection, clock.nowMs());
  }
}

function isNewer({ connection }: ConnectionView, revision: bigint | undefined): boolean {
  return revision !== undefined && connection.credentialRevision > revision;
}

function isWhole(view: ConnectionView): view is WholeView {
  return view.token !== undefined;
}

/** @throws FailedPrecondition when the last refresh brought a token that must not be served */
export function refuseWithheld(connection: Connection): void {
  const { problem } = connection;
  if (problem && isWithheld(connection)) throw precondition("ATTENTION_REQUIRED", problem.reason);
}

export function precondition(reason: PreconditionReason, problem: ProblemReason): FailedPrecondition {
  return new FailedPrecondition(reason, problemMessages[problem], undefined, problem);
}

export function retryLater(connection: Connection, nowMs: number): Unavailable {
  const retryAtMs = connection.problem?.retryAtMs;
  const retryAfterMs = retryAtMs === undefined ? 0 : retryAtMs - nowMs;
  return new Unavailable("the token could not be refreshed; the daemon tries again by itself", retryAfterMs);
}

const preconditions: Readonly<Record<Exclude<ConnectionStatus, "active">, PreconditionReason>> = {
  pending: "CONNECTION_PENDING",
  attention: "ATTENTION_REQUIRED",
  revoked: "CONNECTION_REVOKED",
  expired: "CONNECTION_EXPIRED",
  failed: "CONNECTION_FAILED",
};
