import { at, browser, type Principal, type Provenance } from "../../model/access/principal.js";
import type { PendingAuthorization } from "../../model/connections/authorization.js";
import { grantBinding } from "../../model/connections/grant_binding.js";
import { callbackMetadata } from "../../model/providers/connection_metadata.js";
import type { ProviderProfile } from "../../model/providers/provider_profile.js";
import { processAuthorizationResponse } from "../../oauth/authorization_response.js";
import type { AuthorizationServer } from "../../oauth/authorization_server.js";
import { GrantFailure, UnusableGrant } from "../../oauth/failure.js";
import type { KeyedMutex } from "../../runtime/keyed_mutex.js";
import type { AuthorizationSecret } from "../../store/records/secret_codec.js";
import { hashState } from "../credentials/credential_vault.js";
import { refusalWords } from "../token_endpoint/refused_client.js";
import type { TokenEndpointClient } from "../token_endpoint/token_endpoint_client.js";
import { Answered, Authorize, type AuthorizeDeps, untilAnswered } from "./authorize.js";
import type { EndedConsent } from "./consent_ending.js";
import type { ConsentKeeper, KeptConsent } from "./consent_keeper.js";
import {
  type ConsentFailure,
  type ConsentFlow,
  errorResponse,
  type FinishOutcome,
  failureOf,
  invalidResponse,
  refusedExchange,
  returnGiven,
  returnRefused,
} from "./consent_outcomes.js";
import type { UnknownStateAudit } from "./unknown_state_audit.js";
import type { Flaw, Flawless, Presented } from "./ways.js";

interface ConsentFlowDeps extends AuthorizeDeps {
  readonly keeper: ConsentKeeper;
  readonly grants: Pick<TokenEndpointClient, "exchangeCode" | "pushAuthorization">;
  readonly unknownStateAudit: UnknownStateAudit;
  /** Shared with the refresher: one token request per connection. */
  readonly locks: KeyedMutex<string>;
}

/** What came to the redirect URI, and from whom. */
interface Callback {
  readonly query: URLSearchParams;
  readonly state: string;
  readonly actor: Principal;
}

/** The same, with the request that it answers, whose state is consumed. */
interface Answer extends Callback {
  readonly pending: PendingAuthorization;
}

/** Brings a user's consent home: from `/auth/start` over the provider to `/auth/callback`. */
export class ConnectionCompleter extends Authorize implements ConsentFlow {
  constructor(private readonly deps: ConsentFlowDeps) {
    super(deps);
  }

  async finish(
    query: URLSearchParams,
    cookie: (name: string) => string | undefined,
    from: Provenance | undefined,
    path: string,
  ): Promise<FinishOutcome> {
    return await untilAnswered(async () => {
      const state = query.get("state") ?? "";
      const callback = { query, state, actor: at(browser, from?.origin, from?.via) };
      await this.#leaveOtherAnswers(callback);
      const answer = { ...callback, pending: await this.#consumeState(callback) };
      const { profile, secret } = await this.#judge(answer, { cookie, path });
      const server = await this.#findServer(answer, secret, profile);
      const params = await this.#checkResponse(answer, profile, server);
      const kept = await this.#exchangeCode(answer, secret, profile, server, params);
      return returnGiven(answer.pending, profile, kept);
    });
  }

  /** A form or a confirmation answers such a request, and an error of another issuer (RFC 9207 section 2.4) says nothing of any. */
  async #leaveOtherAnswers({ query, state }: Callback): Promise<void> {
    const { store, log } = this.deps;
    const pending = store.getAuthorization(hashState(state));
    if (!pending) return;
    const profile = store.getProvider(pending.providerId);
    if (pending.held || (profile && profile.authType !== "oauth2"))
      throw new Answered({ kind: "unknown_request" });
    if (!query.get("error") || profile?.version !== pending.providerVersion) return;
    const server = await this.resolve(profile);
    if ("kind" in server) return;
    const response = processAuthorizationResponse(server, profile.clientId, query, state);
    if (response.kind !== "invalid" || !response.reason.startsWith("iss_")) return;
    log.warn({ ...placeOf(pending), reason: response.reason }, "error of another issuer ignored");
    throw new Answered({ kind: "foreign_answer" });
  }

