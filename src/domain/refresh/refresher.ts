import { daemon } from "../../model/access/principal.js";
import type { Connection, Problem } from "../../model/connections/connection.js";
import { grantBinding } from "../../model/connections/grant_binding.js";
import type { Credential, TokenSet } from "../../model/credentials/credential.js";
import { isUnattended } from "../../model/providers/grant_type.js";
import type { ProviderProfile } from "../../model/providers/provider_profile.js";
import { isRefreshable } from "../../model/refresh/refresh_policy.js";
import type { Renewed } from "../../oauth/grants/renewal.js";
import { isDetached } from "../connections/state/grant_rebinding.js";
import type { Composed } from "../credentials/credential_writer.js";
import { auditOf, type InvalidAnswer, invalidAnswerChange, invalidAnswerOf } from "./invalid_answer.js";
import { isSame, waitsUntilMs, writeIntent } from "./journal/refresh_intent.js";
import type { Attempt } from "./outcome_writer.js";
import { failureOf } from "./outcomes.js";
import type { RefreshOptions, RefreshOutcome } from "./refresh_outcome.js";
import { prepareRefresh, type RefresherDeps } from "./refresh_preparation.js";
import type { RefreshPriority } from "./request_slots.js";

/** An answer that holds a token set. */
interface Success {
  readonly connection: Connection;
  readonly profile: ProviderProfile;
  /** What was redeemed; undefined where nothing was. */
  readonly previous: Credential | undefined;
  readonly tokenSet: TokenSet;
  readonly invalidAnswer: InvalidAnswer | undefined;
  /** When the answer came; the wall clock may be set before it is written. */
  readonly receivedMonotonicMs: number;
}

/** Refreshes for callers that wait: at a hub that follows, the one that leads sends them. */
export type Refreshes = Pick<Refresher, "refresh">;

/** Asks for the next token of connections: for one connection never two at a time, and nothing is seen before it is durable. */
export class Refresher {
  constructor(private readonly deps: RefresherDeps) {}

  /**
   * Refreshes one connection. A refresh of it that waits or is under way is shared.
   *
   * @param options of a refresh that is not shared: one that waits or is under way has its own
   */
  async refresh(
    connectionId: string,
    priority: RefreshPriority = "demand",
    options: RefreshOptions = {},
  ): Promise<RefreshOutcome> {
    const { health, locks, store, sources } = this.deps;
    const connection = store.getConnection(connectionId);
    if (connection === undefined) return "not_refreshable";
    const { refreshIntent, credentialRevision } = connection;
    const isLastSend = refreshIntent?.credentialRevision === credentialRevision && refreshIntent.sends > 0;
    // Not in its own place: places that wait for each other are never free.
    const found = sources?.toRenew(connectionId);
    const basisId = found && (await found);
    if (basisId !== undefined) await this.refresh(basisId, priority);
    const perform = () => locks.run(connectionId, () => this.#perform(connectionId, options));
    return await health.refresh(connection, priority, perform, isLastSend);
  }

  async #perform(
    connectionId: string,
    { isProbe = false, onlyRevision }: RefreshOptions,
  ): Promise<RefreshOutcome> {
    const { store, outcomes, health, spool } = this.deps;
    const settled = await spool.settle(connectionId);
    const connection = store.getConnection(connectionId);
    if (settled === "stored" && connection) return outcomeOf(connection.problem);
    if (!connection || !isRefreshable(connection)) return "not_refreshable";
    if (onlyRevision !== undefined && connection.credentialRevision !== onlyRevision) return "superseded";

    const profile = store.getProvider(connection.providerId);
    if (!profile) return await outcomes.providerDeleted(connection);
    if (!isProbe && health.suspension(profile)) {
      const { problem, refreshIntent: earlier } = connection;
      if (problem?.reason === "misconfigured" && problem.retryAtMs === undefined) return "suspended";
      return await outcomes.record({ connection, profile, earlier, isProbe }, "held");
    }
    // What is minted uses nothing up: how an earlier request ended makes no difference.
    const intent = isUnattended(profile) ? undefined : connection.refreshIntent;
    const earlier = intent?.credentialRevision === connection.credentialRevision ? intent : undefined;
    if (waitsUntilMs(store, connection, this.deps.clock.nowMs()) !== undefined) return "retry";
    const attempt: Attempt = { connection, profile, earlier, isProbe };
    if (earlier !== undefined && earlier.sends >= 2) return await outcomes.record(attempt, "spent");
    const attributes = { "nexus.provider": profile.name, "nexus.connection_id": connectionId };
    return await this.deps.tracing.inSpan({ name: "refresh", kind: "internal", attributes }, async (span) => {
      const outcome = await this.#attempt(attempt);
      this.deps.onEnded?.(outcome);
      span.set({ "nexus.refresh.outcome": outcome });
      if (outcome !== "refreshed" && outcome !== "superseded") span.fail(outcome);
      return outcome;
    });
  }

