import { by } from "../../model/access/audit_event.js";
import { at, browser, type Principal, type Provenance } from "../../model/access/principal.js";
import { authorizationLifetimeMs, type PendingAuthorization } from "../../model/connections/authorization.js";
import { stepUpScopes } from "../../model/connections/step_up.js";
import { FailedPrecondition, Unavailable } from "../../model/errors.js";
import { callbackMetadata } from "../../model/providers/connection_metadata.js";
import type { ProviderProfile } from "../../model/providers/provider_profile.js";
import { processAuthorizationResponse, stateOf } from "../../oauth/authorization_response.js";
import type { AuthorizationServer } from "../../oauth/authorization_server.js";
import { DiscoveryFailure } from "../../oauth/discovery.js";
import { GrantFailure } from "../../oauth/failure.js";
import type { KeyedMutex } from "../../runtime/keyed_mutex.js";
import type { AuthorizationSecret } from "../../store/records/secret_codec.js";
import type { CountedAudit } from "../access/access.js";
import { hashState, takeRequest, type VaultParts } from "../connections/connections.js";
import type { McpLookup } from "../profiles/profiles.js";
import {
  type IssuerMetadata,
  type PushedLocation,
  PushedRequests,
  type TokenEndpointClient,
} from "../token_endpoint/token_endpoint.js";
import type { CommittedConsent, ConsentCommits } from "./consent_commit.js";
import type { ConsentEnding, EndedConsent } from "./consent_ending.js";
import {
  asking,
  type BrowserBinding,
  type ConsentFailure,
  type ConsentFlow,
  errorResponse,
  type FinishOutcome,
  failureOf,
  invalidResponse,
  namedProvider,
  refusedExchange,
  refusedPush,
  returnGiven,
  returnRefused,
  type StartOutcome,
} from "./consent_outcomes.js";
import {
  bindingName,
  type ConsentJudge,
  type Flaw,
  type Flawless,
  formTokenOf,
  type Presented,
} from "./ways.js";

interface CodeConsentDeps extends VaultParts {
  readonly judge: ConsentJudge;
  readonly servers: Pick<IssuerMetadata, "resolve">;
  readonly grants: Pick<
    TokenEndpointClient,
    "exchangeCode" | "openResponse" | "pushAuthorization" | "signAuthorization"
  >;
  readonly commits: ConsentCommits;
  readonly ending: ConsentEnding;
  readonly mcp?: McpLookup | undefined;
  readonly unknownStateAudit: CountedAudit;
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
interface AnsweredCallback extends Callback {
  readonly pending: PendingAuthorization;
}

/** A step has answered the browser: the others are not taken. */
class Answered extends Error {
  constructor(readonly outcome: Exclude<FinishOutcome, { kind: "form" }>) {
    super(outcome.kind);
  }
}

/** What the steps answer, or the one that ends them. */
async function untilAnswered(steps: () => Promise<FinishOutcome>): Promise<FinishOutcome> {
  try {
    return await steps();
  } catch (error) {
    if (error instanceof Answered) return error.outcome;
    throw error;
  }
}

/** A consent by authorization code (RFC 6749 section 4.1): from the link to the provider, and from its response to the credential. */
export class CodeConsent implements ConsentFlow {
  readonly #pushes: PushedRequests;

  constructor(private readonly deps: CodeConsentDeps) {
    this.#pushes = new PushedRequests(deps);
  }

  async start(
    state: string,
    agreed: (binding: BrowserBinding) => boolean = () => false,
  ): Promise<StartOutcome> {
    const found = this.#find("link", state);
    if ("kind" in found) return found;
    const { key, pending, profile, secret } = found;
    const { browserBinding: value } = secret;
    const maxAgeSeconds = Math.ceil((pending.expiresAtMs - this.deps.clock.nowMs()) / 1000);
    const binding = { name: bindingName(key), value, maxAgeSeconds };
    if (profile.authType !== "oauth2") return { kind: "capture", binding };
    const server = await this.#resolve(profile);
    if ("kind" in server) return this.deps.ending.unstarted(profile.id, server);
    if (server.authorizationEndpoint === "")
      return this.deps.ending.unstarted(profile.id, { kind: "provider_misconfigured" });
    const connection = this.deps.store.getConnection(pending.connectionId);
    if (pending.isStepUp && connection && !agreed(binding)) {
      const stepUp = { ...stepUpScopes(connection, pending.scopes), ...asking(pending, profile, connection) };
      const wantsSignIn = pending.signIn !== undefined;
      return {
        kind: "step_up",
        binding,
        stepUp: { ...stepUp, wantsSignIn, formToken: formTokenOf(value, key) },
      };
    }
    const pushed = await this.#pushes.locate(key, { server, profile, pending, state, secret });
    if (pushed.kind === "push_refused") return await this.#refused(state, pushed, binding);
    if (pushed.kind !== "location") return this.deps.ending.unstarted(profile.id, pushed);
    return { kind: "redirect", location: pushed.location, binding };
  }

