import { createHash, timingSafeEqual } from "node:crypto";
import type { AuditEventType } from "../model/audit_event.js";
import type { PendingAuthorization } from "../model/authorization.js";
import { type Connection, type ProblemReason, problemMessages } from "../model/connection.js";
import { DataLoss, FailedPrecondition, Unavailable } from "../model/errors.js";
import { browser } from "../model/principal.js";
import type { ProviderProfile } from "../model/provider_profile.js";
import { authorizationUrl } from "../oauth/authorization_request.js";
import { processAuthorizationResponse } from "../oauth/authorization_response.js";
import type { AuthorizationServer } from "../oauth/authorization_server.js";
import { GrantFailure } from "../oauth/failure.js";
import type { Clock } from "../runtime/clock.js";
import type { KeyedMutex } from "../runtime/keyed_mutex.js";
import type { Store } from "../store/store.js";
import type { AuthorizationServers } from "./authorization_servers.js";
import { changeConnection, consentEnded } from "./connection_change.js";
import type { ConsentFailure, ConsentFlow, FinishOutcome, StartOutcome } from "./consent.js";
import { type CredentialVault, hashState } from "./credential_vault.js";
import type { CredentialWriter } from "./credential_writer.js";
import type { Grants } from "./grants.js";
import type { Log } from "./log.js";

type CompleterStore = Pick<Store, "commit" | "getAuthorization" | "getProvider" | "getConnection">;

/** Brings a person's consent home: from `/auth/start` over the provider to `/auth/callback`. */
export class ConnectionCompleter implements ConsentFlow {
  readonly #store: CompleterStore;
  readonly #vault: CredentialVault;
  readonly #writer: CredentialWriter;
  readonly #servers: Pick<AuthorizationServers, "resolve">;
  readonly #grants: Pick<Grants, "exchangeCode">;
  readonly #locks: KeyedMutex<string>;
  readonly #clock: Clock;
  readonly #log: Log;

  constructor(options: {
    store: CompleterStore;
    vault: CredentialVault;
    writer: CredentialWriter;
    servers: Pick<AuthorizationServers, "resolve">;
    grants: Pick<Grants, "exchangeCode">;
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
    const server = await this.#resolve(profile);
    if ("kind" in server) return server;
    const secret = this.#vault.openAuthorization(pending.connectionId, pending.providerId, pending.sealed);
    const location = await authorizationUrl({
      server,
      clientId: profile.clientId,
      redirectUri: pending.redirectUri,
      scopes: pending.scopes,
      state,
      codeVerifier: secret.codeVerifier,
      nonce: secret.nonce,
      extraParams: profile.authorizationParams,
    });
    return {
      kind: "redirect",
      location,
      binding: {
        name: bindingName(stateHash),
        value: secret.browserBinding,
        maxAgeSeconds: Math.ceil((pending.expiresAtMs - this.#clock.nowMs()) / 1000),
      },
    };
  }

  async finish(query: URLSearchParams, cookie: (name: string) => string | undefined): Promise<FinishOutcome> {
    const state = query.get("state") ?? "";
    const stateHash = hashState(state);
    const pending = await this.#consume(stateHash);
    if (!pending) return unknownRequest;
    const context = { connectionId: pending.connectionId, providerId: pending.providerId };

    let secret: ReturnType<CredentialVault["openAuthorization"]>;
    try {
      secret = this.#vault.openAuthorization(pending.connectionId, pending.providerId, pending.sealed);
    } catch (error) {
      if (!(error instanceof DataLoss)) throw error;
      return await this.#refuse(pending, "data_loss", "oauth_error");
    }
    if (!sameText(cookie(bindingName(stateHash)) ?? "", secret.browserBinding)) {
      this.#log.warn(context, "callback from another browser");
      return await this.#refuse(pending, "state_verification_failed", "state_verification_failed");
    }
    if (this.#clock.nowMs() >= pending.expiresAtMs) {
      await this.#end(pending, "consent_expired", "oauth_error");
      return expiredRequest;
    }
    const profile = this.#profileOf(pending);
    if (!profile) {
      await this.#end(pending, "authorization_failed", "oauth_error");
      return changedProvider;
    }
    const server = await this.#resolve(profile);
    if ("kind" in server) {
      await this.#end(pending, "authorization_failed", "oauth_error");
      return server;
    }

    const response = processAuthorizationResponse(server, profile.clientId, query, state);
    if (response.kind === "invalid") {
      this.#log.warn({ ...context, reason: response.reason }, "authorization response refused");
      return await this.#refuse(pending, "state_verification_failed", "state_verification_failed");
    }
    if (response.kind === "error") {
      this.#log.info({ ...context, error: response.error }, "consent not given");
      const reason = response.error === "access_denied" ? "access_denied" : "authorization_failed";
      await this.#end(pending, reason, "oauth_error", response.error);
      return returnToCaller(pending, profile, { status: "error", error: response.error });
    }
    try {
      await this.#exchange(pending, profile, server, response.params, secret);
    } catch (error) {
      if (error instanceof ConsentSuperseded) return unknownRequest;
      if (!(error instanceof GrantFailure)) throw error;
      const reason: ProblemReason =
        error.reason === "id_token_verification_failed"
          ? "id_token_verification_failed"
          : "token_exchange_failed";
      this.#log.warn({ ...context, reason, failure: error.message }, "authorization code not exchanged");
      await this.#end(pending, reason, reason, error.oauthError);
      return returnToCaller(pending, profile, { status: "error", error: reason });
    }
    this.#log.info(context, "connection is active");
    return returnToCaller(pending, profile, { status: "success" });
  }

  /** Reads and deletes the state in one transaction: a second callback finds nothing. */
  async #consume(stateHash: string): Promise<PendingAuthorization | undefined> {
    if (!this.#store.getAuthorization(stateHash)) return undefined;
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
      await this.#store.commit((tx) => {
        const connection = tx.getConnection(pending.connectionId);
        if (!connection || connection.status === "revoked") throw new ConsentSuperseded();
        const granted = {
          ...connection,
          providerId: profile.id,
          providerName: profile.name,
          requestedScopes: pending.scopes,
          ...requestOver(connection),
        };
        this.#writer.write(tx, granted, profile, tokenSet, undefined);
        tx.appendAudit({
          timeMs: this.#clock.nowMs(),
          type: "oauth_flow_completed",
          principal: browser.name,
          connectionId: pending.connectionId,
          providerId: pending.providerId,
        });
      });
    });
  }

  async #refuse(
    pending: PendingAuthorization,
    reason: ProblemReason,
    type: AuditEventType,
  ): Promise<ConsentFailure> {
    await this.#end(pending, reason, type);
    return { kind: "failure", status: 400, reason, message: problemMessages[reason] };
  }

  /** Writes down that a consent came to nothing; a connection that is active, or was requested anew, stays as it is. */
  async #end(
    pending: PendingAuthorization,
    reason: ProblemReason,
    type: AuditEventType,
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
        principal: browser.name,
        connectionId: pending.connectionId,
        providerId: pending.providerId,
        reason: detail ?? reason,
      });
    });
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

