import { at, browser, type Principal, type Provenance } from "../../model/access/principal.js";
import type { PendingAuthorization } from "../../model/connections/authorization.js";
import { grantBinding } from "../../model/connections/grant_binding.js";
import { askedScopes } from "../../model/connections/step_up.js";
import { FailedPrecondition, Unavailable } from "../../model/errors.js";
import type { ProviderProfile } from "../../model/providers/provider_profile.js";
import { pathOfRedirectUri } from "../../model/providers/redirect_path.js";
import { processAuthorizationResponse } from "../../oauth/authorization_response.js";
import type { AuthorizationServer } from "../../oauth/authorization_server.js";
import { DiscoveryFailure } from "../../oauth/discovery.js";
import { GrantFailure, UnusableGrant } from "../../oauth/failure.js";
import type { Changes } from "../../runtime/changes.js";
import type { Clock } from "../../runtime/clock.js";
import type { KeyedMutex } from "../../runtime/keyed_mutex.js";
import type { Log } from "../../runtime/log.js";
import type { AuthorizationSecret } from "../../store/records/secret_codec.js";
import type { Store } from "../../store/store.js";
import { takeRequest } from "../connections/state/connection_change.js";
import { type CredentialVault, hashState } from "../credentials/credential_vault.js";
import type { CredentialWriter } from "../credentials/credential_writer.js";
import type { McpServers } from "../providers/mcp/mcp_servers.js";
import type { TokenSpool } from "../refresh/journal/token_spool.js";
import type { RevocationQueue } from "../revocation/revocation_queue.js";
import type { IssuerMetadata } from "../token_endpoint/issuer_metadata.js";
import { PushedRequests } from "../token_endpoint/pushed_requests.js";
import { refusalWords } from "../token_endpoint/refused_client.js";
import type { TokenEndpointClient } from "../token_endpoint/token_endpoint_client.js";
import type { UserInfoClient } from "../token_endpoint/user_info_client.js";
import { CodeRedemption } from "./code_exchange.js";
import { ConsentEnding, StepUpRefusal } from "./consent_ending.js";
import { ConsentSuperseded, type KeptConsent } from "./consent_keeper.js";
import { errorResponse, invalidResponse, refusedExchange } from "./consent_problem.js";
import { asking, bindingName, formTokenOf, returnGiven, returnRefused, sameText } from "./consent_result.js";
import type {
  BrowserBinding,
  ConsentFailure,
  ConsentFlow,
  FinishOutcome,
  StartOutcome,
} from "./consent_types.js";
import { requestedProfile, unknownRequest } from "./pending_consents.js";
import type { UnknownStateAudit } from "./unknown_state_audit.js";

interface ConsentFlowDeps {
  readonly store: Store;
  readonly vault: CredentialVault;
  readonly writer: CredentialWriter;
  readonly servers: Pick<IssuerMetadata, "resolve">;
  readonly grants: Pick<TokenEndpointClient, "exchangeCode" | "pushAuthorization">;
  readonly revocations: RevocationQueue;
  readonly unknownStateAudit: UnknownStateAudit;
  readonly userInfo: Pick<UserInfoClient, "accountOf">;
  /** See `NEXUS_OTHER_ACCOUNT`. */
  readonly refusesOtherAccounts: boolean;
  /** Called when a provider has accepted the client of its profile. */
  readonly onAccepted: (providerId: string) => void;
  /** Holds a token set until it is durable. */
  readonly spool: TokenSpool;
  /** Shared with the refresher: one token request per connection. */
  readonly locks: KeyedMutex<string>;
  readonly mcp?: McpServers | undefined;
  readonly changes: Changes;
  readonly clock: Clock;
  readonly log: Log;
}

/** A callback that passed its guards. */
interface Callback {
  readonly pending: PendingAuthorization;
  readonly profile: ProviderProfile;
  readonly server: AuthorizationServer;
  readonly secret: AuthorizationSecret;
  readonly actor: Principal;
  readonly query: URLSearchParams;
  readonly state: string;
}

/** Brings a person's consent home: from `/auth/start` over the provider to `/auth/callback`. */
export class ConnectionCompleter implements ConsentFlow {
  readonly #redemption: CodeRedemption;
  readonly #ending: ConsentEnding;
  readonly #pushes: PushedRequests;
  readonly #refusal: StepUpRefusal;

  constructor(private readonly deps: ConsentFlowDeps) {
    this.#redemption = new CodeRedemption(deps);
    this.#ending = new ConsentEnding(deps);
    this.#pushes = new PushedRequests(deps);
    this.#refusal = new StepUpRefusal(deps, this.#ending);
  }

