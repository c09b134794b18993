import { isDeepStrictEqual } from "node:util";
import { by } from "../../model/access/audit_event.js";
import type { Principal } from "../../model/access/principal.js";
import {
  type Connection,
  hasUsableToken,
  isLive,
  problemSentence,
} from "../../model/connections/connection.js";
import { newConnection } from "../../model/connections/new_connection.js";
import type { RefreshOutcome } from "../../model/connections/refresh_outcome.js";
import { FailedPrecondition, InvalidArgument, NotFound, Unavailable } from "../../model/errors.js";
import { newId } from "../../model/ids.js";
import { defaultLimits, type Limits } from "../../model/limits.js";
import { isUnattended } from "../../model/providers/grant_type.js";
import type { ProviderProfile } from "../../model/providers/provider_profile.js";
import type { Clock } from "../../runtime/clock.js";
import type { Store } from "../../store/store.js";
import type { Transaction } from "../../store/transaction.js";
import { changeConnection, refuseMoreConnections } from "../connections/connections.js";
import type { ConnectionRequest } from "../consent/consent.js";
import { awaitedRefresh, type Refresher } from "../grants/grants.js";
import { refuseOtherName, refuseRevoked, scopesFor } from "../profiles/profiles.js";

/** The daemon mints the first token of a new connection after so long when the caller that asked for it could not: it died meanwhile. */
const firstMintMs = 30_000;

/**
 * Connections that need no person: made where there is none of the name, and proved by one token. The connection is durable and due
 * before anything is sent, so that a crash leaves no more than a token to be minted.
 */
export class UnattendedConnector {
  readonly #limits: Limits;

  constructor(
    private readonly deps: {
      readonly store: Store;
      readonly refresher: Refresher;
      readonly clock: Clock;
      readonly limits?: Limits;
    },
  ) {
    this.#limits = deps.limits ?? defaultLimits;
  }

  /** The profile of a request that needs no person; undefined of any other request, and of one that names nothing. */
  profileFor({ connectionId, provider }: ConnectionRequest): ProviderProfile | undefined {
    const { store } = this.deps;
    const existing = connectionId === undefined ? undefined : store.getConnection(connectionId);
    const key = existing ? { id: existing.providerId } : provider;
    if (!key) return undefined;
    const profile = store.findProvider(key);
    return profile && isUnattended(profile) ? profile : undefined;
  }

  /**
   * Mints one token, whatever is there already, and whatever is known of the profile: it is a check.
   *
   * @returns the connection, with its token
   * @throws InvalidArgument, NotFound, FailedPrecondition (PROVIDER_MISCONFIGURED, CONNECTION_REVOKED), ResourceExhausted, Unavailable;
   * the connection stays after the second and last, and is tried again by itself
   */
  async connect(
    request: ConnectionRequest,
    profile: ProviderProfile,
    principal: Principal,
  ): Promise<Connection> {
    const scopes = scopesFor(profile, request);
    const { id } = await this.deps.store.commit((tx) => this.#due(tx, request, profile, scopes, principal));
    let outcome = await awaitedRefresh(this.deps, id, { isProbe: true });
    // What it was shared with was sent before these scopes were requested.
    if (outcome === "refreshed" && !wereConsented(this.deps.store.getConnection(id), scopes)) {
      outcome = await awaitedRefresh(this.deps, id, { isProbe: true });
    }
    if (outcome !== "refreshed") await this.#setBack(id, scopes);
    return this.#judged(id, outcome);
  }

  /** Scopes that the provider refused must not end a token that is renewed without them. */
  async #setBack(id: string, refused: readonly string[]): Promise<void> {
    await this.deps.store.commit((tx) => {
      const current = tx.getConnection(id);
      if (!current || current.status === "revoked" || current.credentialRevision === 0n) return;
      if (!isDeepStrictEqual(current.requestedScopes, refused)) return;
      const change = { requestedScopes: current.consentedScopes };
      tx.putConnection(changeConnection(current, change, this.deps.clock.nowMs()));
    });
  }

