import { at, browser, type Principal } from "../../model/access/principal.js";
import type { PendingAuthorization } from "../../model/connections/authorization.js";
import { DataLoss, FailedPrecondition, Unavailable } from "../../model/errors.js";
import type { ProblemReason } from "../../model/problem_reason.js";
import type { ProviderProfile } from "../../model/providers/provider_profile.js";
import { pathOfRedirectUri } from "../../model/providers/redirect_path.js";
import { authorizationUrl } from "../../oauth/authorization_request.js";
import { processAuthorizationResponse } from "../../oauth/authorization_response.js";
import type { AuthorizationServer } from "../../oauth/authorization_server.js";
import { GrantFailure } from "../../oauth/failure.js";
import type { Clock } from "../../runtime/clock.js";
import type { KeyedMutex } from "../../runtime/keyed_mutex.js";
import type { Log } from "../../runtime/log.js";
import type { AuthorizationSecret } from "../../store/records/secret_codec.js";
import type { Store } from "../../store/store.js";
import { type CredentialVault, hashState } from "../credentials/credential_vault.js";
import type { CredentialWriter } from "../credentials/credential_writer.js";
import type { IssuerMetadata } from "../grants/issuer_metadata.js";
import type { RevocationQueue } from "../grants/revocation_queue.js";
import type { TokenEndpointClient } from "../grants/token_endpoint_client.js";
import type { TokenSpool } from "../grants/token_spool.js";
import { changeConnection } from "../lifecycle/connection_change.js";
import { CodeRedemption, ConsentSuperseded } from "./code_exchange.js";
import { ConsentEnding } from "./consent_ending.js";
import {
  bindingName,
  changedProvider,
  expiredRequest,
  foreignError,
  returnToCaller,
  sameText,
  successOf,
  unknownRequest,
  unreachableProvider,
} from "./consent_result.js";
import type { ConsentFailure, ConsentFlow, FinishOutcome, StartOutcome } from "./consent_types.js";
import type { UnknownStateAudit } from "./unknown_state_audit.js";

type CompleterStore = Pick<
  Store,
  "commit" | "getAuthorization" | "getProvider" | "getConnection" | "getCredential"
>;

/** A callback that passed its guards. */
interface Callback {
  readonly pending: PendingAuthorization;
  readonly profile: ProviderProfile;
  readonly server: AuthorizationServer;
  readonly secret: AuthorizationSecret;
  readonly visitor: Principal;
  readonly query: URLSearchParams;
  readonly state: string;
}

/** Brings a person's consent home: from `/auth/start` over the provider to `/auth/callback`. */
export class ConnectionCompleter implements ConsentFlow {
  readonly #store: CompleterStore;
  readonly #vault: CredentialVault;
  readonly #servers: Pick<IssuerMetadata, "resolve">;
  readonly #redemption: CodeRedemption;
  readonly #ending: ConsentEnding;
  readonly #unknownStateAudit: Pick<UnknownStateAudit, "record">;
  readonly #clock: Clock;
  readonly #log: Log;

  constructor(options: {
    store: CompleterStore;
    vault: CredentialVault;
    writer: CredentialWriter;
    servers: Pick<IssuerMetadata, "resolve">;
    grants: Pick<TokenEndpointClient, "exchangeCode">;
    revocations: Pick<RevocationQueue, "enqueue">;
    unknownStateAudit: Pick<UnknownStateAudit, "record">;
    /** Called when a provider has accepted the client of its profile. */
    onAccepted: (providerId: string) => void;
    /** Holds a token set until it is durable. */
    spool: Pick<TokenSpool, "hold" | "release">;
    /** Shared with the refresher: one token request per connection. */
    locks: KeyedMutex<string>;
    clock: Clock;
    log: Log;
  }) {
    this.#store = options.store;
    this.#vault = options.vault;
    this.#servers = options.servers;
    this.#redemption = new CodeRedemption(options);
    this.#ending = new ConsentEnding(options);
    this.#unknownStateAudit = options.unknownStateAudit;
    this.#clock = options.clock;
    this.#log = options.log;
  }

