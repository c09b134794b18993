import { type AuditEventType, by } from "../model/audit_event.js";
import type { PendingAuthorization } from "../model/authorization.js";
import type { Connection, ProblemReason } from "../model/connection.js";
import { callbackMetadata } from "../model/connection_metadata.js";
import type { TokenSet } from "../model/credential.js";
import { DataLoss, FailedPrecondition, Unavailable } from "../model/errors.js";
import { at, browser, type Principal } from "../model/principal.js";
import type { ProviderProfile } from "../model/provider_profile.js";
import { authorizationUrl } from "../oauth/authorization_request.js";
import { processAuthorizationResponse } from "../oauth/authorization_response.js";
import type { AuthorizationServer } from "../oauth/authorization_server.js";
import { GrantFailure } from "../oauth/failure.js";
import type { Clock } from "../runtime/clock.js";
import type { KeyedMutex } from "../runtime/keyed_mutex.js";
import type { Secret } from "../runtime/secret.js";
import type { AuthorizationSecret } from "../store/secret_codec.js";
import type { Store } from "../store/store.js";
import type { Transaction } from "../store/transaction.js";
import type { AuthorizationServers } from "./authorization_servers.js";
import { changeConnection, consentEnded } from "./connection_change.js";
import type { ConsentFailure, ConsentFlow, FinishOutcome, StartOutcome } from "./consent.js";
import {
  bindingName,
  changedProvider,
  expiredRequest,
  messageForPerson,
  requestOver,
  returnToCaller,
  sameText,
  unknownRequest,
  unreachableProvider,
} from "./consent_outcome.js";
import { type CredentialVault, hashState } from "./credential_vault.js";
import type { CredentialWriter } from "./credential_writer.js";
import type { Grants } from "./grants.js";
import type { Log } from "./log.js";
import type { RevocationQueue } from "./revocation_queue.js";
import type { UnknownStates } from "./unknown_states.js";

type CompleterStore = Pick<Store, "commit" | "getAuthorization" | "getProvider" | "getConnection">;

/** Brings a person's consent home: from `/auth/start` over the provider to `/auth/callback`. */
export class ConnectionCompleter implements ConsentFlow {
  readonly #store: CompleterStore;
  readonly #vault: CredentialVault;
  readonly #writer: CredentialWriter;
  readonly #servers: Pick<AuthorizationServers, "resolve">;
  readonly #grants: Pick<Grants, "exchangeCode">;
  readonly #revocations: Pick<RevocationQueue, "enqueue">;
  readonly #unknownStates: Pick<UnknownStates, "record">;
  readonly #locks: KeyedMutex<string>;
  readonly #clock: Clock;
  readonly #log: Log;

  constructor(options: {
    store: CompleterStore;
    vault: CredentialVault;
    writer: CredentialWriter;
    servers: Pick<AuthorizationServers, "resolve">;
    grants: Pick<Grants, "exchangeCode">;
    revocations: Pick<RevocationQueue, "enqueue">;
    unknownStates: Pick<UnknownStates, "record">;
    /** Shared with the refresher: one token request per connection. */
    locks: KeyedMutex<string>;
    clock: Clock;
    log: Log;
  }) {
    this.#store = options.store;
    this.#vault = options.vault;
    this.#writer = options.writer;
    this.#servers = options.servers;
    this.#grants = options.grants;
    this.#revocations = options.revocations;
    this.#unknownStates = options.unknownStates;
    this.#locks = options.locks;
    this.#clock = options.clock;
    this.#log = options.log;
  }

