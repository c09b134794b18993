import type { TokenTarget } from "../../../domain/reading/reading.js";
import {
  type ClientRequest,
  clientAuthentication,
  GrantFailure,
  type MintedToken,
  mint,
  noAccessToken,
  sendGrantRequest,
} from "../../../oauth/oauth.js";
import type { Secret } from "../../../runtime/runtime.js";
import { jwtBearerGrantType } from "../jwt_bearer.js";
import { sendTokenExchange, tokenTypes } from "../token_exchange.js";

/** A request at the identity provider: the client and the options are those of its profile. */
export interface IdJagRequest extends ClientRequest, TokenTarget {
  /** The identity assertion, issued to the same client. */
  readonly idToken: Secret;
}

const idJagType = "urn:ietf:params:oauth:token-type:id-jag";

/**
 * Exchanges an id_token for an assertion for another authorization server (Identity Assertion JWT Authorization Grant, "Token Exchange").
 *
 * @param request its audience is the issuer of that server
 * @returns the assertion, of use at its audience alone, where an access token stands
 * @throws GrantFailure
 */
export async function requestIdJag(request: IdJagRequest): Promise<MintedToken> {
  const subject = { token: request.idToken, type: tokenTypes.idToken };
  return await mint(request, request.scopes, async () => {
    const answer = await sendTokenExchange(request, subject, idJagType);
    // `N_A` is what it must be: an assertion is no access token.
    if (!answer.response.ok || answer.issuedTokenType === idJagType)
      return answer.accessTokenViolation === noAccessToken
        ? { ...answer, accessTokenViolation: undefined }
        : answer;
    throw new GrantFailure({
      kind: "rejected",
      reason: "malformed_response",
      detail: "the issued token is no ID-JAG (RFC 8693 section 2.2.1)",
    });
  });
}

export interface IdJagGrant extends ClientRequest {
  readonly assertion: Secret;
  /** The scopes that were requested with the assertion. */
  readonly scopes: readonly string[];
}

/** Presents an assertion to the authorization server that it is for (RFC 7523 section 2.1). @throws GrantFailure */
export async function presentIdJag(grant: IdJagGrant): Promise<MintedToken> {
  const params = new URLSearchParams(grant.options?.tokenParams);
  params.set("assertion", grant.assertion.reveal());
  // The assertion names the resource and the scopes.
  const request = {
    ...grant,
    ...(grant.options && { options: { ...grant.options, resourceParameter: "never" as const } }),
  };
  const authentication = clientAuthentication(grant.client);
  return await mint(grant, grant.scopes, () =>
    sendGrantRequest(request, jwtBearerGrantType, params, authentication),
  );
}
