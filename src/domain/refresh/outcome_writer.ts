import { daemon } from "../../model/access/principal.js";
import {
  type Connection,
  hasUsableToken,
  type Problem,
  type RefreshIntent,
} from "../../model/connections/connection.js";
import type { ProblemReason } from "../../model/problem_reason.js";
import { isUnattended } from "../../model/providers/grant_type.js";
import type { ProviderProfile } from "../../model/providers/provider_profile.js";
import * as policy from "../../model/refresh/refresh_policy.js";
import type { GrantFailure } from "../../oauth/failure.js";
import { IdentityRequired } from "../../oauth/grants/identity_required.js";
import type { Transaction } from "../../store/transaction.js";
import { attention, changeConnection, problemSince } from "../connections/state/connection_change.js";
import { movedGrant } from "../connections/state/grant_rebinding.js";
import type { StoreParts } from "../credentials/parts.js";
import { refusalWords, refusedClientAdvice } from "../token_endpoint/refused_client.js";
import { isSame } from "./journal/refresh_intent.js";
import { type Answer, answerOf, outcomeOf } from "./outcomes.js";
import type { ProviderHealth } from "./provider_health.js";
import type { RefreshOutcome } from "./refresh_outcome.js";

/** One attempt to refresh: the connection as it was read, and its intent before this attempt. */
export interface Attempt {
  readonly connection: Connection;
  readonly profile: ProviderProfile;
  /** Of the same credential; set when an earlier request may have been redeemed. */
  readonly earlier: RefreshIntent | undefined;
  /** Made to find out whether the provider accepts the client again. */
  readonly isProbe: boolean;
}

/** An attempt whose outcome is being written: its connection as the commit finds it. */
interface Ended extends Omit<Attempt, "connection"> {
  readonly current: Connection;
  readonly nowMs: number;
  readonly tx: Transaction;
  readonly failure: GrantFailure | undefined;
}

/** What a problem says beside its reason. */
type More = { readonly [Field in "refused" | "firm" | "detail"]?: Problem[Field] | undefined };

/** What an outcome makes of a connection. */
interface Written {
  readonly change: Parameters<typeof changeConnection>[1];
  readonly type: "token_refresh_failed" | "token_refresh_fatal" | "grant_detached";
  readonly reason: ProblemReason;
  readonly outcome: RefreshOutcome;
}

/** Writes what the table of `outcomes.ts` says, only against the revision that the refresh was made with. */
export class OutcomeWriter {
  constructor(
    private readonly deps: StoreParts & {
      readonly health: ProviderHealth;
      /** Uniform in [0, 1). */
      readonly random: () => number;
    },
  ) {}

  async failed(attempt: Attempt, failure: GrantFailure): Promise<RefreshOutcome> {
    return await this.record(attempt, answerOf(failure), { failure });
  }

