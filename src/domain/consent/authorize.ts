import { at, browser, type Provenance } from "../../model/access/principal.js";
import type { PendingAuthorization } from "../../model/connections/authorization.js";
import { askedScopes } from "../../model/connections/step_up.js";
import { FailedPrecondition, Unavailable } from "../../model/errors.js";
import type { ProviderProfile } from "../../model/providers/provider_profile.js";
import type { AuthorizationServer } from "../../oauth/authorization_server.js";
import { DiscoveryFailure } from "../../oauth/discovery.js";
import { takeRequest } from "../connections/state/connection_change.js";
import { hashState } from "../credentials/credential_vault.js";
import type { VaultParts } from "../credentials/parts.js";
import type { McpLookup } from "../providers/mcp_lookup.js";
import type { IssuerMetadata } from "../token_endpoint/issuer_metadata.js";
import { type PushedLocation, PushedRequests } from "../token_endpoint/pushed_requests.js";
import type { TokenEndpointClient } from "../token_endpoint/token_endpoint_client.js";
import type { ConsentEnding } from "./consent_ending.js";
import {
  asking,
  type BrowserBinding,
  type ConsentFailure,
  type FinishOutcome,
  failureOf,
  namedProvider,
  refusedPush,
  returnRefused,
  type StartOutcome,
} from "./consent_outcomes.js";
import { bindingName, type ConsentJudge, type Flawless, formTokenOf, type Presented } from "./ways.js";

export interface AuthorizeDeps extends VaultParts {
  readonly judge: ConsentJudge;
  readonly servers: Pick<IssuerMetadata, "resolve">;
  readonly grants: Pick<TokenEndpointClient, "pushAuthorization">;
  readonly ending: ConsentEnding;
  readonly mcp?: McpLookup | undefined;
}

/** A step has answered the browser: the others are not taken. */
export class Answered extends Error {
  constructor(readonly outcome: Exclude<FinishOutcome, { kind: "form" }>) {
    super(outcome.kind);
  }
}

/** What the steps answer, or the one that ends them. */
export async function untilAnswered<Outcome>(
  steps: () => Promise<Outcome>,
): Promise<Outcome | FinishOutcome> {
  try {
    return await steps();
  } catch (error) {
    if (error instanceof Answered) return error.outcome;
    throw error;
  }
}

/** From the link to the provider, or to the user's no on the page before it. Nothing is used up but by that. */
export class Authorize {
  readonly #pushes: PushedRequests;

  constructor(private readonly options: AuthorizeDeps) {
    this.#pushes = new PushedRequests(options);
  }

  async start(
    state: string,
    agreed: (binding: BrowserBinding) => boolean = () => false,
  ): Promise<StartOutcome> {
    const steps = async (): Promise<StartOutcome> => {
      const { key, pending, profile, secret } = this.#find("link", state);
      const { browserBinding: value } = secret;
      const maxAgeSeconds = Math.ceil((pending.expiresAtMs - this.options.clock.nowMs()) / 1000);
      const binding = { name: bindingName(key), value, maxAgeSeconds };
      if (profile.authType !== "oauth2") return { kind: "capture", binding };
      const server = await this.resolve(profile);
      if ("kind" in server) return this.options.ending.unstarted(profile.id, server);
      if (server.authorizationEndpoint === "")
        return this.options.ending.unstarted(profile.id, { kind: "provider_misconfigured" });
      const connection = this.options.store.getConnection(pending.connectionId);
      if (pending.isStepUp && connection && !agreed(binding)) {
        const asked = { ...askedScopes(connection, pending.scopes), ...asking(pending, profile, connection) };
        return { kind: "step_up", binding, stepUp: { ...asked, formToken: formTokenOf(value, key) } };
      }
      const pushed = await this.#pushes.locate(key, { server, profile, pending, state, secret });
      if (pushed.kind === "push_refused") return await this.#refused(state, pushed, binding);
      if (pushed.kind !== "location") return this.options.ending.unstarted(profile.id, pushed);
      return { kind: "redirect", location: pushed.location, binding };
    };
    return (await untilAnswered(steps)) as StartOutcome;
  }

  /** The request is over as by an error that comes to the redirect URI, which a provider that refuses a pushed request does not send. */
  async #refused(
    state: string,
    { failure, profile }: Extract<PushedLocation, { kind: "push_refused" }>,
    binding: BrowserBinding,
  ): Promise<StartOutcome> {
    const pending = await this.take(hashState(state));
    if (!pending) return failureOf("unknown", state, this.options.clock.nowMs());
    const problem = await refusedPush(failure, profile, pending.redirectUri, this.options.mcp);
    const word = failure.oauthError ?? problem.reason;
    const ended = { pending, ...problem, word, type: "oauth_error", actor: browser } as const;
    const returned = returnRefused(pending, profile, await this.options.ending.end(ended));
    if (returned.kind === "return") return { kind: "redirect", location: returned.location, binding };
    return returned as ConsentFailure;
  }

  async decline(
    state: string,
    formToken: string,
    cookie: (name: string) => string | undefined,
    from: Provenance | undefined,
  ): Promise<FinishOutcome> {
    return await untilAnswered(async () => {
      const { key, profile } = this.#find("decline", state, { cookie, formToken });
      const pending = await this.take(key);
      if (!pending) return failureOf("unknown", state, this.options.clock.nowMs());
      const actor = at(browser, from?.origin, from?.via);
      const ended = { pending, reason: "access_denied", type: "oauth_error", actor } as const;
      const returned = returnRefused(pending, profile, await this.options.ending.end(ended));
      return returned.kind === "return" ? returned : { kind: "declined", ...namedProvider(profile) };
    });
  }

  /** Consumes the state. */
  protected async take(stateHash: string): Promise<PendingAuthorization | undefined> {
    const { store, clock } = this.options;
    return await store.commit((tx) => takeRequest(tx, stateHash, clock.nowMs()));
  }

  protected async resolve(
    profile: ProviderProfile,
    needsKeys = false,
  ): Promise<AuthorizationServer | Extract<ConsentFailure, { kind: `provider_${string}` }>> {
    try {
      return await this.options.servers.resolve(profile, needsKeys);
    } catch (error) {
      if (!(error instanceof Unavailable) && !(error instanceof FailedPrecondition)) throw error;
      const details = { providerId: profile.id, error: error.message };
      this.options.log.warn(details, "authorization server not resolved");
      const { cause } = error;
      const answers = cause instanceof DiscoveryFailure && cause.reason !== "unreachable";
      const isMisconfigured = error instanceof FailedPrecondition || answers;
      return { kind: isMisconfigured ? "provider_misconfigured" : "provider_unreachable" };
    }
  }

  #find(judgedAs: "link" | "decline", state: string, presented?: Presented): Flawless {
    const { store, judge, clock } = this.options;
    const found = judge.find(judgedAs, store, hashState(state), presented);
    if (typeof found !== "string") return found;
    throw new Answered(failureOf(found, state, clock.nowMs()));
  }
}