const unknownRequest: ConsentFailure = {
  kind: "failure",
  status: 404,
  reason: "unknown_request",
  message: "This link was used already, was replaced by a newer one, or is not one of ours.",
};
const expiredRequest: ConsentFailure = {
  kind: "failure",
  status: 410,
  reason: "consent_expired",
  message: "This link is older than ten minutes.",
};
const changedProvider: ConsentFailure = {
  kind: "failure",
  status: 410,
  reason: "provider_changed",
  message: "The provider was changed or deleted after this link was made.",
};
const unreachableProvider: ConsentFailure = {
  kind: "failure",
  status: 503,
  reason: "provider_unavailable",
  message: "The provider cannot be reached at the moment.",
};

function bindingName(stateHash: string): string {
  return stateHash.slice(0, 16);
}

function sameText(one: string, other: string): boolean {
  const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(one), digest(other));
}

/** The request is over, unless a newer one is pending. */
function requestOver(connection: Connection): Partial<Connection> {
  return connection.pendingStateHash === undefined ? { requestExpiresAtMs: undefined } : {};
}

/** Adds the outcome to the return URL; a query already there is kept. */
function returnToCaller(
  pending: PendingAuthorization,
  profile: ProviderProfile,
  outcome: { readonly status: "success" } | { readonly status: "error"; readonly error: string },
): FinishOutcome {
  if (pending.returnUrl === undefined) {
    if (outcome.status === "success") return { kind: "done", providerName: profile.name };
    const reason: ProblemReason =
      outcome.error in problemMessages ? (outcome.error as ProblemReason) : "authorization_failed";
    return { kind: "failure", status: 400, reason: outcome.error, message: problemMessages[reason] };
  }
  const url = new URL(pending.returnUrl);
  const added = new URLSearchParams({
    ...outcome,
    connection_id: pending.connectionId,
    provider: profile.name,
  });
  url.search = url.search === "" ? added.toString() : `${url.search}&${added}`;
  return { kind: "return", location: url.href };
}
