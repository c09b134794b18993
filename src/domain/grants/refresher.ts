import { daemon } from "../../model/access/principal.js";
import type { Connection, RefreshIntent } from "../../model/connections/connection.js";
import { grantBinding } from "../../model/connections/grant_binding.js";
import { type RefreshOutcome, refreshOutcomeOf } from "../../model/connections/refresh_outcome.js";
import type { Credential, TokenSet } from "../../model/credentials/credential.js";
import { DataLoss, FailedPrecondition, NexusError } from "../../model/errors.js";
import { newId } from "../../model/ids.js";
import { isUnattended } from "../../model/providers/grant_type.js";
import type { ProviderProfile } from "../../model/providers/provider_profile.js";
import { deferredUntilMs } from "../../model/refresh/foreign_intent.js";
import { isRefreshable, isRefreshableToCheck } from "../../model/refresh/refresh_policy.js";
import type { Tracing } from "../../model/tracing.js";
import type { AuthorizationServer } from "../../oauth/authorization_server.js";
import { GrantFailure } from "../../oauth/failure.js";
import type { Renewed } from "../../oauth/token_response.js";
import type { Clock } from "../../runtime/clock.js";
import type { KeyedMutex } from "../../runtime/keyed_mutex.js";
import type { Secret } from "../../runtime/secret.js";
import { unlessUnreadable } from "../../store/records/unreadable.js";
import type { Store } from "../../store/store.js";
import {
  type Composed,
  type CredentialVault,
  type CredentialWriter,
  changeConnection,
  isDetached,
  type VaultParts,
  whileRefused,
} from "../connections/connections.js";
import {
  connectionKey,
  type IssuerMetadata,
  refreshKey,
  type TokenEndpointClient,
} from "../token_endpoint/token_endpoint.js";
import {
  type Attempt,
  failureOf,
  isSame,
  type OutcomeWriter,
  tokenSetRow,
  type UnservedToken,
  unservedTokenOf,
} from "./outcomes.js";
import type { ProviderHealth } from "./provider_health.js";
import type { RefreshHistory } from "./refresh_history.js";
import type { RefreshPriority } from "./request_slots.js";
import type { RevocationQueue } from "./revocation_queue.js";
import type { TokenSpool } from "./token_spool.js";

/** For so long a caller without a deadline of its own waits: less than the 30 s after which most clients give a call up. */
const awaitedMs = 25_000;

/** What counts refreshes. */
export interface RefreshMetrics {
  refreshed(provider: string, result: "success" | "failure", reason: string, durationMs: number): void;
  /** How long a token that was replaced had still to live; below 0 when it was dead. */
  replaced(remainingMs: number): void;
}

export interface RefreshOptions {
  /** Sent although its provider is suspended, to see whether it still refuses the client. */
  readonly isProbe?: boolean;
  /** Superseded when the connection has another revision by the time that it comes to it. */
  readonly onlyRevision?: bigint;
  /** For a check at the API, which may have refused the token before. */
  readonly isToCheck?: boolean;
}

/** Connections whose grant is made of another connection's credential. */
export interface GrantBasis {
  /** The id of that other connection where it is to be refreshed first; undefined at once where the grant has no basis. */
  toRenew(connectionId: string): Promise<string | undefined> | undefined;
}

/** What refreshes are made with. */
export interface RefresherDeps extends VaultParts {
  readonly writer: CredentialWriter;
  readonly servers: IssuerMetadata;
  readonly grants: Pick<TokenEndpointClient, "refresh">;
  /** Shared with consents: one token request per connection. */
  readonly locks: KeyedMutex<string>;
  readonly health: ProviderHealth;
  readonly outcomes: OutcomeWriter;
  /** Takes the token of a refresh that came too late, and of a consent that was not confirmed. */
  readonly revocations: RevocationQueue;
  /** Holds a token set until it is durable. */
  readonly spool: TokenSpool;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly metrics: RefreshMetrics;
  /** Counts the outcome of each attempt. */
  readonly history?: Pick<RefreshHistory, "record"> | undefined;
  /** Shows refreshes as spans. */
  readonly tracing: Tracing;
  readonly sources?: GrantBasis;
}

/** What one refresh is made with. */
interface PreparedRefresh {
  readonly server: AuthorizationServer;
  /** What is redeemed; undefined where nothing is. */
  readonly credential: Credential | undefined;
  /** The key that is proved (DPoP); undefined where none is. */
  readonly dpopKey: Secret | undefined;
}