  async start(
    state: string,
    agreed: (binding: BrowserBinding) => boolean = () => false,
  ): Promise<StartOutcome> {
    const stateHash = hashState(state);
    const pending = this.deps.store.getAuthorization(stateHash);
    if (!pending || pending.held) return unknownRequest(state, this.deps.clock.nowMs());
    if (this.deps.clock.nowMs() >= pending.expiresAtMs) return { kind: "expired" };
    const profile = requestedProfile(this.deps.store, pending);
    if (!profile) return { kind: "provider_changed" };
    const secret = this.deps.vault.authorizationIfOpens(stateHash, pending);
    if (!secret) return { kind: "unknown_request" };
    const binding = {
      name: bindingName(stateHash),
      value: secret.browserBinding,
      maxAgeSeconds: Math.ceil((pending.expiresAtMs - this.deps.clock.nowMs()) / 1000),
    };
    if (profile.authType !== "oauth2") return { kind: "capture", binding };
    const server = await this.#resolve(profile);
    if ("kind" in server) return this.#ending.unstarted(profile.id, server);
    if (server.authorizationEndpoint === "")
      return this.#ending.unstarted(profile.id, { kind: "provider_misconfigured" });
    const connection = this.deps.store.getConnection(pending.connectionId);
    if (pending.isStepUp && connection && !agreed(binding)) {
      const formToken = formTokenOf(secret.browserBinding, stateHash);
      const asked = { ...askedScopes(connection, pending.scopes), ...asking(pending, profile), formToken };
      return { kind: "step_up", binding, stepUp: asked };
    }
    const pushed = await this.#pushes.locate(stateHash, { server, profile, pending, state, secret });
    if (pushed.kind !== "location") return this.#ending.unstarted(profile.id, pushed);
    return { kind: "redirect", location: pushed.location, binding };
  }

  decline(...asked: Parameters<ConsentFlow["decline"]>): Promise<FinishOutcome> {
    return this.#refusal.decline(...asked);
  }

