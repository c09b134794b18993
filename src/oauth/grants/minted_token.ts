import * as oauth from "oauth4webapi";
import type { TokenSet } from "../../model/credentials/credential.js";
import { plainOAuth2 } from "../../model/providers/profile_fields.js";
import { clientMetadata } from "../client_authentication.js";
import { classify, GrantFailure } from "../failure.js";
import { type ClientRequest, callTokenEndpoint } from "../token_request.js";
import { type Renewed, type TokenAnswer, toTokenSet } from "../token_response.js";

/** An access token alone: what keeps it alive is the next request. */
export type MintedToken = Renewed;

/**
 * Sends a request that brings an access token and nothing that lives on, and judges the answer (RFC 6749 section 5).
 *
 * @param scopes that the request names
 * @throws GrantFailure
 */
export async function mint(
  { server, client, clock }: ClientRequest,
  scopes: readonly string[],
  send: () => Promise<TokenAnswer>,
): Promise<MintedToken> {
  try {
    const answer = await send();
    const metadata = clientMetadata(client, clock);
    const tokens = await oauth.processGenericTokenEndpointResponse(
      server.metadata,
      metadata,
      answer.response,
    );
    const { accessTokenViolation: detail } = answer;
    if (detail !== undefined) {
      throw new GrantFailure({ kind: "rejected", reason: "malformed_response", detail });
    }
    return { tokenSet: accessTokenOf(toTokenSet(tokens, undefined, answer.metadata), scopes) };
  } catch (violation) {
    throw classify(violation, clock.nowMs());
  }
}

function accessTokenOf(tokenSet: TokenSet, requestedScopes: readonly string[]): TokenSet {
  return {
    ...tokenSet,
    refreshToken: undefined,
    refreshExpiresInMs: undefined,
    idToken: undefined,
    requestedScopes,
  };
}

/**
 * Sends a request of a grant that the library has no function for (RFC 6749 section 4.5).
 *
 * @param authentication by default that of the client
 */
export function sendGrantRequest(
  grant: ClientRequest,
  grantType: string,
  params: URLSearchParams,
  authentication?: oauth.ClientAuth,
): Promise<TokenAnswer> {
  return callTokenEndpoint(grant, (server, client, own, options) =>
    oauth.genericTokenEndpointRequest(server, client, authentication ?? own, grantType, params, options),
  );
}

export interface ClientCredentialsGrant extends ClientRequest {
  /** Named in each request; none means the server's default (RFC 6749 section 4.4.2). */
  readonly scopes: readonly string[];
}

/**
 * Asks for a token on the client's own account (RFC 6749 section 4.4). A refresh token in the answer is dropped (section 4.4.3).
 *
 * @throws GrantFailure
 */
export async function clientCredentials(grant: ClientCredentialsGrant): Promise<MintedToken> {
  const { scopes, options = plainOAuth2 } = grant;
  const params = new URLSearchParams(options.tokenParams);
  if (scopes.length > 0) params.set("scope", scopes.join(" "));
  return await mint(grant, scopes, () => sendGrantRequest(grant, "client_credentials", params));
}