  /** The connection of the request. One that never had a token is active, and its token dead. */
  #due(
    tx: Transaction,
    request: ConnectionRequest,
    profile: ProviderProfile,
    requestedScopes: readonly string[],
    principal: Principal,
  ): Connection {
    if (tx.getProvider(profile.id)?.version !== profile.version) throw new NotFound("provider");
    const nowMs = this.deps.clock.nowMs();
    const existing = this.#existing(tx, request, profile);
    const before = existing ?? this.#first(tx, request, profile, nowMs);
    // No person is asked: the result is the answer.
    const stepUp = request.stepUp ? { ...request.stepUp, wanted: false } : before.stepUp;
    const requested = { providerName: profile.name, requestedScopes, stepUp };
    const change = { ...requested, ...(awaitsIdentity(before) ? dueAgain(nowMs) : {}) };
    const due = changeConnection(before, change, nowMs);
    tx.putConnection(due);
    tx.appendAudit({
      timeMs: nowMs,
      type: "connection.requested",
      ...by(principal),
      connectionId: due.id,
      providerId: profile.id,
    });
    return due;
  }

  /** @throws InvalidArgument, NotFound, FailedPrecondition */
  #existing(
    tx: Transaction,
    request: ConnectionRequest,
    { id: providerId }: ProviderProfile,
  ): Connection | undefined {
    const { connectionId, userId, label = "" } = request;
    if (connectionId === undefined) {
      const [first] = tx.idsNamed({ providerId, userId, label });
      const named = first === undefined ? undefined : tx.getConnection(first);
      return named && isLive(named) ? named : undefined;
    }
    const connection = tx.getConnection(connectionId);
    if (!connection) throw new NotFound("connection");
    refuseOtherName(connection, request);
    refuseRevoked(connection);
    return connection;
  }

  /** @throws InvalidArgument, ResourceExhausted */
  #first(
    tx: Transaction,
    { userId, label = "" }: ConnectionRequest,
    profile: ProviderProfile,
    nowMs: number,
  ): Connection {
    if (userId === "") {
      throw new InvalidArgument([{ field: "user_id", description: "is required for a new connection" }]);
    }
    refuseMoreConnections(tx, userId, this.#limits);
    const blank = newConnection(newId(), { userId, label }, profile, nowMs);
    return { ...blank, ...dueAgain(nowMs), refreshable: true };
  }

  #judged(connectionId: string, outcome: RefreshOutcome): Connection {
    const connection = this.deps.store.getConnection(connectionId);
    if (!connection) throw new NotFound("connection");
    const { problem } = connection;
    if (outcome === "refreshed" && hasUsableToken(connection, this.deps.clock.nowMs())) return connection;
    if (problem?.reason === "misconfigured") {
      throw new FailedPrecondition(
        "PROVIDER_MISCONFIGURED",
        problemSentence(problem),
        undefined,
        "misconfigured",
      );
    }
    if (problem && awaitsIdentity(connection)) {
      const { reason } = problem;
      throw new FailedPrecondition("ATTENTION_REQUIRED", problemSentence(problem), undefined, reason);
    }
    const nowMs = this.deps.clock.nowMs();
    const retryAfterMs = (problem?.retryAtMs ?? nowMs) - nowMs;
    throw new Unavailable("no token could be minted; the daemon tries again by itself", retryAfterMs);
  }
}

/** Whether it waits for the person to sign in at the identity provider: the next request for a token then tries again. */
function awaitsIdentity({ status, problem }: Connection): boolean {
  return status === "attention" && problem?.reason === "identity_required";
}

/** Without a token, and due soon in case its caller dies. */
function dueAgain(nowMs: number) {
  const refreshNotBeforeMs = nowMs + firstMintMs;
  return { status: "active", expiresAtMs: nowMs, refreshNotBeforeMs, problem: undefined } as const;
}

function wereConsented(connection: Connection | undefined, scopes: readonly string[]): boolean {
  return scopes.every((scope) => connection?.consentedScopes.includes(scope));
}