  async finish(
    query: URLSearchParams,
    cookie: (name: string) => string | undefined,
    from: Provenance | undefined,
    path: string,
  ): Promise<FinishOutcome> {
    const state = query.get("state") ?? "";
    const stateHash = hashState(state);
    const actor = at(browser, from?.origin, from?.via);
    const requested = this.deps.store.getAuthorization(stateHash);
    // A request of a static type is answered by a form, and stays usable.
    if (requested && (requested.held || this.#isStatic(requested))) return { kind: "unknown_request" };
    if (requested && (await this.#isForeignError(requested, query, state))) return { kind: "foreign_answer" };
    const pending =
      requested &&
      (await this.deps.store.commit((tx) => takeRequest(tx, stateHash, this.deps.clock.nowMs())));
    if (!pending) {
      await this.deps.unknownStateAudit.record(actor);
      if (state !== "") return unknownRequest(state, this.deps.clock.nowMs());
      const isDenial = query.get("error") === "access_denied";
      return { kind: isDenial ? "denied_without_state" : "answer_without_state" };
    }
    const secret = this.deps.vault.authorizationIfOpens(stateHash, pending);
    if (!secret) return await this.#ending.end({ pending, reason: "data_loss", type: "oauth_error", actor });
    const binding = cookie(bindingName(stateHash));
    const refused = await this.#refuseStranger(pending, binding, secret, path, actor);
    if (refused) return refused;
    const profile = requestedProfile(this.deps.store, pending);
    if (!profile) {
      await this.#ending.end({ pending, reason: "authorization_failed", type: "oauth_error", actor });
      return { kind: "provider_changed" };
    }
    const server = await this.#resolve(profile, secret.nonce !== undefined);
    if ("kind" in server) {
      const reason = server.kind === "provider_unreachable" ? "provider_unreachable" : "misconfigured";
      await this.#ending.end({ pending, reason, type: "oauth_error", actor });
      return server;
    }
    return await this.#answer({ pending, profile, server, secret, actor, query, state });
  }

  /** The guards of a callback: the browser, the time, and the redirect URI that the answer came to. */
  async #refuseStranger(
    pending: PendingAuthorization,
    binding: string | undefined,
    secret: AuthorizationSecret,
    path: string,
    actor: Principal,
  ): Promise<FinishOutcome | undefined> {
    const { connectionId, providerId } = pending;
    // With a page, and never by the return URL: who sent the answer is not known.
    const unverified = { pending, actor, type: "state_verification_failed" } as const;
    if (!sameText(binding ?? "", secret.browserBinding)) {
      this.deps.log.warn({ connectionId, providerId }, "callback from another browser");
      return await this.#ending.end({ ...unverified, reason: "state_verification_failed" });
    }
    if (this.deps.clock.nowMs() >= pending.expiresAtMs) {
      await this.#ending.end({ pending, reason: "consent_expired", type: "oauth_error", actor });
      return { kind: "expired" };
    }
    // An answer that was made for another provider's redirect URI (RFC 9700 section 4.4.2).
    if (path === pathOfRedirectUri(pending.redirectUri)) return undefined;
    this.deps.log.warn(
      { connectionId, providerId, reason: "redirect_path" },
      "authorization response refused",
    );
    const detail = "it came to the redirect URI of another provider";
    return await this.#ending.end({ ...unverified, reason: "invalid_authorization_response", detail });
  }

  async #answer(callback: Callback): Promise<FinishOutcome> {
    const { pending, profile, server, actor, query, state } = callback;
    const context = { connectionId: pending.connectionId, providerId: pending.providerId };
    const response = processAuthorizationResponse(server, profile.clientId, query, state);
    if (response.kind === "invalid") {
      const { reason, detail } = invalidResponse(response, server);
      this.deps.log.warn({ ...context, reason: response.reason, detail }, "authorization response refused");
      return await this.#ending.end({ pending, actor, reason, detail, type: "state_verification_failed" });
    }
    if (response.kind === "error") {
      const { error: word } = response;
      this.deps.log.info({ ...context, error: word }, "consent not given");
      const { reason, detail } = errorResponse(word, pending.redirectUri);
      const refused = { pending, reason, detail, word, type: "oauth_error", actor } as const;
      return returnRefused(pending, profile, await this.#ending.end(refused));
    }
    return await this.#redeem(callback, response.params);
  }

  async #redeem(
    { pending, profile, server, secret, actor }: Callback,
    params: URLSearchParams,
  ): Promise<FinishOutcome> {
    const context = { connectionId: pending.connectionId, providerId: pending.providerId };
    let redeemed: KeptConsent;
    try {
      redeemed = await this.#redemption.redeem(pending, profile, server, params, secret, actor);
    } catch (error) {
      if (error instanceof ConsentSuperseded) return { kind: "unknown_request" };
      if (!(error instanceof GrantFailure)) throw error;
      const failed = await refusedExchange(error, profile, pending.redirectUri, this.deps.mcp);
      const { reason, detail, type } = failed;
      const details = { reason, failure: error.message, description: refusalWords(error) };
      this.deps.log.warn({ ...context, ...details }, "authorization code not exchanged");
      const dropped =
        error instanceof UnusableGrant ? { grant: error, binding: grantBinding(profile) } : undefined;
      const word = error.oauthError ?? reason;
      const refused = await this.#ending.end({ pending, reason, detail, word, type, actor, dropped });
      // Applications know the words of the audit events.
      return returnRefused(pending, profile, refused, reason === "account_changed" ? reason : type);
    }
    this.deps.log.info(
      context,
      redeemed.completionCode === undefined ? "connection is active" : "consent waits for its confirmation",
    );
    return returnGiven(pending, profile, redeemed);
  }

  /** An error whose `iss` is not the provider's (RFC 9207 section 2.4) says nothing about the request, and must not end it. */
  async #isForeignError(
    pending: PendingAuthorization,
    query: URLSearchParams,
    state: string,
  ): Promise<boolean> {
    const profile = query.get("error") ? requestedProfile(this.deps.store, pending) : undefined;
    const server = profile && (await this.#resolve(profile));
    if (!server || "kind" in server) return false;
    const response = processAuthorizationResponse(server, profile.clientId, query, state);
    if (response.kind !== "invalid" || !response.reason.startsWith("iss_")) return false;
    const { connectionId, providerId } = pending;
    this.deps.log.warn(
      { connectionId, providerId, reason: response.reason },
      "error of another issuer ignored",
    );
    return true;
  }

  #isStatic(pending: PendingAuthorization): boolean {
    const profile = this.deps.store.getProvider(pending.providerId);
    return profile !== undefined && profile.authType !== "oauth2";
  }

  async #resolve(profile: ProviderProfile, needsKeys = false): Promise<AuthorizationServer | ConsentFailure> {
    try {
      return await this.deps.servers.resolve(profile, needsKeys);
    } catch (error) {
      if (!(error instanceof Unavailable) && !(error instanceof FailedPrecondition)) throw error;
      this.deps.log.warn(
        { providerId: profile.id, error: error.message },
        "authorization server not resolved",
      );
      const { cause } = error;
      const answers = cause instanceof DiscoveryFailure && cause.reason !== "unreachable";
      const isMisconfigured = error instanceof FailedPrecondition || answers;
      return { kind: isMisconfigured ? "provider_misconfigured" : "provider_unreachable" };
    }
  }
}
