import type { AuditEventType } from "../../model/access/audit_event.js";
import { daemon } from "../../model/access/principal.js";
import {
  type Connection,
  hasUsableToken,
  type Problem,
  type RefreshIntent,
  type Refusals,
} from "../../model/connections/connection.js";
import type { ProblemReason } from "../../model/problem_reason.js";
import { isUnattended } from "../../model/providers/grant_type.js";
import type { ProviderProfile } from "../../model/providers/provider_profile.js";
import {
  isRefusedAlone,
  isRefusedForGood,
  outcomeProbeDelayMs,
  remainingMs,
  retryDelayMs,
  suspensionDelayMs,
} from "../../model/refresh/refresh_policy.js";
import type { GrantFailure } from "../../oauth/failure.js";
import type { Clock } from "../../runtime/clock.js";
import type { Log } from "../../runtime/log.js";
import type { Store } from "../../store/store.js";
import type { Transaction } from "../../store/transaction.js";
import {
  attention,
  type ConnectionChange,
  changeConnection,
  problemSince,
} from "../connections/state/connection_change.js";
import { movedGrant } from "../connections/state/grant_rebinding.js";
import { refusalWords, refusedClientAdvice } from "../token_endpoint/refused_client.js";
import { reactionTo, unattendedReactionTo } from "./failure_reaction.js";
import { isSame } from "./journal/refresh_intent.js";
import type { ProviderSuspensions, RefusedAttempt } from "./limits/provider_suspensions.js";
import type { RefreshOutcome } from "./refresh_outcome.js";

/** One attempt to refresh: the connection as it was read, and its intent before this attempt. */
export interface Attempt extends RefusedAttempt {
  /** Of the same credential; set when an earlier request may have been redeemed. */
  readonly earlier: RefreshIntent | undefined;
}

/** What a refresh that failed does to its connection. */
interface FailedRefresh {
  readonly change: ConnectionChange;
  readonly audit: { readonly type: AuditEventType; readonly reason: ProblemReason };
}

export interface RefreshFailuresDeps {
  readonly store: Store;
  readonly suspensions: ProviderSuspensions;
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly log: Log;
}

/** Writes the outcome of a failed refresh, only against the revision that the refresh was made with. */
export class RefreshFailures {
  constructor(private readonly deps: RefreshFailuresDeps) {}

  /** Does what the tables of `failure_reaction.ts` say. */
  async record(attempt: Attempt, failure: GrantFailure): Promise<RefreshOutcome> {
    const isMinted = isUnattended(attempt.profile);
    const reaction = isMinted ? unattendedReactionTo(failure) : reactionTo(failure, attempt.earlier);
    switch (reaction.kind) {
      case "reauthorize":
        return await this.requireReauthorization(attempt, reaction.reason, reaction);
      case "suspend":
        return await this.suspend(attempt, failure.message);
      case "refuse_client":
        return await this.#refuseClient(attempt, failure);
      case "refuse_grant":
        return await this.#refused(attempt, failure.message, reaction.httpStatus);
      case "retry":
        return await this.retryLater(attempt, failure.message, failure.retryAfterMs);
      case "probe":
        return await this.probeLater(attempt, failure.message, failure.retryAfterMs);
    }
  }

