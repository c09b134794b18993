import { hasPrivateKey } from "../../model/clients/client_proof.js";
import type { PendingAuthorization } from "../../model/connections/authorization.js";
import type { ProviderProfile } from "../../model/providers/provider_profile.js";
import { authorizationUrl } from "../../oauth/authorization_request.js";
import type { AuthorizationServer } from "../../oauth/authorization_server.js";
import { dpopThumbprint } from "../../oauth/dpop/dpop_key.js";
import { GrantFailure } from "../../oauth/failure.js";
import type { Log } from "../../runtime/log.js";
import type { AuthorizationSecret } from "../../store/records/secret_codec.js";
import type { Store } from "../../store/store.js";
import { refusalWords } from "./refused_client.js";
import type { TokenEndpointClient } from "./token_endpoint_client.js";

export interface PushedRequestsDeps {
  readonly store: Store;
  /** Registers a client again that its server has lost. */
  readonly mcp?:
    | { followed(profile: ProviderProfile, occasion: "browser_sent"): Promise<ProviderProfile> }
    | undefined;
  readonly grants: Pick<TokenEndpointClient, "pushAuthorization" | "signAuthorization">;
  readonly log: Log;
}

/** What an authorization request is made of. */
export interface LocatedRequest {
  readonly server: AuthorizationServer;
  readonly profile: ProviderProfile;
  readonly pending: PendingAuthorization;
  readonly state: string;
  readonly secret: AuthorizationSecret;
}

/** Where the browser goes, or why it goes nowhere. */
export type PushedLocation =
  | { readonly kind: "location"; readonly location: string }
  /** The provider refuses this request, of this profile: the same one is not taken a minute later. */
  | { readonly kind: "push_refused"; readonly failure: GrantFailure; readonly profile: ProviderProfile }
  | { readonly kind: "provider_unreachable" | "provider_misconfigured" };

/** Signs authorization requests (RFC 9101) and pushes them (RFC 9126), where the server demands it or the profile asks for it. */
export class PushedRequests {
  constructor(private readonly deps: PushedRequestsDeps) {}

  /**
   * The authorization request of a consent, signed and pushed where that is due. Each call makes another: what was pushed lives for a minute or so.
   * It goes on with another client where the server has lost the one that the daemon registered.
   */
  async locate(stateHash: string, request: LocatedRequest): Promise<PushedLocation> {
    const { server, pending, state, secret } = request;
    // An API that misses scopes took a token of this client a moment ago: the server has not lost it.
    const visited = pending.isStepUp ? undefined : this.deps.mcp?.followed(request.profile, "browser_sent");
    const profile = (await visited) ?? request.profile;
    if (profile.version !== request.profile.version) await this.#follow(stateHash, request.profile, profile);
    const url = authorizationUrl({
      server,
      clientId: profile.clientId,
      ...{ redirectUri: pending.redirectUri, scopes: pending.scopes, signIn: pending.signIn },
      state,
      codeVerifier: secret.codeVerifier,
      nonce: secret.nonce,
      dpopJkt: secret.dpopKey && (await dpopThumbprint(secret.dpopKey)),
      extraParams: profile.authorizationParams,
      options: profile.oauth2,
    });
    return await this.#sent(url, server, profile);
  }

  async #follow(stateHash: string, before: ProviderProfile, after: ProviderProfile): Promise<void> {
    await this.deps.store.commit((tx) => {
      const pending = tx.getAuthorization(stateHash);
      if (pending?.providerVersion !== before.version) return;
      tx.putAuthorization(stateHash, { ...pending, providerVersion: after.version });
    });
  }

  /** @param location as `authorizationUrl` answers it */
  async #sent(
    location: string,
    server: AuthorizationServer,
    profile: ProviderProfile,
  ): Promise<PushedLocation> {
    const { signAuthorizationRequests, pushAuthorizationRequests, pushedAuthorizationRequestUrl } =
      profile.oauth2;
    const { grants, log } = this.deps;
    const isSigned = server.requiresSignedRequests || signAuthorizationRequests;
    const isPushed = server.requiresPushedRequests || pushAuthorizationRequests;
    const endpoint = pushedAuthorizationRequestUrl || server.pushedRequestEndpoint;
    const context = { providerId: profile.id };
    const lacks =
      isSigned && !hasPrivateKey(profile)
        ? "the provider takes signed authorization requests only, and the client has no key: set token_endpoint_auth_method to private_key_jwt"
        : isPushed &&
          endpoint === undefined &&
          "the provider names no endpoint for pushed authorization requests";
    if (lacks) {
      log.warn(context, lacks);
      return { kind: "provider_misconfigured" };
    }
    try {
      const signed = isSigned ? await grants.signAuthorization({ server, profile, location }) : location;
      const pushed = isPushed && endpoint !== undefined;
      return {
        kind: "location",
        location: pushed
          ? await grants.pushAuthorization({ server, profile, endpoint, location: signed })
          : signed,
      };
    } catch (error) {
      if (!(error instanceof GrantFailure)) throw error;
      const details = { failure: error.message, description: refusalWords(error) };
      log.warn({ ...context, ...details }, "authorization request not sent");
      if (isRefused(error)) return { kind: "push_refused", failure: error, profile };
      const isPassing = error.kind === "transient" || error.kind === "ambiguous";
      return { kind: isPassing ? "provider_unreachable" : "provider_misconfigured" };
    }
  }
}

/** Whether the server judged the request (RFC 9126 section 2.3). Its words are those of the authorization endpoint, too: any of them counts. */
function isRefused({ kind, httpStatus, isRefusal }: GrantFailure): boolean {
  return httpStatus !== undefined && (kind === "client" || kind === "invalid_grant" || isRefusal);
}