/** An answer that holds a token set. */
interface Success {
  readonly connection: Connection;
  readonly profile: ProviderProfile;
  /** What was redeemed; undefined where nothing was. */
  readonly previous: Credential | undefined;
  readonly tokenSet: TokenSet;
  readonly unserved: UnservedToken | undefined;
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
    { isProbe = false, onlyRevision, isToCheck = false }: RefreshOptions,
  ): Promise<RefreshOutcome> {
    const { store, outcomes, health, spool } = this.deps;
    const settled = await spool.settle(connectionId);
    const connection = store.getConnection(connectionId);
    if (settled === "stored" && connection) return refreshOutcomeOf(connection.problem);
    const mayRefresh = isToCheck ? isRefreshableToCheck : isRefreshable;
    if (!connection || !mayRefresh(connection)) return "not_refreshable";
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
      this.deps.history?.record(outcome);
      span.set({ "nexus.refresh.outcome": outcome });
      if (outcome !== "refreshed" && outcome !== "superseded") span.fail(outcome);
      return outcome;
    });
  }

  async #attempt(attempt: Attempt): Promise<RefreshOutcome> {
    const { profile } = attempt;
    const { outcomes, health, clock, metrics } = this.deps;
    const startedMs = clock.monotonicMs();
    const count = (result: "success" | "failure", reason: string): void =>
      metrics.refreshed(profile.name, result, reason, clock.monotonicMs() - startedMs);
    const prepared = await this.#prepare(attempt);
    if (typeof prepared === "string") {
      count("failure", prepared);
      return prepared;
    }
    const sent = await this.#send(attempt, prepared);
    if (sent === undefined) return "superseded";
    const { connection, answer } = sent;
    if (answer instanceof GrantFailure) {
      health.failed(profile.id, answer);
      count("failure", answer.kind);
      if (answer.kind === "invalid_grant") health.accepted(profile);
      return await outcomes.failed({ ...attempt, connection }, answer);
    }
    health.answered(profile.id);
    const receivedMonotonicMs = clock.monotonicMs();
    const unserved = unservedTokenOf(attempt, answer, clock.nowMs(), this.deps.random());
    const { tokenSet } = answer;
    const success = { connection, profile, previous: prepared.credential, tokenSet, unserved };
    const outcome = await this.#write({ ...success, receivedMonotonicMs });
    if (unserved !== undefined) count("failure", unserved.reason);
    else if (outcome === "refreshed") count("success", "");
    health.accepted(profile);
    return outcome;
  }

  /**
   * From a connection that is due to what its refresh is made with: all that can fail before anything is sent. Nothing goes to the token
   * endpoint.
   */
  async #prepare(attempt: Attempt): Promise<PreparedRefresh | RefreshOutcome> {
    const { profile, connection } = attempt;
    const { store, vault, servers, outcomes, health } = this.deps;
    const isMinted = isUnattended(profile);
    const credential = isMinted ? undefined : await this.#heldCredential(attempt);
    if (typeof credential === "string") return credential;
    try {
      const server = await servers.resolve(profile);
      const dpopKey = isMinted
        ? connectionKey(profile, server, connection, store.getCredential(connection.id), vault)
        : refreshKey(profile, server, credential);
      return { server, credential, dpopKey };
    } catch (error) {
      if (!(error instanceof NexusError)) throw error;
      const kind = error instanceof FailedPrecondition ? "client" : "transient";
      const failure = new GrantFailure({ kind, refusal: error.message });
      health.notSent(profile.id, failure);
      return await outcomes.failed(attempt, failure);
    }
  }

  /** The credential that is redeemed. */
  async #heldCredential(attempt: Attempt): Promise<Credential | RefreshOutcome> {
    const { store, vault, outcomes, log } = this.deps;
    const { connection, profile } = attempt;
    let credential: Credential;
    try {
      const stored = store.getCredential(connection.id);
      if (!stored) throw new DataLoss("the credential of an active connection is missing");
      credential = vault.openCredential(connection, stored);
    } catch (error) {
      if (!(error instanceof DataLoss)) throw error;
      log.error({ connectionId: connection.id, error: error.message }, "credential cannot be opened");
      return await outcomes.record(attempt, "unreadable");
    }
    if (!credential.refreshToken) return "not_refreshable";
    const { binding: movedFrom } = credential;
    if (movedFrom === undefined || movedFrom === grantBinding(profile)) return credential;
    return await outcomes.record(attempt, "moved", { movedFrom });
  }

  /**
   * Sends the request, with its mark of intent before it.
   *
   * @returns the answer, and the connection with the mark; undefined if it has moved on, and nothing was sent
   */
  async #send(
    attempt: Attempt,
    prepared: PreparedRefresh,
  ): Promise<{ readonly connection: Connection; readonly answer: Renewed | GrantFailure } | undefined> {
    const { connection, profile } = attempt;
    // Undefined until a connection to the provider is open: an attempt without one has sent nothing, and leaves no mark.
    let marking: ReturnType<typeof writeIntent> | undefined;
    const markOnce = async (): Promise<boolean> => {
      marking ??= writeIntent(this.deps, attempt, prepared);
      // Point of no return: once it is durable, the provider may have redeemed the refresh token.
      return (await marking) !== undefined;
    };
    try {
      const answer = await this.deps.grants.refresh({
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
      // Without a mark nothing was sent: a request is marked before it is sent.
      return { connection: (await marking) ?? connection, answer };
    } catch (error) {
      const marked = marking === undefined ? connection : await marking;
      return marked && { connection: marked, answer: failureOf(error) };
    }
  }

  /** Makes a success durable. It is never dropped: what the store does not take stays in the spool. */
  async #write({
    connection,
    profile,
    previous,
    tokenSet,
    unserved,
    receivedMonotonicMs,
  }: Success): Promise<RefreshOutcome> {
    const { writer, revocations, spool, clock, log, metrics } = this.deps;
    const { id: connectionId, providerId } = connection;
    const compose = (base: Connection): Composed => {
      const receivedAtMs = Math.round(clock.nowMs() - (clock.monotonicMs() - receivedMonotonicMs));
      const received = { connection: base, profile, tokenSet, receivedAtMs };
      if (unserved === undefined || previous === undefined) {
        const composed = writer.compose({ ...received, previous });
        const { status, problem } = composed.connection;
        const kept = whileRefused(base, { status, problem });
        return { ...composed, connection: changeConnection(composed.connection, kept, clock.nowMs()) };
      }
      const { change } = tokenSetRow(base, unserved, clock.nowMs());
      return writer.composeUnserved({ ...received, previous }, whileRefused(base, change));
    };
    const redeemed = previous ?? { refreshToken: undefined, binding: grantBinding(profile) };
    const attempt = connection.refreshIntent?.attempt;
    spool.hold(connectionId, () => ({ grant: "refresh", ...compose(connection), attempt }));
    const stored = await spool.commit(connectionId, (tx) => {
      const current = tx.getConnection(connectionId);
      if (!belongsTo(current, connection)) return revocations.enqueueLate(tx, connection, tokenSet, redeemed);
      const timeMs = clock.nowMs();
      const { audit } = tokenSetRow(current, unserved, timeMs);
      tx.appendAudit({ timeMs, principal: daemon.name, connectionId, providerId, ...audit });
      return writer.put(tx, compose(current));
    });
    if (!stored) return "superseded";
    if (unserved !== undefined) {
      const { reason, detail } = unserved;
      log.warn({ connectionId, reason, detail }, "a refresh brought a token that is not served");
      return tokenSetRow(connection, unserved, clock.nowMs()).ended;
    }
    if (connection.expiresAtMs !== undefined) metrics.replaced(connection.expiresAtMs - clock.nowMs());
    log.info({ connectionId, revision: stored.credentialRevision.toString() }, "token refreshed");
    return "refreshed";
  }
}