  /** A failure that time does not fix: a person must act. */
  async requireReauthorization(
    { connection, earlier }: Pick<Attempt, "connection" | "earlier">,
    reason: ProblemReason,
    { refused, detail }: Pick<Problem, "refused" | "detail"> = {},
  ): Promise<RefreshOutcome> {
    const details = { connectionId: connection.id, reason, detail, httpStatus: refused?.httpStatus };
    this.deps.log.warn(details, "the grant is lost: consent is needed again");
    const written = await this.#write(connection, (current, nowMs) => {
      const change = attention(current, reason, nowMs);
      const more = { ...(refused && { refused }), ...(detail !== undefined && { detail }) };
      const problem = { ...problemSince(current, reason, nowMs), ...more };
      return {
        change: { ...change, problem, refreshIntent: inDoubt(reason, earlier) },
        audit: { type: "token_refresh_fatal", reason },
      };
    });
    return written ? "attention" : "superseded";
  }

  /** A 4xx that does not say why: after a lost answer the end of the grant, otherwise when it goes on for too long. */
  async #refused(attempt: Attempt, failure: string, httpStatus: number): Promise<RefreshOutcome> {
    const { connection, profile, earlier } = attempt;
    if (earlier) return await this.requireReauthorization(attempt, "outcome_unknown");
    const refused = this.deps.suspensions.refusedAgain(connection, profile, httpStatus);
    if (isRefusedForGood(refused))
      return await this.requireReauthorization(attempt, "refresh_refused", { refused });
    return await this.retryLater(attempt, failure, undefined, refused);
  }

  /** The profile names another client, issuer or token endpoint than the grant was given to: nothing was sent, nothing will be. */
  async detach({ connection, profile }: Attempt, movedFrom: string): Promise<RefreshOutcome> {
    this.deps.log.warn(
      { connectionId: connection.id },
      "the profile names another client, issuer or token endpoint: consent is needed again",
    );
    const written = await this.#write(connection, (current, nowMs) => ({
      change: movedGrant(profile, current, movedFrom, nowMs),
      audit: { type: "grant_detached", reason: "reauth_required" },
    }));
    return written ? "attention" : "superseded";
  }

  /** The profile is gone: the token is good until it expires. */
  async markProviderDeleted(connection: Connection): Promise<RefreshOutcome> {
    const reason = "provider_deleted";
    await this.#write(connection, (current, nowMs) => ({
      change: hasUsableToken(current, nowMs)
        ? { problem: problemSince(current, reason, nowMs) }
        : attention(current, reason, nowMs),
      audit: { type: "token_refresh_failed", reason },
    }));
    return "not_refreshable";
  }

  /** The profile cannot be used: all its connections wait. */
  async suspend(attempt: Attempt, failure: string): Promise<RefreshOutcome> {
    const { connection, profile, isProbe } = attempt;
    const details = { connectionId: connection.id, providerId: profile.id, failure };
    this.deps.log.error(details, "the profile cannot be used: it is suspended");
    const suspend = (tx: Transaction): void =>
      this.deps.suspensions.suspend(tx, profile, connection.id, isProbe);
    const written = await this.#write(connection, (current, nowMs, tx) => {
      suspend(tx);
      return this.#waiting(attempt, current, nowMs, { detail: failure });
    });
    // The connection has moved on; that its profile cannot be used holds all the same.
    if (!written) await this.deps.store.commit(suspend);
    return "suspended";
  }

  /**
   * The provider refuses the client. All connections of the profile wait when it refuses it for another one too; this one alone, asked
   * again less and less often, when it does not; and when it goes on accepting others, its grant is given up.
   */
  async #refuseClient(attempt: Attempt, failure: GrantFailure): Promise<RefreshOutcome> {
    const { connection, profile, earlier } = attempt;
    const detail = failure.isClientRejected
      ? `${failure.message}; ${refusedClientAdvice(profile)}`
      : failure.message;
    const context = { connectionId: connection.id, providerId: profile.id };
    const details = { ...context, failure: detail, description: refusalWords(failure) };
    let isGivenUp = false;
    const written = await this.#write(connection, (current, nowMs, tx) => {
      const refused = this.deps.suspensions.refusedAgain(current, profile, failure.httpStatus ?? 0);
      const isSuspended = this.deps.suspensions.refuse(tx, attempt, refused);
      if (!isSuspended && isRefusedAlone(refused) && !isUnattended(profile)) {
        isGivenUp = true;
        const reason = earlier ? "outcome_unknown" : "reauth_required";
        const change = { ...attention(current, reason, nowMs), refreshIntent: inDoubt(reason, earlier) };
        return { change, audit: { type: "token_refresh_fatal", reason } };
      }
      if (isSuspended) return this.#waiting(attempt, current, nowMs, { refused, detail });
      const retryAtMs = nowMs + suspensionDelayMs(current.failedRefreshes + 1, this.deps.random());
      return this.#waiting(attempt, current, nowMs, { refused, retryAtMs, firm: true, detail });
    });
    if (!written) return "superseded";
    if (!isGivenUp) {
      this.deps.log.error(details, "the provider refuses the client");
      return "suspended";
    }
    this.deps.log.warn(details, "the provider refuses this grant alone: consent is needed again");
    return "attention";
  }

  /** Fell due while its provider is suspended: nothing is sent. */
  async awaitProvider(connection: Connection, profile: ProviderProfile): Promise<RefreshOutcome> {
    const { problem, refreshIntent: earlier } = connection;
    if (problem?.reason === "misconfigured" && problem.retryAtMs === undefined) return "suspended";
    const attempt: Attempt = { connection, profile, earlier, isProbe: false };
    await this.#write(connection, (current, nowMs) => {
      const { refused } = current.problem ?? {};
      return this.#waiting(attempt, current, nowMs, refused ? { refused } : {});
    });
    return "suspended";
  }

  /** What is written of a connection that waits for its client to be accepted: until `retryAtMs`, or else until it is woken. */
  #waiting(
    { earlier, profile }: Attempt,
    current: Connection,
    nowMs: number,
    wait: Pick<Problem, "refused" | "firm" | "detail"> & { readonly retryAtMs?: number },
  ): FailedRefresh {
    const reason = "misconfigured";
    const { retryAtMs, detail, ...others } = wait;
    // Of a consent the log says it; a connection without a person was made to be told.
    const rest = isUnattended(profile) && detail !== undefined ? { ...others, detail } : others;
    return {
      change: {
        ...(hasUsableToken(current, nowMs) ? {} : { status: "attention" }),
        refreshIntent: earlier,
        problem: { ...problemSince(current, reason, nowMs, retryAtMs), ...rest },
        failedRefreshes: retryAtMs === undefined ? 0 : current.failedRefreshes + 1,
      },
      audit: { type: "token_refresh_failed", reason },
    };
  }

  /** The provider has not redeemed anything: the refresh token may be sent as if this attempt had not been. */
  async retryLater(
    attempt: Attempt,
    failure: string,
    retryAfterMs: number | undefined,
    refused = attempt.connection.problem?.refused,
  ): Promise<RefreshOutcome> {
    const { connection, earlier } = attempt;
    const limits = { retryAfterMs, remainingMs: remainingMs(connection, this.deps.clock.nowMs()) };
    const delayMs = retryDelayMs(connection.failedRefreshes + 1, limits, this.deps.random());
    return await this.#retry(connection, failure, delayMs, retryAfterMs !== undefined, {
      refreshIntent: earlier,
      refused,
    });
  }

  /** The answer was lost: the intent stays, and tells the one probe what a refusal means. */
  async probeLater(
    { connection }: Attempt,
    failure: string,
    retryAfterMs: number | undefined,
  ): Promise<RefreshOutcome> {
    const delayMs = Math.max(outcomeProbeDelayMs(this.deps.random()), retryAfterMs ?? 0);
    return await this.#retry(connection, failure, delayMs, true, {
      refused: connection.problem?.refused,
    });
  }

  async #retry(
    connection: Connection,
    failure: string,
    delayMs: number,
    firm: boolean,
    { refused, ...change }: ConnectionChange & { refused: Refusals | undefined },
  ): Promise<RefreshOutcome> {
    const failedRefreshes = connection.failedRefreshes + 1;
    const retryAtMs = this.deps.clock.nowMs() + delayMs;
    const reason = "refresh_failing";
    this.deps.log.warn(
      { connectionId: connection.id, failure, failedRefreshes, retryAt: new Date(retryAtMs).toISOString() },
      "refresh failed and will be tried again",
    );
    const written = await this.#write(connection, (current, nowMs) => {
      const problem = {
        ...problemSince(current, reason, nowMs, retryAtMs),
        ...(firm ? { firm } : {}),
        ...(refused === undefined ? {} : { refused }),
      };
      const retried = { ...change, status: "active", problem, failedRefreshes } as const;
      return { change: retried, audit: { type: "token_refresh_failed", reason } };
    });
    return written ? "retry" : "superseded";
  }

  async #write(
    attempted: Connection,
    outcome: (current: Connection, nowMs: number, tx: Transaction) => FailedRefresh,
  ): Promise<boolean> {
    const nowMs = this.deps.clock.nowMs();
    return await this.deps.store.commit((tx) => {
      const current = tx.getConnection(attempted.id);
      if (!isSame(current, attempted)) return false;
      const { change, audit } = outcome(current, nowMs, tx);
      tx.putConnection(changeConnection(current, change, nowMs));
      const { id: connectionId, providerId } = current;
      tx.appendAudit({ timeMs: nowMs, principal: daemon.name, connectionId, providerId, ...audit });
      return true;
    });
  }
}

/** The mark of the attempt whose answer was never seen: a hub that was cut off may bring it. */
function inDoubt(reason: ProblemReason, earlier: RefreshIntent | undefined): RefreshIntent | undefined {
  return reason === "outcome_unknown" ? earlier : undefined;
}