  /** The request is over as by an error that comes to the redirect URI, which a provider that refuses a pushed request does not send. */
  async #refused(
    state: string,
    { failure, profile }: Extract<PushedLocation, { kind: "push_refused" }>,
    binding: BrowserBinding,
  ): Promise<StartOutcome> {
    const pending = await this.#take(hashState(state));
    if (!pending) return failureOf("unknown", state, this.deps.clock.nowMs());
    const problem = await refusedPush(failure, profile, pending.redirectUri, this.deps.mcp);
    const word = failure.oauthError ?? problem.reason;
    const ended = { pending, ...problem, word, type: "oauth_error", actor: browser } as const;
    const returned = returnRefused(pending, profile, await this.deps.ending.end(ended));
    if (returned.kind === "return") return { kind: "redirect", location: returned.location, binding };
    return returned as ConsentFailure;
  }

  async decline(
    state: string,
    formToken: string,
    cookie: (name: string) => string | undefined,
    from: Provenance | undefined,
  ): Promise<FinishOutcome> {
    const found = this.#find("decline", state, { cookie, formToken });
    if ("kind" in found) return found;
    const { key, profile } = found;
    const pending = await this.#take(key);
    if (!pending) return failureOf("unknown", state, this.deps.clock.nowMs());
    const actor = at(browser, from?.origin, from?.via);
    const ended = { pending, reason: "access_denied", type: "oauth_error", actor } as const;
    const returned = returnRefused(pending, profile, await this.deps.ending.end(ended));
    return returned.kind === "return" ? returned : { kind: "declined", ...namedProvider(profile) };
  }

  async finish(
    query: URLSearchParams,
    cookie: (name: string) => string | undefined,
    from: Provenance | undefined,
    path: string,
  ): Promise<FinishOutcome> {
    return await untilAnswered(async () => {
      const state = stateOf(query);
      const callback = { query, state, actor: at(browser, from?.origin, from?.via) };
      await this.#leaveOtherAnswers(callback);
      const answer = { ...callback, pending: await this.#consumeState(callback) };
      const { profile, secret } = await this.#judge(answer, { cookie, path });
      const server = await this.#findServer(answer, secret, profile);
      const params = await this.#checkResponse(answer, profile, server);
      const committed = await this.#exchangeCode(answer, secret, profile, server, params);
      return returnGiven(answer.pending, profile, committed);
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
    const server = await this.#resolve(profile);
    if ("kind" in server) return;
    const response = processAuthorizationResponse(server, profile.clientId, query, state);
    if (response.kind !== "invalid" || !response.reason.startsWith("iss_")) return;
    log.warn({ ...placeOf(pending), reason: response.reason }, "error of another issuer ignored");
    throw new Answered({ kind: "foreign_answer" });
  }

  async #consumeState({ query, state, actor }: Callback): Promise<PendingAuthorization> {
    const { store, clock, unknownStateAudit } = this.deps;
    const stateHash = hashState(state);
    const pending = store.getAuthorization(stateHash) && (await this.#take(stateHash));
    if (pending) return pending;
    await unknownStateAudit.record("unknown_state", () => ({
      ...{ type: "state_verification_failed", ...by(actor), reason: "unknown_state" },
    }));
    if (state !== "") throw new Answered(failureOf("unknown", state, clock.nowMs()));
    const isDenial = query.get("error") === "access_denied";
    throw new Answered({ kind: isDenial ? "denied_without_state" : "answer_without_state" });
  }

  async #judge(answer: AnsweredCallback, presented: Presented): Promise<Flawless> {
    const { store, judge } = this.deps;
    const { pending } = answer;
    const judged = judge.judge("callback", store, { key: hashState(answer.state), pending }, presented);
    if (typeof judged !== "string") return judged;
    const { page, ...ended } = endings[judged] ?? endOfProfile;
    return await this.#end({ ...answer, ...ended }, page);
  }

  async #findServer(
    answer: AnsweredCallback,
    { nonce }: AuthorizationSecret,
    profile: ProviderProfile,
  ): Promise<AuthorizationServer> {
    const needsKeys = nonce !== undefined || profile.oauth2.responseMode !== "";
    const server = await this.#resolve(profile, needsKeys);
    if (!("kind" in server)) return server;
    const reason = server.kind === "provider_unreachable" ? server.kind : "misconfigured";
    return await this.#end({ ...answer, reason, type: "oauth_error" }, server);
  }

  /** RFC 6749 section 4.1.2, RFC 9207, and JARM. @returns the parameters, with the code */
  async #checkResponse(
    answer: AnsweredCallback,
    profile: ProviderProfile,
    server: AuthorizationServer,
  ): Promise<URLSearchParams> {
    const { pending, query, state, actor } = answer;
    const { log } = this.deps;
    const opened = await this.deps.grants.openResponse({ server, profile, query });
    const response =
      "kind" in opened ? opened : processAuthorizationResponse(server, profile.clientId, opened, state);
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
    { pending, state, actor }: AnsweredCallback,
    { codeVerifier, nonce, dpopKey }: AuthorizationSecret,
    profile: ProviderProfile,
    server: AuthorizationServer,
    params: URLSearchParams,
  ): Promise<CommittedConsent> {
    const { commits, ending, locks, grants, mcp } = this.deps;
    const { redirectUri, connectionId } = pending;
    const requestedAtMs = pending.expiresAtMs - authorizationLifetimeMs;
    const signIn = pending.signIn && { ...pending.signIn, requestedAtMs };
    const request = { server, profile, params, redirectUri, codeVerifier, nonce, dpopKey, signIn };
    try {
      const committed = await locks.run(connectionId, async () => {
        const tokenSet = await grants.exchangeCode(request);
        const metadata = callbackMetadata(params, profile.oauth2.callbackMetadata);
        const key = hashState(state);
        return await commits.commit({ way: "code", key, pending, profile, tokenSet, metadata, actor });
      });
      if (!committed) throw new Answered({ kind: "unknown_request" });
      return committed;
    } catch (error) {
      if (!(error instanceof GrantFailure)) throw error;
      const problem = await refusedExchange(error, profile, redirectUri, mcp);
      const refused = await ending.endExchange({ pending, profile, failure: error, problem, actor });
      // Applications know the words of the audit events.
      const { reason, type } = problem;
      const word = reason === "account_changed" || reason === "authentication_insufficient" ? reason : type;
      throw new Answered(returnRefused(pending, profile, refused, word));
    }
  }

