import type { DownscopingParts, TokenTarget } from "../../../domain/reading/reading.js";
import { GrantMoved } from "../../../domain/token_endpoint/token_endpoint.js";
import type { Connection } from "../../../model/connections/connections.js";
import { isBound, type TokenSet } from "../../../model/credentials/credentials.js";
import {
  DataLoss,
  FailedPrecondition,
  InvalidArgument,
  type NexusError,
  NotLeader,
  Unavailable,
} from "../../../model/model.js";
import { type ProviderProfile, plainOAuth2 } from "../../../model/providers/providers.js";
import {
  type ClientRequest,
  GrantFailure,
  type MintedToken,
  mint,
  sendGrantRequest,
} from "../../../oauth/oauth.js";
import type { Secret } from "../../../runtime/runtime.js";
import { githubApp } from "../github_app.js";
import { jwtBearerGrantType } from "../jwt_bearer.js";
import { exchangeToken, type TokenExchangeGrant } from "../token_exchange.js";

/** Asks providers for downscoped tokens, within their limits. The grant of the connection is neither sent nor changed. */
export class TokenExchanger {
  constructor(private readonly deps: DownscopingParts) {}

  /**
   * One request.
   *
   * @param connection with its credential as it is now
   * @param key of the request: no two at a time
   * @throws InvalidArgument, FailedPrecondition, Unavailable, DataLoss
   */
  async exchange(
    connection: Connection,
    profile: ProviderProfile,
    target: TokenTarget & Pick<TokenExchangeGrant, "actor">,
    key: string,
  ): Promise<TokenSet> {
    const { servers, grants, engine, member } = this.deps;
    if (member?.leads === false) throw new NotLeader();
    const { subjectToken, boundTo } = this.#subject(connection);
    const server = await servers.resolve(profile);
    const send = requestOf(profile);
    try {
      const { tokenSet } = await engine.admit(profile, key, () =>
        grants.mint({ server, profile, boundTo }, (common) => send({ ...common, ...target, subjectToken })),
      );
      return tokenSet;
    } catch (error) {
      throw judged(error, target);
    }
  }

  /** @throws FailedPrecondition, DataLoss */
  #subject(connection: Connection) {
    const stored = this.deps.store.getCredential(connection.id);
    if (!stored) throw new DataLoss("the credential of an active connection is missing");
    const credential = this.deps.vault.openCredential(connection, stored);
    if (isBound(credential)) {
      const words = "the tokens of the connection are bound to a key (DPoP), and no other is made of them";
      throw new FailedPrecondition("TOKEN_EXCHANGE_OFF", words);
    }
    return { subjectToken: credential.accessToken, boundTo: credential.binding };
  }
}

/** How downscoped tokens of a profile come. The caller has looked whether they do. */
function requestOf({
  grantType,
  oauth2,
}: ProviderProfile): (grant: TokenExchangeGrant) => Promise<MintedToken> {
  if (grantType === "github_app") return githubApp;
  return oauth2.tokenExchange === "on_behalf_of" ? onBehalfOf : exchangeToken;
}

function judged(error: unknown, target: TokenTarget): unknown {
  if (error instanceof GrantFailure) return exchangeError(error, target);
  if (error instanceof GrantMoved) return new FailedPrecondition("PROVIDER_CHANGED", error.message);
  // A client secret that cannot be opened is an error of the profile.
  if (error instanceof DataLoss)
    return new FailedPrecondition("PROVIDER_MISCONFIGURED", error.message, error);
  return error;
}

const retryAfterMs = 1_000;

/** The error of an exchange that failed. Nothing follows for the connection: its grant was not used. */
function exchangeError(failure: GrantFailure, target: TokenTarget): NexusError {
  const { kind, oauthError, message, isRefusal } = failure;
  if (oauthError === "invalid_scope") return refused("scopes", target.scopes.length > 0, failure);
  if (oauthError === "invalid_target") {
    const field = target.audience === "" ? "resource" : "audience";
    return refused(field, target[field] !== "", failure);
  }
  if (failure.isClientRejected || (kind === "client" && failure.httpStatus === undefined))
    return new FailedPrecondition("PROVIDER_MISCONFIGURED", message);
  if (kind === "client" || kind === "invalid_grant" || kind === "rejected" || isRefusal)
    return new FailedPrecondition("TOKEN_EXCHANGE_REFUSED", `no downscoped token was issued: ${message}`);
  return new Unavailable(`no downscoped token was issued: ${message}`, failure.retryAfterMs ?? retryAfterMs);
}

/** By the field that the provider does not take; where the caller named none, the profile's is refused. */
function refused(field: string, isCallers: boolean, { message }: GrantFailure): NexusError {
  if (isCallers)
    return new InvalidArgument([{ field, description: `is refused by the provider: ${message}` }]);
  return new FailedPrecondition("TOKEN_EXCHANGE_REFUSED", `no downscoped token was issued: ${message}`);
}

export interface OnBehalfOfGrant extends ClientRequest {
  /** The access token that the client was called with. */
  readonly subjectToken: Secret;
  /** They name the API; at least one. */
  readonly scopes: readonly string[];
}

/**
 * Asks Microsoft Entra for a token on behalf of the user of an access token. This is a JWT bearer grant (RFC 7523 section 2.1) with the
 * token as the assertion, and a parameter of Entra's own.
 *
 * @throws GrantFailure
 */
export async function onBehalfOf(grant: OnBehalfOfGrant): Promise<MintedToken> {
  const { scopes, subjectToken, options = plainOAuth2 } = grant;
  const params = new URLSearchParams({
    assertion: subjectToken.reveal(),
    requested_token_use: "on_behalf_of",
    scope: scopes.join(" "),
  });
  const request = { ...grant, options: { ...options, resourceParameter: "never" as const } };
  return await mint(grant, scopes, () => sendGrantRequest(request, jwtBearerGrantType, params));
}