/**
 * The journal entry that shows, after a crash, that the outcome is unknown. A key that is proved for the first time is durable with it:
 * a refresh token that comes back may be bound to it.
 *
 * @returns the connection with its mark; undefined when it has moved on
 */
async function writeIntent(
  { store, vault, clock }: { readonly store: Store; readonly vault: CredentialVault; readonly clock: Clock },
  { connection, earlier }: { readonly connection: Connection; readonly earlier: RefreshIntent | undefined },
  {
    credential,
    dpopKey,
  }: { readonly credential: Credential | undefined; readonly dpopKey: Secret | undefined },
): Promise<Connection | undefined> {
  const refreshIntent: RefreshIntent = {
    ...earlier,
    credentialRevision: connection.credentialRevision,
    startedAtMs: clock.nowMs(),
    sends: (earlier?.sends ?? 0) + 1,
    owner: store.owner,
    attempt: newId(),
  };
  return await store.commit((tx) => {
    const current = tx.getConnection(connection.id);
    if (!isSame(current, connection)) return undefined;
    tx.putUnannounced({ ...current, refreshIntent });
    if (credential && dpopKey && credential.dpopKey !== dpopKey) {
      const keyed = { ...credential, dpopKey };
      tx.putCredential(current.id, vault.sealCredential(current, current.credentialRevision, keyed));
    }
    return { ...connection, refreshIntent };
  });
}

/** Until when another daemon's request is waited for; undefined when nothing is to be waited for. */
export function waitsUntilMs(store: Store, connection: Connection, nowMs: number): number | undefined {
  const { refreshIntent, credentialRevision, providerId } = connection;
  if (refreshIntent?.credentialRevision !== credentialRevision) return undefined;
  const untilMs = deferredUntilMs(refreshIntent, connection, store.owner);
  if (untilMs === undefined || untilMs <= nowMs) return undefined;
  // What is minted uses nothing up; what a profile that cannot be read holds may.
  const profile = unlessUnreadable(() => store.getProvider(providerId));
  return profile && isUnattended(profile) ? undefined : untilMs;
}

/** Whether the answer to an attempt belongs to the connection: nothing but its profile may have changed. */
function belongsTo(current: Connection | undefined, attempted: Connection): current is Connection {
  return isSame(current, attempted) || isDetached(current, attempted);
}

/**
 * Refreshes for a caller, who does not wait for as long as a token request may take.
 *
 * @returns `retry` when the time is over: the refresh goes on, and whoever asks again shares it
 */
export function awaitedRefresh(
  { refresher, clock }: { readonly refresher: Refreshes; readonly clock: Clock },
  connectionId: string,
  options: RefreshOptions = {},
): Promise<RefreshOutcome> {
  return new Promise((resolve, reject) => {
    const timer = clock.setTimer(awaitedMs, () => resolve("retry"));
    refresher
      .refresh(connectionId, "demand", options)
      .finally(() => timer.cancel())
      .then(resolve, reject);
  });
}