  /** @param outcome what the browser gets instead of the reason */
  async #end(ended: EndedConsent, outcome?: ConsentFailure): Promise<never> {
    const refused = await this.deps.ending.end(ended);
    throw new Answered(outcome ?? refused);
  }

  /** Consumes the state. */
  async #take(stateHash: string): Promise<PendingAuthorization | undefined> {
    const { store, clock } = this.deps;
    return await store.commit((tx) => takeRequest(tx, stateHash, clock.nowMs()));
  }

  async #resolve(
    profile: ProviderProfile,
    needsKeys = false,
  ): Promise<AuthorizationServer | Extract<ConsentFailure, { kind: `provider_${string}` }>> {
    try {
      return await this.deps.servers.resolve(profile, needsKeys);
    } catch (error) {
      if (!(error instanceof Unavailable) && !(error instanceof FailedPrecondition)) throw error;
      const details = { providerId: profile.id, error: error.message };
      this.deps.log.warn(details, "authorization server not resolved");
      const { cause } = error;
      const answers = cause instanceof DiscoveryFailure && cause.reason !== "unreachable";
      const isMisconfigured = error instanceof FailedPrecondition || answers;
      return { kind: isMisconfigured ? "provider_misconfigured" : "provider_unreachable" };
    }
  }

  #find(judgedAs: "link" | "decline", state: string, presented?: Presented): Flawless | ConsentFailure {
    const { store, judge, clock } = this.deps;
    const found = judge.find(judgedAs, store, hashState(state), presented);
    return typeof found === "string" ? failureOf(found, state, clock.nowMs()) : found;
  }
}

/** How a consent ends whose response came to a flawed request. */
interface FlawedEnd extends Pick<EndedConsent, "reason" | "type" | "detail"> {
  /** What the browser gets instead of the reason. */
  readonly page?: ConsentFailure;
}

const endOfProfile: FlawedEnd = {
  reason: "authorization_failed",
  type: "oauth_error",
  page: { kind: "provider_changed" },
};

const endings: Readonly<Partial<Record<Flaw, FlawedEnd>>> = {
  unreadable: { reason: "data_loss", type: "oauth_error" },
  // With a page, and never by the return URL: who sent the answer is not known.
  other_browser: { reason: "state_verification_failed", type: "state_verification_failed" },
  expired: { reason: "consent_expired", type: "oauth_error", page: { kind: "expired" } },
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
