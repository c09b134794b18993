import { daemon } from "../../model/access/principal.js";
import {
  type Connection,
  hasUsableToken,
  type Problem,
  type RefreshIntent,
} from "../../model/connections/connection.js";
import { type RefreshOutcome, refreshOutcomeOf } from "../../model/connections/refresh_outcome.js";
import { DataLoss } from "../../model/errors.js";
import type { ProblemReason } from "../../model/problem_reason.js";
import { isUnattended } from "../../model/providers/grant_type.js";
import type { ProviderProfile } from "../../model/providers/provider_profile.js";
import * as policy from "../../model/refresh/refresh_policy.js";
import { GrantFailure } from "../../oauth/failure.js";
import { IdentityRequired } from "../../oauth/grants/identity_required.js";
import type { Renewed } from "../../oauth/token_response.js";
import type { Transaction } from "../../store/transaction.js";
import {
  attention,
  type ConnectionChange,
  changeConnection,
  movedGrant,
  problemSince,
  type StoreParts,
  whileRefused,
} from "../connections/connections.js";
import { refusalWords, refusedClientAdvice } from "../token_endpoint/token_endpoint.js";
import type { ProviderHealth } from "./provider_health.js";

/**
 * What is known of a refresh token before it is sent, which uses it up:
 *
 * - `unused`, as far as is known
 * - `restored` from a backup, and not sent from here
 * - `in_doubt` after a request whose answer was lost
 * - `minted` if there is none, and nothing is used up
 */
const states = ["unused", "restored", "in_doubt", "minted"] as const;
export type GrantState = (typeof states)[number];

/** The user must consent again for this reason, and nothing more is sent. */
type Ending = Extract<
  ProblemReason,
  "outcome_unknown" | "reauth_required" | "consent_revoked" | "data_loss" | "identity_required"
>;

/** The next state of the connection, and its next attempt. */
export type Outcome =
  | Ending
  /** As `reauth_required`; the grant comes back with its client and server. */
  | "detach"
  /** Every connection of the profile waits until a probe is accepted, or the profile changes. */
  | "suspend"
  /** It waits with them. */
  | "wait"
  /** As `afterRefusal` says: it waits with all others, is retried after 30 s, doubling up to an hour, or ends. */
  | "refuse_client"
  /** As `retry`, until it was refused for an hour and five times, or alone. */
  | "refuse_grant"
  /** Sent as if this attempt had not been: within a minute at first, later up to a day. */
  | "retry"
  /** Sent once more in 5 to 10 s, and not sooner on demand. */
  | "probe"
  /** The token set is served. */
  | "store"
  /** Only its refresh token is kept, which the provider may have rotated: a user must look. The access token before lives until it expires. */
  | Extract<ProblemReason, "account_changed" | "id_token_verification_failed">
  /** Only its refresh token is kept, and tried as after `retry`. */
  | "rotate";