  async #consumeState({ query, state, actor }: Callback): Promise<PendingAuthorization> {
    const { store, clock, unknownStateAudit } = this.deps;
    const stateHash = hashState(state);
    const pending = store.getAuthorization(stateHash) && (await this.take(stateHash));
    if (pending) return pending;
    await unknownStateAudit.record(actor);
    if (state !== "") throw new Answered(failureOf("unknown", state, clock.nowMs()));
    const isDenial = query.get("error") === "access_denied";
    throw new Answered({ kind: isDenial ? "denied_without_state" : "answer_without_state" });
  }

  async #judge(answer: Answer, presented: Presented): Promise<Flawless> {
    const { store, judge } = this.deps;
    const { pending } = answer;
    const judged = judge.judge("callback", store, { key: hashState(answer.state), pending }, presented);
    if (typeof judged !== "string") return judged;
    const { shown, ...ended } = endings[judged] ?? endOfProfile;
    return await this.#end({ ...answer, ...ended }, shown);
  }

  async #findServer(
    answer: Answer,
    { nonce }: AuthorizationSecret,
    profile: ProviderProfile,
  ): Promise<AuthorizationServer> {
    const server = await this.resolve(profile, nonce !== undefined);
    if (!("kind" in server)) return server;
    const reason = server.kind === "provider_unreachable" ? server.kind : "misconfigured";
    return await this.#end({ ...answer, reason, type: "oauth_error" }, server);
  }

  /** RFC 6749 section 4.1.2, and RFC 9207. @returns the parameters, with the code */
  async #checkResponse(
    answer: Answer,
    profile: ProviderProfile,
    server: AuthorizationServer,
  ): Promise<URLSearchParams> {
    const { pending, query, state, actor } = answer;
    const { log } = this.deps;
    const response = processAuthorizationResponse(server, profile.clientId, query, state);
    if (response.kind === "invalid") {
      const problem = invalidResponse(response, server);
      const details = { ...placeOf(pending), reason: response.reason, detail: problem.detail };
      log.warn(details, "authorization response refused");
      return await this.#end({ ...answer, ...problem, type: "state_verification_failed" });
    }
    if (response.kind !== "error") return response.params;
    const { error: word } = response;
    log.info({ ...placeOf(pending), error: word }, "consent not given");
    const problem = errorResponse(word, pending.redirectUri);
    const refused = await this.deps.ending.end({ pending, ...problem, word, type: "oauth_error", actor });
    throw new Answered(returnRefused(pending, profile, refused));
  }

  /** The exchange and its commit, alone for this connection. */
  async #exchangeCode(
    { pending, state, actor }: Answer,
    { codeVerifier, nonce, dpopKey }: AuthorizationSecret,
    profile: ProviderProfile,
    server: AuthorizationServer,
    params: URLSearchParams,
  ): Promise<KeptConsent> {
    const { keeper, locks, grants, mcp, log } = this.deps;
    const { redirectUri, connectionId } = pending;
    const request = { server, profile, params, redirectUri, codeVerifier, nonce, dpopKey };
    try {
      const kept = await locks.run(connectionId, async () => {
        const tokenSet = await grants.exchangeCode(request);
        const metadata = callbackMetadata(params, profile.oauth2.callbackMetadata);
        const key = hashState(state);
        return await keeper.keep({ way: "code", key, pending, profile, tokenSet, metadata, actor });
      });
      if (!kept) throw new Answered({ kind: "unknown_request" });
      return kept;
    } catch (error) {
      if (!(error instanceof GrantFailure)) throw error;
      const { reason, detail, type } = await refusedExchange(error, profile, redirectUri, mcp);
      const details = { reason, failure: error.message, description: refusalWords(error) };
      log.warn({ ...placeOf(pending), ...details }, "authorization code not exchanged");
      const dropped =
        error instanceof UnusableGrant ? { grant: error, binding: grantBinding(profile) } : undefined;
      const word = error.oauthError ?? reason;
      const refused = await this.deps.ending.end({ pending, reason, detail, word, type, actor, dropped });
      // Applications know the words of the audit events.
      const told = reason === "account_changed" ? reason : type;
      throw new Answered(returnRefused(pending, profile, refused, told));
    }
  }

  /** @param outcome what the browser gets instead of the reason */
  async #end(ended: EndedConsent, outcome?: ConsentFailure): Promise<never> {
    const refused = await this.deps.ending.end(ended);
    throw new Answered(outcome ?? refused);
  }
}

/** How a consent ends whose response came to a flawed request. */
interface FlawedEnd extends Pick<EndedConsent, "reason" | "type" | "detail"> {
  /** What the browser gets instead of the reason. */
  readonly shown?: ConsentFailure;
}

const endOfProfile: FlawedEnd = {
  reason: "authorization_failed",
  type: "oauth_error",
  shown: { kind: "provider_changed" },
};

const endings: Readonly<Partial<Record<Flaw, FlawedEnd>>> = {
  unreadable: { reason: "data_loss", type: "oauth_error" },
  // With a page, and never by the return URL: who sent the answer is not known.
  other_browser: { reason: "state_verification_failed", type: "state_verification_failed" },
  expired: { reason: "consent_expired", type: "oauth_error", shown: { kind: "expired" } },
  other_redirect_uri: {
    reason: "invalid_authorization_response",
    type: "state_verification_failed",
    detail: "it came to the redirect URI of another provider",
  },
  profile_changed: endOfProfile,
  profile_deleted: endOfProfile,
};

function placeOf({ connectionId, providerId }: PendingAuthorization) {
  return { connectionId, providerId };
}