  /** @param movedFrom the binding of a grant that its profile has moved away from */
  async record(
    attempt: Attempt,
    answer: Answer,
    { failure, movedFrom = "" }: { readonly failure?: GrantFailure; readonly movedFrom?: string } = {},
  ): Promise<RefreshOutcome> {
    const { connection, profile, isProbe } = attempt;
    const outcome = outcomeOf(stateOf(attempt), answer);
    const suspend = (tx: Transaction) =>
      outcome === "suspend" && this.deps.health.suspend(tx, profile, connection.id, isProbe);
    const written = await this.#write(connection, (current, nowMs, tx) => {
      const ended = { ...attempt, current, nowMs, tx, failure };
      suspend(tx);
      return this.#written(ended, outcome, movedFrom);
    });
    // The connection has moved on; that its profile cannot be used holds anyway.
    if (written === undefined && outcome === "suspend") await this.deps.store.commit(suspend);
    return written ?? (outcome === "suspend" || outcome === "wait" ? "suspended" : "superseded");
  }

  /** The profile is gone: the token is good until it expires. */
  async providerDeleted(connection: Connection): Promise<RefreshOutcome> {
    const reason = "provider_deleted";
    await this.#write(connection, (current, nowMs) => {
      const problem = problemSince(current, reason, nowMs);
      const change = hasUsableToken(current, nowMs) ? { problem } : attention(current, reason, nowMs);
      return { change, type: "token_refresh_failed", reason, outcome: "not_refreshable" };
    });
    return "not_refreshable";
  }

  #written(ended: Ended, outcome: ReturnType<typeof outcomeOf>, movedFrom: string): Written {
    const { current, profile, nowMs, failure } = ended;
    const { id: connectionId } = current;
    const { log, random, health } = this.deps;
    switch (outcome) {
      case "detach": {
        const words = "the profile names another client, issuer or token endpoint: consent is needed again";
        log.warn({ connectionId }, words);
        const change = movedGrant(profile, current, movedFrom, nowMs);
        return { change, type: "grant_detached", reason: "reauth_required", outcome: "attention" };
      }
      case "suspend": {
        const details = { connectionId, providerId: profile.id, failure: failure?.message };
        log.error(details, "the profile cannot be used: it is suspended");
        return waiting(ended, { detail: failure?.message });
      }
      case "wait":
        return waiting(ended, { refused: current.problem?.refused });
      case "refuse_client":
        return this.#refused(ended);
      case "refuse_grant": {
        const refused = health.refusals(current, profile, failure?.httpStatus ?? 0);
        const isOver = policy.isRefusedForGood(refused);
        return isOver ? this.#over(ended, "refresh_refused", { refused }) : this.#retry(ended, { refused });
      }
      case "retry":
        return this.#retry(ended, {});
      case "probe": {
        const delayMs = Math.max(policy.outcomeProbeDelayMs(random()), failure?.retryAfterMs ?? 0);
        return this.#again(ended, delayMs, { firm: true }, current.refreshIntent);
      }
      default: {
        const isTold = outcome === "identity_required" && failure instanceof IdentityRequired;
        return this.#over(ended, outcome, isTold ? { detail: failure.words } : {});
      }
    }
  }

  /** It waits with all others, or by itself; where the provider goes on accepting others, its grant is given up. */
  #refused(ended: Ended): Written {
    const { current, profile, earlier, isProbe, nowMs, failure, tx } = ended;
    const { log, random, health } = this.deps;
    const advice = failure?.isClientRejected ? `; ${refusedClientAdvice(profile)}` : "";
    const detail = `${failure?.message}${advice}`;
    const context = { connectionId: current.id, providerId: profile.id, failure: detail };
    const details = { ...context, description: failure && refusalWords(failure) };
    const httpStatus = failure?.httpStatus ?? 0;
    const { refused, isSuspended } = health.clientRefused(tx, current, profile, httpStatus, isProbe);
    if (!isSuspended && policy.isRefusedAlone(refused) && !isUnattended(profile)) {
      log.warn(details, "the provider refuses this grant alone: consent is needed again");
      return over(ended, earlier ? "outcome_unknown" : "reauth_required", {});
    }
    log.error(details, "the provider refuses the client");
    if (isSuspended) return waiting(ended, { refused, detail });
    const delayMs = policy.suspensionDelayMs(current.failedRefreshes + 1, random());
    return waiting(ended, { refused, detail, firm: true }, nowMs + delayMs);
  }

  #over(ended: Ended, reason: ProblemReason, more: More): Written {
    const { refused, detail } = more;
    const details = { connectionId: ended.current.id, reason, detail, httpStatus: refused?.httpStatus };
    this.deps.log.warn(details, "the grant is lost: consent is needed again");
    return over(ended, reason, more);
  }

  /** The provider has not redeemed anything: the refresh token may be sent as if this attempt had not been. */
  #retry(ended: Ended, more: More): Written {
    const { current, earlier, nowMs, failure } = ended;
    const { retryAfterMs } = failure ?? {};
    const limits = { retryAfterMs, remainingMs: policy.remainingMs(current, nowMs) };
    const delayMs = policy.retryDelayMs(current.failedRefreshes + 1, limits, this.deps.random());
    return this.#again(
      ended,
      delayMs,
      { ...more, ...(retryAfterMs !== undefined && { firm: true }) },
      earlier,
    );
  }

  #again(
    { current, nowMs, failure }: Ended,
    delayMs: number,
    more: More,
    refreshIntent: RefreshIntent | undefined,
  ): Written {
    const reason = "refresh_failing";
    const failedRefreshes = current.failedRefreshes + 1;
    const retryAtMs = nowMs + delayMs;
    const retryAt = new Date(retryAtMs).toISOString();
    const details = { connectionId: current.id, failure: failure?.message, failedRefreshes, retryAt };
    this.deps.log.warn(details, "refresh failed and will be tried again");
    const problem = problemWith(problemSince(current, reason, nowMs, retryAtMs), {
      refused: current.problem?.refused,
      ...more,
    });
    const change = { status: "active", problem, failedRefreshes, refreshIntent } as const;
    return { change, type: "token_refresh_failed", reason, outcome: "retry" };
  }

  async #write(
    attempted: Connection,
    make: (current: Connection, nowMs: number, tx: Transaction) => Written,
  ): Promise<RefreshOutcome | undefined> {
    const timeMs = this.deps.clock.nowMs();
    return await this.deps.store.commit((tx) => {
      const current = tx.getConnection(attempted.id);
      if (!isSame(current, attempted)) return undefined;
      const { change, type, reason, outcome } = make(current, timeMs, tx);
      tx.putConnection(changeConnection(current, change, timeMs));
      const { id: connectionId, providerId } = current;
      tx.appendAudit({ timeMs, principal: daemon.name, connectionId, providerId, type, reason });
      return outcome;
    });
  }
}

function stateOf({ profile, earlier }: Attempt): Parameters<typeof outcomeOf>[0] {
  if (isUnattended(profile)) return "minted";
  if (earlier === undefined) return "unused";
  return earlier.sends > 0 ? "in_doubt" : "restored";
}

/** A failure that time does not fix. */
function over({ current, earlier, nowMs }: Ended, reason: ProblemReason, more: More): Written {
  // The mark of the attempt whose answer was never seen: a hub that was cut off may bring it.
  const refreshIntent = reason === "outcome_unknown" ? earlier : undefined;
  const problem = problemWith(problemSince(current, reason, nowMs), more);
  const change = { ...attention(current, reason, nowMs), problem, refreshIntent };
  return { change, type: "token_refresh_fatal", reason, outcome: "attention" };
}

/** What is written of a connection that waits for its client to be accepted: until `retryAtMs`, or else until it is woken. */
function waiting(
  { current, profile, earlier, nowMs }: Ended,
  { detail, ...more }: More,
  retryAtMs?: number,
): Written {
  const reason = "misconfigured";
  // Of a consent the log says it; a connection without a person has to show it.
  const rest = isUnattended(profile) ? { ...more, detail } : more;
  const change = {
    ...(!hasUsableToken(current, nowMs) && ({ status: "attention" } as const)),
    refreshIntent: earlier,
    problem: problemWith(problemSince(current, reason, nowMs, retryAtMs), rest),
    failedRefreshes: retryAtMs === undefined ? 0 : current.failedRefreshes + 1,
  };
  return { change, type: "token_refresh_failed", reason, outcome: "suspended" };
}

/** Without what is undefined. */
function problemWith(problem: Problem, more: More): Problem {
  const known = Object.entries(more).filter(([, value]) => value !== undefined);
  return { ...problem, ...Object.fromEntries(known) };
}