/** State x answer -> outcome: first the answers before anything is sent, then the failures, then what holds a token set. */
const table = {
  // The one probe was sent too: a third request may end all tokens of the grant.
  spent: ["outcome_unknown", "outcome_unknown", "outcome_unknown", "retry"],
  // What is stored does not open.
  unreadable: ["data_loss", "data_loss", "data_loss", "retry"],
  // A refresh token is sent to nobody but its issuer (RFC 6749 section 10.4).
  moved: ["detach", "detach", "detach", "suspend"],
  // Its provider is suspended.
  held: ["wait", "wait", "wait", "wait"],
  // The address or the client of the profile is not known: so it is for every connection.
  profile_unusable: ["suspend", "suspend", "suspend", "suspend"],

  // The provider's own word, unless a request of ours may have brought it about.
  withdrawn: ["consent_revoked", "consent_revoked", "outcome_unknown", "refuse_client"],
  // What a token that was used before is answered, too.
  invalid_grant: ["reauth_required", "outcome_unknown", "outcome_unknown", "refuse_client"],
  // The user must sign in at the identity provider that vouches for them.
  identity_required: ["reauth_required", "outcome_unknown", "outcome_unknown", "identity_required"],
  // Client authentication failed: the refresh token was not looked at.
  bad_client: ["refuse_client", "refuse_client", "refuse_client", "refuse_client"],
  // The client was known: some servers do so for a dead refresh token.
  bad_request: ["refuse_client", "refuse_client", "outcome_unknown", "refuse_client"],
  // A 4xx that does not say why: of a token that may have been used, that is the reason.
  refused: ["refuse_grant", "outcome_unknown", "outcome_unknown", "refuse_client"],
  // A 4xx that promises a better answer later.
  later: ["retry", "retry", "outcome_unknown", "retry"],
  // Not redeemed: never sent, 429, 503, or an error of the server.
  not_processed: ["retry", "retry", "retry", "retry"],
  // It may have been redeemed.
  lost: ["probe", "probe", "outcome_unknown", "retry"],
  // A success without a usable token may have redeemed the refresh token anyway.
  unusable: ["probe", "probe", "outcome_unknown", "retry"],

  // It holds a token set.
  usable: ["store", "store", "store", "store"],
  // Its id_token is another account's (OpenID Connect Core 1.0 section 12.2).
  other_account: ["account_changed", "account_changed", "account_changed", "store"],
  // Its id_token fails another check: it is another client's, or no answer to us.
  unverified: [
    "id_token_verification_failed",
    "id_token_verification_failed",
    "id_token_verification_failed",
    "store",
  ],
  // Its access token is one that no request can carry, which may pass.
  unfit: ["rotate", "rotate", "rotate", "store"],
} as const satisfies Readonly<
  Record<string, readonly [unused: Outcome, restored: Outcome, inDoubt: Outcome, minted: Outcome]>
>;
export type Answer = keyof typeof table;
export const answers = Object.keys(table) as readonly Answer[];

/** The answers that hold a token set. */
type TokenSetAnswer = "usable" | "other_account" | "unverified" | "unfit";
export type FailedAnswer = Exclude<Answer, TokenSetAnswer>;

export function outcomeOf<A extends Answer>(state: GrantState, answer: A): (typeof table)[A][number] {
  return table[answer][states.indexOf(state)] as (typeof table)[A][number];
}

/**
 * Which answer a failed token request was. `GrantFailure` says what came in words of the protocol, for consents and imports as well; an answer
 * says what it means for a refresh token.
 */
export function answerOf(failure: GrantFailure): FailedAnswer {
  if (failure instanceof IdentityRequired) return "identity_required";
  switch (failure.kind) {
    case "invalid_grant":
      return failure.consentRevoked ? "withdrawn" : "invalid_grant";
    case "client":
      if (failure.httpStatus === undefined) return "profile_unusable";
      return failure.mayConcernGrant ? "bad_request" : "bad_client";
    case "transient":
      if (failure.isRefusal && failure.httpStatus !== undefined) return "refused";
      return failure.isClientError ? "later" : "not_processed";
    case "ambiguous":
      return "lost";
    case "rejected":
      return "unusable";
  }
}

/** Which answer a token set was. */
export function answerWith({
  idTokenViolation,
  accessTokenViolation,
}: Omit<Renewed, "tokenSet">): TokenSetAnswer {
  if (idTokenViolation !== undefined) return idTokenViolation === "sub" ? "other_account" : "unverified";
  return accessTokenViolation === undefined ? "usable" : "unfit";
}

/** Why a grant failed. A client secret that cannot be opened is an error of the profile; nothing was sent. @throws what is no failure of a grant */
export function failureOf(error: unknown): GrantFailure {
  if (error instanceof GrantFailure) return error;
  if (error instanceof DataLoss) return new GrantFailure({ kind: "client" });
  throw error;
}

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

/** The row of an outcome. */
interface OutcomeRow {
  /** The state of the connection, and in its problem the next try. */
  readonly change: ConnectionChange;
  readonly audit: {
    readonly type: "token_refreshed" | "token_refresh_failed" | "token_refresh_fatal" | "grant_detached";
    readonly reason?: ProblemReason;
  };
  /** The result for callers that wait for the refresh. */
  readonly ended: RefreshOutcome;
}