  async #attempt(attempt: Attempt): Promise<RefreshOutcome> {
    const { connection, profile } = attempt;
    const { grants, outcomes, health, clock, metrics } = this.deps;
    const startedMs = clock.monotonicMs();
    const count = (result: "success" | "failure", reason: string): void =>
      metrics.refreshed(profile.name, result, reason, clock.monotonicMs() - startedMs);
    const prepared = await prepareRefresh(this.deps, attempt);
    if (typeof prepared === "string") {
      count("failure", prepared);
      return prepared;
    }
    // Undefined until a connection to the provider is open: an attempt without one has sent nothing, and leaves no mark.
    let marking: ReturnType<typeof writeIntent> | undefined;
    const markOnce = async (): Promise<boolean> => {
      marking ??= writeIntent(this.deps, attempt, prepared);
      // Point of no return: once it is durable, the provider may have redeemed the refresh token.
      return (await marking) !== undefined;
    };
    let result: Renewed;
    try {
      result = await grants.refresh({
        server: prepared.server,
        profile,
        refreshToken: prepared.credential?.refreshToken,
        subject: connection.subject,
        ...{ userId: connection.userId, label: connection.label },
        scopes: connection.requestedScopes,
        grantedScopes: connection.grantedScopes,
        boundTo: prepared.credential?.binding,
        dpopKey: prepared.dpopKey,
        beforeSend: markOnce,
      });
    } catch (error) {
      const marked = marking === undefined ? connection : await marking;
      if (!marked) return "superseded";
      const failure = failureOf(error);
      health.failed(profile.id, failure);
      count("failure", failure.kind);
      if (failure.kind === "invalid_grant") health.accepted(profile);
      return await outcomes.failed({ ...attempt, connection: marked }, failure);
    }
    // Nothing was asked: it would have been sent with a mark.
    const marked = (await marking) ?? connection;
    health.answered(profile.id);
    const { tokenSet } = result;
    const receivedMonotonicMs = clock.monotonicMs();
    const invalidAnswer = invalidAnswerOf(result, connection, clock.nowMs(), this.deps.random());
    const success = { connection: marked, profile, previous: prepared.credential, tokenSet, invalidAnswer };
    const outcome = await this.#write({ ...success, receivedMonotonicMs });
    if (invalidAnswer !== undefined) count("failure", invalidAnswer.reason);
    else if (outcome === "refreshed") count("success", "");
    health.accepted(profile);
    return outcome;
  }

  /** Makes a success durable. It is never dropped: what the store does not take stays in the spool. */
  async #write({
    connection,
    profile,
    previous,
    tokenSet,
    invalidAnswer,
    receivedMonotonicMs,
  }: Success): Promise<RefreshOutcome> {
    const { writer, revocations, spool, clock, log, metrics } = this.deps;
    const { id: connectionId, providerId } = connection;
    const compose = (base: Connection): Composed => {
      const receivedAtMs = Math.round(clock.nowMs() - (clock.monotonicMs() - receivedMonotonicMs));
      if (invalidAnswer === undefined || previous === undefined)
        return writer.compose(base, profile, tokenSet, previous, receivedAtMs);
      const change = invalidAnswerChange(base, invalidAnswer, clock.nowMs());
      return writer.composeWithheld(base, profile, tokenSet, previous, receivedAtMs, change);
    };
    const redeemed = previous ?? { refreshToken: undefined, binding: grantBinding(profile) };
    const attempt = connection.refreshIntent?.attempt;
    spool.hold(connectionId, () => ({ grant: "refresh", ...compose(connection), attempt }));
    const stored = await spool.commit(connectionId, (tx) => {
      const current = tx.getConnection(connectionId);
      if (!belongsTo(current, connection)) return revocations.enqueueLate(tx, connection, tokenSet, redeemed);
      const timeMs = clock.nowMs();
      tx.appendAudit({ timeMs, principal: daemon.name, connectionId, providerId, ...auditOf(invalidAnswer) });
      return writer.put(tx, compose(current));
    });
    if (!stored) return "superseded";
    if (invalidAnswer !== undefined) {
      const { reason, detail } = invalidAnswer;
      log.warn({ connectionId, reason, detail }, "a refresh brought a token that is not served");
      return outcomeOf(invalidAnswer);
    }
    if (connection.expiresAtMs !== undefined) metrics.replaced(connection.expiresAtMs - clock.nowMs());
    log.info({ connectionId, revision: stored.credentialRevision.toString() }, "token refreshed");
    return "refreshed";
  }
}

/** Of a token set that is stored. @param problem of it, or of its connection with it */
function outcomeOf(problem: Pick<Problem, "retryAtMs"> | undefined): RefreshOutcome {
  if (problem === undefined) return "refreshed";
  return problem.retryAtMs === undefined ? "attention" : "retry";
}

/** Whether the answer to an attempt belongs to the connection: nothing but its profile may have changed. */
function belongsTo(current: Connection | undefined, attempted: Connection): current is Connection {
  return isSame(current, attempted) || isDetached(current, attempted);
}
