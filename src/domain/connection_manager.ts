import { by } from "../model/audit_event.js";
import { authorizationLifetimeMs } from "../model/authorization.js";
import type { Connection } from "../model/connection.js";
import { FailedPrecondition, InvalidArgument, NotFound } from "../model/errors.js";
import { newId, newToken } from "../model/ids.js";
import type { Principal } from "../model/principal.js";
import { canonicalName, type ProviderProfile } from "../model/provider_profile.js";
import { checkReturnUrl } from "../model/return_url.js";
import { newCodeVerifier } from "../oauth/pkce.js";
import type { Clock } from "../runtime/clock.js";
import type { Store } from "../store/store.js";
import type { Transaction } from "../store/transaction.js";
import type { AuthorizationServers } from "./authorization_servers.js";
import { changeConnection } from "./connection_change.js";
import { type CredentialVault, hashState } from "./credential_vault.js";
import { newConnection } from "./new_connection.js";
import type { RevocationQueue } from "./revocation_queue.js";
import { type ConnectionFilter, isWanted } from "./seen_connections.js";

/** A request for consent. */
export interface ConnectionRequest {
  readonly userId: string;
  readonly provider: { readonly id: string } | { readonly name: string } | undefined;
  /** Empty means the profile's defaults. */
  readonly scopes: readonly string[];
  readonly returnUrl: string | undefined;
  /** Set to ask for consent again under this id. */
  readonly connectionId: string | undefined;
}

export interface RequestedConnection {
  readonly authUrl: string;
  readonly state: string;
  readonly scopes: readonly string[];
  readonly providerId: string;
  readonly connectionId: string;
  readonly expiresAtMs: number;
}

type ManagerStore = Pick<
  Store,
  "commit" | "getProvider" | "findProviderByName" | "getConnection" | "listConnections"
>;

/** Connections: requesting, reading, ending. */
export class ConnectionManager {
  readonly #store: ManagerStore;
  readonly #vault: CredentialVault;
  readonly #servers: Pick<AuthorizationServers, "resolve">;
  readonly #revocations: Pick<RevocationQueue, "enqueueStored">;
  readonly #clock: Clock;
  readonly #publicUrl: string;
  readonly #allowedReturnOrigins: readonly string[];

  constructor(options: {
    store: ManagerStore;
    vault: CredentialVault;
    servers: Pick<AuthorizationServers, "resolve">;
    revocations: Pick<RevocationQueue, "enqueueStored">;
    clock: Clock;
    /** Without a trailing slash. */
    publicUrl: string;
    allowedReturnOrigins: readonly string[];
  }) {
    this.#store = options.store;
    this.#vault = options.vault;
    this.#servers = options.servers;
    this.#revocations = options.revocations;
    this.#clock = options.clock;
    this.#publicUrl = options.publicUrl;
    this.#allowedReturnOrigins = options.allowedReturnOrigins;
  }

  /** What a person pastes into the provider's console. */
  get redirectUri(): string {
    return `${this.#publicUrl}/auth/callback`;
  }