/** The event and the result follow from the problem that the connection has afterwards. */
function rowOf(change: ConnectionChange): OutcomeRow {
  const { problem } = change;
  const ended = refreshOutcomeOf(problem);
  if (problem === undefined) return { change, audit: { type: "token_refreshed" }, ended };
  const type = ended === "attention" ? "token_refresh_fatal" : "token_refresh_failed";
  return { change, audit: { type, reason: problem.reason }, ended };
}

/** A token set of which only the refresh token is kept. */
export interface UnservedToken {
  readonly reason: Extract<
    ProblemReason,
    "account_changed" | "id_token_verification_failed" | "refresh_failing"
  >;
  /** When the new refresh token is tried; undefined when the user must consent again. */
  readonly retryAtMs: number | undefined;
  /** What is wrong, in words for a log. */
  readonly detail: string;
}

/** @param random uniform in [0, 1) @returns undefined if the token set is served */
export function unservedTokenOf(
  attempt: Attempt,
  result: Omit<Renewed, "tokenSet">,
  nowMs: number,
  random: number,
): UnservedToken | undefined {
  const { connection } = attempt;
  const outcome = outcomeOf(stateOf(attempt), answerWith(result));
  if (outcome === "rotate") {
    const limits = { remainingMs: policy.remainingMs(connection, nowMs) };
    const retryAtMs = nowMs + policy.retryDelayMs(connection.failedRefreshes + 1, limits, random);
    return { reason: "refresh_failing", retryAtMs, detail: result.accessTokenViolation ?? "" };
  }
  if (outcome !== "account_changed" && outcome !== "id_token_verification_failed") return undefined;
  const detail = `the id_token fails the check of ${result.idTokenViolation}`;
  return { reason: outcome, retryAtMs: undefined, detail };
}

/** The row of a token set, as of which `connection` is read. */
export function tokenSetRow(
  connection: Connection,
  unserved: UnservedToken | undefined,
  nowMs: number,
): OutcomeRow {
  if (unserved === undefined) return rowOf({ problem: undefined });
  const { reason, retryAtMs } = unserved;
  if (retryAtMs === undefined && !hasUsableToken(connection, nowMs))
    return rowOf(attention(connection, reason, nowMs));
  return rowOf({
    status: "active",
    problem: problemSince(connection, reason, nowMs, retryAtMs),
    failedRefreshes: connection.failedRefreshes + 1,
    refreshIntent: undefined,
    ...(retryAtMs === undefined && { refreshNotBeforeMs: undefined }),
  });
}