  async start(state: string): Promise<StartOutcome> {
    const stateHash = hashState(state);
    const pending = this.#store.getAuthorization(stateHash);
    if (!pending) return unknownRequest;
    if (this.#clock.nowMs() >= pending.expiresAtMs) return expiredRequest;
    const profile = this.#profileOf(pending);
    if (!profile) return changedProvider;
    const secret = this.#secretOf(stateHash, pending);
    if (!secret) return unknownRequest;
    const binding = {
      name: bindingName(stateHash),
      value: secret.browserBinding,
      maxAgeSeconds: Math.ceil((pending.expiresAtMs - this.#clock.nowMs()) / 1000),
    };
    if (profile.authType !== "oauth2") return { kind: "capture", binding };
    const server = await this.#resolve(profile);
    if ("kind" in server) return server;
    const location = await authorizationUrl({
      server,
      clientId: profile.clientId,
      redirectUri: pending.redirectUri,
      scopes: pending.scopes,
      state,
      codeVerifier: secret.codeVerifier,
      nonce: secret.nonce,
      extraParams: profile.authorizationParams,
      options: profile.oauth2,
    });
    return { kind: "redirect", location, binding };
  }

  async finish(
    query: URLSearchParams,
    cookie: (name: string) => string | undefined,
    origin: string | undefined,
  ): Promise<FinishOutcome> {
    const state = query.get("state") ?? "";
    const stateHash = hashState(state);
    const visitor = at(browser, origin);
    const requested = this.#store.getAuthorization(stateHash);
    // A request of a static type is answered by a form, and stays usable.
    if (requested && this.#isStatic(requested)) return unknownRequest;
    const pending = requested && (await this.#consume(stateHash));
    if (!pending) {
      await this.#unknownStates.record(visitor);
      return unknownRequest;
    }
    const context = { connectionId: pending.connectionId, providerId: pending.providerId };

    const secret = this.#secretOf(stateHash, pending);
    if (!secret) return await this.#refuse(pending, "data_loss", "oauth_error", visitor);
    if (!sameText(cookie(bindingName(stateHash)) ?? "", secret.browserBinding)) {
      this.#log.warn(context, "callback from another browser");
      return await this.#refuse(pending, "state_verification_failed", "state_verification_failed", visitor);
    }
    if (this.#clock.nowMs() >= pending.expiresAtMs) {
      await this.#end(pending, "consent_expired", "oauth_error", visitor);
      return expiredRequest;
    }
    const profile = this.#profileOf(pending);
    if (!profile) {
      await this.#end(pending, "authorization_failed", "oauth_error", visitor);
      return changedProvider;
    }
    const server = await this.#resolve(profile);
    if ("kind" in server) {
      await this.#end(pending, "authorization_failed", "oauth_error", visitor);
      return server;
    }

    const response = processAuthorizationResponse(server, profile.clientId, query, state);
    if (response.kind === "invalid") {
      this.#log.warn({ ...context, reason: response.reason }, "authorization response refused");
      return await this.#refuse(pending, "state_verification_failed", "state_verification_failed", visitor);
    }
    if (response.kind === "error") {
      this.#log.info({ ...context, error: response.error }, "consent not given");
      const reason = response.error === "access_denied" ? "access_denied" : "authorization_failed";
      await this.#end(pending, reason, "oauth_error", visitor, response.error);
      return returnToCaller(pending, profile, { status: "error", error: response.error });
    }
    try {
      await this.#exchange(pending, profile, server, response.params, secret, visitor);
    } catch (error) {
      if (error instanceof ConsentSuperseded) return unknownRequest;
      if (!(error instanceof GrantFailure)) throw error;
      const reason: ProblemReason =
        error.reason === "id_token_verification_failed"
          ? "id_token_verification_failed"
          : "token_exchange_failed";
      this.#log.warn({ ...context, reason, failure: error.message }, "authorization code not exchanged");
      await this.#end(pending, reason, reason, visitor, error.oauthError);
      return returnToCaller(pending, profile, { status: "error", error: reason });
    }
    this.#log.info(context, "connection is active");
    return returnToCaller(pending, profile, { status: "success" });
  }

  /** Reads and deletes the state in one transaction: a second callback finds nothing. */
  async #consume(stateHash: string): Promise<PendingAuthorization | undefined> {
    const nowMs = this.#clock.nowMs();
    return await this.#store.commit((tx) => {
      const pending = tx.takeAuthorization(stateHash);
      const connection = pending && tx.getConnection(pending.connectionId);
      if (connection?.pendingStateHash === stateHash) {
        tx.putConnection(changeConnection(connection, { pendingStateHash: undefined }, nowMs));
      }
      return pending;
    });
  }

  /** The exchange and its commit, alone for this connection. */
  async #exchange(
    pending: PendingAuthorization,
    profile: ProviderProfile,
    server: AuthorizationServer,
    params: URLSearchParams,
    secret: { readonly codeVerifier: string; readonly nonce: string | undefined },
    visitor: Principal,
  ): Promise<void> {
    await this.#locks.run(pending.connectionId, async () => {
      const tokenSet = await this.#grants.exchangeCode({
        server,
        profile,
        params,
        redirectUri: pending.redirectUri,
        codeVerifier: secret.codeVerifier,
        nonce: secret.nonce,
      });
      const isStored = await this.#store.commit((tx) => {
        const connection = tx.getConnection(pending.connectionId);
        const event = {
          timeMs: this.#clock.nowMs(),
          ...by(visitor),
          connectionId: pending.connectionId,
          providerId: pending.providerId,
        };
        if (!connection || connection.status === "revoked") {
          tx.appendAudit({ ...event, type: "token_storage_failed", reason: "connection_ended" });
          this.#revocations.enqueue(tx, { ...event, revision: 0n }, tokenSet);
          return false;
        }
        const metadata = callbackMetadata(params, profile.oauth2.callbackMetadata);
        const granted = {
          ...connection,
          providerId: profile.id,
          providerName: profile.name,
          requestedScopes: pending.scopes,
          metadata,
          ...requestOver(connection),
        };
        const kept = {
          ...tokenSet,
          refreshToken: tokenSet.refreshToken ?? this.#keptRefreshToken(tx, connection, tokenSet),
        };
        const written = this.#writer.write(tx, granted, profile, kept, undefined);
        tx.appendAudit({ ...event, type: "oauth_flow_completed", revision: written.credentialRevision });
        return true;
      });
      if (!isStored) throw new ConsentSuperseded();
    });
  }

  /**
   * Some providers issue a refresh token at the first consent only. The one that is stored stays, when the id_token proves that the
   * same account consented.
   */
  #keptRefreshToken(tx: Transaction, connection: Connection, tokenSet: TokenSet): Secret | undefined {
    if (tokenSet.subject === undefined || tokenSet.subject !== connection.subject) return undefined;
    try {
      const stored = tx.getCredential(connection.id);
      return stored && this.#vault.openCredential(connection, stored).refreshToken;
    } catch (error) {
      if (error instanceof DataLoss) return undefined;
      throw error;
    }
  }

  async #refuse(
    pending: PendingAuthorization,
    reason: ProblemReason,
    type: AuditEventType,
    visitor: Principal,
  ): Promise<ConsentFailure> {
    await this.#end(pending, reason, type, visitor);
    return { kind: "failure", status: 400, reason, message: messageForPerson(reason) };
  }

  /** Writes down that a consent came to nothing; a connection that is active, or was requested anew, stays as it is. */
  async #end(
    pending: PendingAuthorization,
    reason: ProblemReason,
    type: AuditEventType,
    visitor: Principal,
    detail?: string,
  ): Promise<void> {
    const nowMs = this.#clock.nowMs();
    await this.#store.commit((tx) => {
      const connection = tx.getConnection(pending.connectionId);
      if (connection && connection.pendingStateHash === undefined) {
        const status = reason === "consent_expired" ? "expired" : "failed";
        tx.putConnection(
          changeConnection(connection, consentEnded(connection, status, reason, nowMs), nowMs),
        );
      }
      tx.appendAudit({
        timeMs: nowMs,
        type,
        ...by(visitor),
        connectionId: pending.connectionId,
        providerId: pending.providerId,
        reason: detail ?? reason,
      });
    });
  }

  /** Undefined when it cannot be opened. */
  #secretOf(stateHash: string, pending: PendingAuthorization): AuthorizationSecret | undefined {
    try {
      return this.#vault.openAuthorization(stateHash, pending);
    } catch (error) {
      if (error instanceof DataLoss) return undefined;
      throw error;
    }
  }

  #isStatic(pending: PendingAuthorization): boolean {
    const profile = this.#store.getProvider(pending.providerId);
    return profile !== undefined && profile.authType !== "oauth2";
  }

  #profileOf(pending: PendingAuthorization): ProviderProfile | undefined {
    const profile = this.#store.getProvider(pending.providerId);
    return profile?.version === pending.providerVersion ? profile : undefined;
  }

  async #resolve(profile: ProviderProfile): Promise<AuthorizationServer | ConsentFailure> {
    try {
      return await this.#servers.resolve(profile);
    } catch (error) {
      if (!(error instanceof Unavailable) && !(error instanceof FailedPrecondition)) throw error;
      this.#log.warn({ providerId: profile.id, error: error.message }, "authorization server not resolved");
      return unreachableProvider;
    }
  }
}

/** The connection was revoked or deleted while its code was being exchanged. */
class ConsentSuperseded extends Error {}