  /** @throws InvalidArgument, NotFound, FailedPrecondition, Unavailable */
  async request(request: ConnectionRequest, principal: Principal): Promise<RequestedConnection> {
    const existing = request.connectionId === undefined ? undefined : this.get(request.connectionId);
    if (existing?.status === "revoked") {
      throw new FailedPrecondition("CONNECTION_REVOKED", "the connection was revoked: request a new one");
    }
    const profile = existing ? this.#profileOf(existing, request) : this.#profileNamed(request);
    if (!existing && request.userId === "") {
      throw new InvalidArgument([{ field: "user_id", description: "is required for a new connection" }]);
    }
    const isStatic = profile.authType !== "oauth2";
    const scopes = isStatic ? [] : request.scopes.length > 0 ? request.scopes : profile.scopes;
    refuseUnverifiableOpenId(profile, scopes);
    const returnUrl =
      request.returnUrl === undefined
        ? undefined
        : checkReturnUrl(request.returnUrl, this.#allowedReturnOrigins);
    if (!isStatic) await this.#servers.resolve(profile);

    const state = newToken();
    const stateHash = hashState(state);
    const connectionId = existing?.id ?? newId();
    const nowMs = this.#clock.nowMs();
    const expiresAtMs = nowMs + authorizationLifetimeMs;
    const sealed = this.#vault.sealAuthorization(connectionId, profile.id, {
      codeVerifier: newCodeVerifier(),
      nonce: asksOpenId(profile, scopes) ? newToken() : undefined,
      browserBinding: newToken(),
    });
    await this.#store.commit((tx) => {
      if (tx.getProvider(profile.id)?.version !== profile.version) throw new NotFound("provider");
      const before = existing
        ? tx.getConnection(existing.id)
        : newConnection(connectionId, request.userId, profile, nowMs);
      if (!before) throw new NotFound("connection");
      if (before.pendingStateHash !== undefined) tx.takeAuthorization(before.pendingStateHash);
      const asksFirstTime = before.status === "failed" || before.status === "expired";
      tx.putAuthorization(stateHash, {
        connectionId,
        providerId: profile.id,
        providerVersion: profile.version,
        scopes,
        returnUrl,
        redirectUri: this.redirectUri,
        expiresAtMs,
        sealed,
      });
      tx.putConnection(
        changeConnection(
          before,
          {
            ...(asksFirstTime ? { status: "pending", problem: undefined } : {}),
            providerName: profile.name,
            requestedScopes: scopes,
            pendingStateHash: stateHash,
            requestExpiresAtMs: expiresAtMs,
          },
          nowMs,
        ),
      );
      tx.appendAudit({
        timeMs: nowMs,
        type: "connection.requested",
        ...by(principal),
        connectionId,
        providerId: profile.id,
      });
    });
    const authUrl = `${this.#publicUrl}/auth/start?state=${state}`;
    return { authUrl, state, scopes, providerId: profile.id, connectionId, expiresAtMs };
  }

  /** @throws NotFound */
  get(connectionId: string): Connection {
    const connection = this.#store.getConnection(connectionId);
    if (!connection) throw new NotFound("connection");
    return connection;
  }

  /**
   * One page in the order of ids. At most ten times `limit` records are looked at, so a page may hold fewer than `limit`
   * while more follow.
   *
   * @returns the page and the id to go on after; undefined on the last page
   */
  list(options: ConnectionFilter): { connections: Connection[]; nextAfterId: string | undefined } {
    const connections: Connection[] = [];
    let afterId = options.afterId;
    for (let looked = 0; looked < options.limit * 10; looked += options.limit) {
      const page = this.#store.listConnections({
        limit: options.limit,
        ...(afterId === undefined ? {} : { afterId }),
        ...(options.providerId === undefined ? {} : { providerId: options.providerId }),
      });
      for (const connection of page) {
        afterId = connection.id;
        if (!isWanted(connection, options)) continue;
        connections.push(connection);
        if (connections.length === options.limit) return { connections, nextAfterId: afterId };
      }
      if (page.length < options.limit) return { connections, nextAfterId: undefined };
    }
    return { connections, nextAfterId: afterId };
  }

  /** Erases the credential and keeps the record; its token is revoked at the provider afterwards. A refresh under way finds it revoked and drops its answer. @throws NotFound */
  async revoke(connectionId: string, principal: Principal): Promise<Connection> {
    const nowMs = this.#clock.nowMs();
    return await this.#store.commit((tx) => {
      const before = tx.getConnection(connectionId);
      if (!before) throw new NotFound("connection");
      if (before.status === "revoked") return before;
      endRequest(tx, before);
      this.#revocations.enqueueStored(tx, before);
      tx.deleteCredential(connectionId);
      const revoked = changeConnection(
        before,
        {
          status: "revoked",
          problem: undefined,
          refreshable: false,
          refreshIntent: undefined,
          refreshNotBeforeMs: undefined,
          expiresAtMs: undefined,
          pendingStateHash: undefined,
          requestExpiresAtMs: undefined,
        },
        nowMs,
      );
      tx.putConnection(revoked);
      tx.appendAudit({
        timeMs: nowMs,
        type: "connection.revoked",
        ...by(principal),
        connectionId,
        providerId: before.providerId,
      });
      return revoked;
    });
  }

  /** @throws NotFound */
  async delete(connectionId: string, principal: Principal): Promise<void> {
    const nowMs = this.#clock.nowMs();
    await this.#store.commit((tx) => {
      const before = tx.getConnection(connectionId);
      if (!before) throw new NotFound("connection");
      endRequest(tx, before);
      this.#revocations.enqueueStored(tx, before);
      tx.deleteConnection(connectionId);
      tx.appendAudit({
        timeMs: nowMs,
        type: "connection.deleted",
        ...by(principal),
        connectionId,
        providerId: before.providerId,
      });
    });
  }

  #profileNamed(request: ConnectionRequest): ProviderProfile {
    const key = request.provider;
    if (!key)
      throw new InvalidArgument([
        { field: "provider", description: "provider_id or provider_name is required" },
      ]);
    const profile =
      "id" in key ? this.#store.getProvider(key.id) : this.#store.findProviderByName(canonicalName(key.name));
    if (!profile) throw new NotFound("provider");
    return profile;
  }

  #profileOf(connection: Connection, request: ConnectionRequest): ProviderProfile {
    const other = (field: string): InvalidArgument =>
      new InvalidArgument([{ field, description: "is not the one of this connection: leave it empty" }]);
    if (request.userId !== "" && request.userId !== connection.userId) throw other("user_id");
    // A profile that was deleted and registered anew under its name takes its connections back by consent.
    const profile =
      this.#store.getProvider(connection.providerId) ??
      this.#store.findProviderByName(connection.providerName);
    if (!profile)
      throw new FailedPrecondition("PROVIDER_DELETED", "the provider of this connection was deleted");
    if (request.provider && this.#profileNamed(request).id !== profile.id) throw other("provider");
    return profile;
  }
}

function endRequest(tx: Transaction, connection: Connection): void {
  if (connection.pendingStateHash !== undefined) tx.takeAuthorization(connection.pendingStateHash);
}

function refuseUnverifiableOpenId(profile: ProviderProfile, scopes: readonly string[]): void {
  if (profile.enableDiscovery || !asksOpenId(profile, scopes)) return;
  if (profile.issuer !== "" && profile.jwksUrl !== "") return;
  throw new InvalidArgument([
    {
      field: "scopes",
      description:
        "openid needs a profile with enable_discovery, or with issuer and jwks_url, to verify the id_token",
    },
  ]);
}

/** A scope that is left out of the request brings no id_token. */
function asksOpenId(profile: ProviderProfile, scopes: readonly string[]): boolean {
  return scopes.includes("openid") && !profile.oauth2.skipScopeOnAuth;
}