/** Writes what the table says, only against the revision that the refresh was made with. */
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
    answer: FailedAnswer,
    { failure, movedFrom = "" }: { readonly failure?: GrantFailure; readonly movedFrom?: string } = {},
  ): Promise<RefreshOutcome> {
    const { connection, profile, isProbe } = attempt;
    const outcome = outcomeOf(stateOf(attempt), answer);
    const suspend = (tx: Transaction) =>
      outcome === "suspend" && this.deps.health.suspend(tx, profile, connection.id, isProbe);
    const written = await this.#write(connection, (current, nowMs, tx) => {
      const ended = { ...attempt, current, nowMs, tx, failure };
      suspend(tx);
      return this.#row(ended, outcome, movedFrom);
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
      return { change, audit: { type: "token_refresh_failed", reason }, ended: "not_refreshable" };
    });
    return "not_refreshable";
  }

  #row(ended: Ended, outcome: (typeof table)[FailedAnswer][number], movedFrom: string): OutcomeRow {
    const { current, profile, nowMs, failure } = ended;
    const { id: connectionId } = current;
    const { log, random, health } = this.deps;
    switch (outcome) {
      case "detach": {
        const words = "the profile names another client, issuer or token endpoint: consent is needed again";
        log.warn({ connectionId }, words);
        const row = rowOf(movedGrant(profile, current, movedFrom, nowMs));
        return { ...row, audit: { ...row.audit, type: "grant_detached" } };
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
  #refused(ended: Ended): OutcomeRow {
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

  #over(ended: Ended, reason: ProblemReason, more: More): OutcomeRow {
    const { refused, detail } = more;
    const details = { connectionId: ended.current.id, reason, detail, httpStatus: refused?.httpStatus };
    this.deps.log.warn(details, "the grant is lost: consent is needed again");
    return over(ended, reason, more);
  }

  /** The provider has not redeemed anything: the refresh token may be sent as if this attempt had not been. */
  #retry(ended: Ended, more: More): OutcomeRow {
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
  ): OutcomeRow {
    const failedRefreshes = current.failedRefreshes + 1;
    const retryAtMs = nowMs + delayMs;
    const retryAt = new Date(retryAtMs).toISOString();
    const details = { connectionId: current.id, failure: failure?.message, failedRefreshes, retryAt };
    this.deps.log.warn(details, "refresh failed and will be tried again");
    const problem = problemWith(problemSince(current, "refresh_failing", nowMs, retryAtMs), {
      refused: current.problem?.refused,
      ...more,
    });
    return rowOf({ status: "active", problem, failedRefreshes, refreshIntent });
  }

  async #write(
    attempted: Connection,
    make: (current: Connection, nowMs: number, tx: Transaction) => OutcomeRow,
  ): Promise<RefreshOutcome | undefined> {
    const timeMs = this.deps.clock.nowMs();
    return await this.deps.store.commit((tx) => {
      const current = tx.getConnection(attempted.id);
      if (!isSame(current, attempted)) return undefined;
      const { change, audit, ended } = make(current, timeMs, tx);
      tx.putConnection(changeConnection(current, whileRefused(current, change), timeMs));
      const { id: connectionId, providerId } = current;
      tx.appendAudit({ timeMs, principal: daemon.name, connectionId, providerId, ...audit });
      return ended;
    });
  }
}

/** Whether the connection is still the one that an attempt was made for, and the attempt its newest. */
export function isSame(current: Connection | undefined, attempted: Connection): current is Connection {
  if (current === undefined || !policy.isRefreshableToCheck(current)) return false;
  if (current.refreshIntent?.attempt !== attempted.refreshIntent?.attempt) return false;
  return current.credentialRevision === attempted.credentialRevision;
}

function stateOf({ profile, earlier }: Attempt): GrantState {
  if (isUnattended(profile)) return "minted";
  if (earlier === undefined) return "unused";
  return earlier.sends > 0 ? "in_doubt" : "restored";
}

/** A failure that time does not fix. */
function over({ current, earlier, nowMs }: Ended, reason: ProblemReason, more: More): OutcomeRow {
  // The mark of the attempt whose answer was never seen: a hub that was cut off may bring it.
  const refreshIntent = reason === "outcome_unknown" ? earlier : undefined;
  const problem = problemWith(problemSince(current, reason, nowMs), more);
  return rowOf({ ...attention(current, reason, nowMs), problem, refreshIntent });
}

/** What is written of a connection that waits for its client to be accepted: until `retryAtMs`, or else until it is woken. */
function waiting(
  { current, profile, earlier, nowMs }: Ended,
  { detail, ...more }: More,
  retryAtMs?: number,
): OutcomeRow {
  // Of a consent the log says it; a connection without a user has to show it.
  const rest = isUnattended(profile) ? { ...more, detail } : more;
  return rowOf({
    ...(!hasUsableToken(current, nowMs) && ({ status: "attention" } as const)),
    refreshIntent: earlier,
    problem: problemWith(problemSince(current, "misconfigured", nowMs, retryAtMs), rest),
    failedRefreshes: retryAtMs === undefined ? 0 : current.failedRefreshes + 1,
  });
}

/** Without what is undefined. */
function problemWith(problem: Problem, more: More): Problem {
  const known = Object.entries(more).filter(([, value]) => value !== undefined);
  return { ...problem, ...Object.fromEntries(known) };
}