  async start(state: string): Promise<StartOutcome> {
    const stateHash = hashState(state);
    const pending = this.#store.getAuthorization(stateHash);
    if (!pending || pending.held) return unknownRequest;
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
    const location = authorizationUrl({
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
    path: string,
  ): Promise<FinishOutcome> {
    const state = query.get("state") ?? "";
    const stateHash = hashState(state);
    const visitor = at(browser, origin);
    const requested = this.#store.getAuthorization(stateHash);
    // A request of a static type is answered by a form, and stays usable.
    if (requested && (requested.held || this.#isStatic(requested))) return unknownRequest;
    if (requested && (await this.#isForeignError(requested, query, state))) return foreignError;
    const pending = requested && (await this.#consume(stateHash));
    if (!pending) {
      await this.#unknownStateAudit.record(visitor);
      return unknownRequest;
    }
    const secret = this.#secretOf(stateHash, pending);
    if (!secret) return await this.#ending.refuse(pending, "data_loss", "oauth_error", visitor);
    const refused = await this.#refuseStranger(
      pending,
      cookie(bindingName(stateHash)),
      secret,
      path,
      visitor,
    );
    if (refused) return refused;
    const profile = this.#profileOf(pending);
    if (!profile) {
      await this.#ending.end(pending, "authorization_failed", "oauth_error", visitor);
      return changedProvider;
    }
    const server = await this.#resolve(profile, secret.nonce !== undefined);
    if ("kind" in server) {
      await this.#ending.end(pending, "authorization_failed", "oauth_error", visitor);
      return server;
    }
    return await this.#answer({ pending, profile, server, secret, visitor, query, state });
  }

  /** The guards of a callback: the browser, the time, and the redirect URI that the answer came to. */
  async #refuseStranger(
    pending: PendingAuthorization,
    binding: string | undefined,
    secret: AuthorizationSecret,
    path: string,
    visitor: Principal,
  ): Promise<FinishOutcome | undefined> {
    const { connectionId, providerId } = pending;
    if (!sameText(binding ?? "", secret.browserBinding)) {
      this.#log.warn({ connectionId, providerId }, "callback from another browser");
      return await this.#refuseUnverified(pending, visitor);
    }
    if (this.#clock.nowMs() >= pending.expiresAtMs) {
      await this.#ending.end(pending, "consent_expired", "oauth_error", visitor);
      return expiredRequest;
    }
    // An answer that was made for another provider's redirect URI (RFC 9700 section 4.4.2).
    if (path === pathOfRedirectUri(pending.redirectUri)) return undefined;
    this.#log.warn({ connectionId, providerId, reason: "redirect_path" }, "authorization response refused");
    return await this.#refuseUnverified(pending, visitor);
  }

  async #refuseUnverified(pending: PendingAuthorization, visitor: Principal): Promise<FinishOutcome> {
    const reason = "state_verification_failed";
    return await this.#ending.refuse(pending, reason, reason, visitor);
  }

  async #answer({
    pending,
    profile,
    server,
    secret,
    visitor,
    query,
    state,
  }: Callback): Promise<FinishOutcome> {
    const context = { connectionId: pending.connectionId, providerId: pending.providerId };
    const response = processAuthorizationResponse(server, profile.clientId, query, state);
    if (response.kind === "invalid") {
      this.#log.warn({ ...context, reason: response.reason }, "authorization response refused");
      return await this.#refuseUnverified(pending, visitor);
    }
    if (response.kind === "error") {
      this.#log.info({ ...context, error: response.error }, "consent not given");
      const reason = response.error === "access_denied" ? "access_denied" : "authorization_failed";
      await this.#ending.end(pending, reason, "oauth_error", visitor, response.error);
      return returnToCaller(pending, profile, { status: "error", error: response.error });
    }
    let completionCode: string | undefined;
    try {
      completionCode = await this.#redemption.redeem(
        pending,
        profile,
        server,
        response.params,
        secret,
        visitor,
      );
    } catch (error) {
      if (error instanceof ConsentSuperseded) return unknownRequest;
      if (!(error instanceof GrantFailure)) throw error;
      const reason: ProblemReason =
        error.reason === "id_token_verification_failed"
          ? "id_token_verification_failed"
          : "token_exchange_failed";
      this.#log.warn({ ...context, reason, failure: error.message }, "authorization code not exchanged");
      await this.#ending.end(pending, reason, reason, visitor, error.oauthError);
      return returnToCaller(pending, profile, { status: "error", error: reason });
    }
    this.#log.info(
      context,
      completionCode === undefined ? "connection is active" : "consent waits for its confirmation",
    );
    return returnToCaller(pending, profile, successOf(completionCode));
  }

  /** An error whose `iss` is not the provider's (RFC 9207 section 2.4) says nothing about the request, and must not end it. */
  async #isForeignError(
    pending: PendingAuthorization,
    query: URLSearchParams,
    state: string,
  ): Promise<boolean> {
    const profile = query.get("error") ? this.#profileOf(pending) : undefined;
    const server = profile && (await this.#resolve(profile));
    if (!server || "kind" in server) return false;
    const response = processAuthorizationResponse(server, profile.clientId, query, state);
    if (response.kind !== "invalid" || !response.reason.startsWith("iss_")) return false;
    const { connectionId, providerId } = pending;
    this.#log.warn({ connectionId, providerId, reason: response.reason }, "error of another issuer ignored");
    return true;
  }

  /** Reads and deletes the state in one transaction: a second callback finds nothing. */
  async #consume(stateHash: string): Promise<PendingAuthorization | undefined> {
    const nowMs = this.#clock.nowMs();
    return await this.#store.commit((tx) => {
      const pending = tx.takeAuthorization(stateHash);
      const connection = pending && tx.getConnection(pending.connectionId);
      if (connection?.pendingStateHash === stateHash) {
        tx.putUnannounced(changeConnection(connection, { pendingStateHash: undefined }, nowMs));
      }
      return pending;
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

  async #resolve(profile: ProviderProfile, needsKeys = false): Promise<AuthorizationServer | ConsentFailure> {
    try {
      return await this.#servers.resolve(profile, needsKeys);
    } catch (error) {
      if (!(error instanceof Unavailable) && !(error instanceof FailedPrecondition)) throw error;
      this.#log.warn({ providerId: profile.id, error: error.message }, "authorization server not resolved");
      return unreachableProvider;
    }
  }
}
