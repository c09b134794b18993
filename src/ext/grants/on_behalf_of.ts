import { plainOAuth2 } from "../../model/providers/profile_fields.js";
import { type MintedToken, mint, sendGrantRequest } from "../../oauth/grants/minted_token.js";
import type { Renewal } from "../../oauth/grants/renewal.js";
import type { Secret } from "../../runtime/secret.js";
import { jwtBearerGrantType } from "./jwt_bearer.js";

export interface OnBehalfOfGrant extends Renewal {
  /** The access token that the client was called with. */
  readonly subjectToken: Secret;
  /** They name the API; at least one. */
  readonly scopes: readonly string[];
}

/**
 * Asks Microsoft Entra for a token on behalf of whom an access token is for: a JWT bearer grant (RFC 7523 section 2.1) with the token as
 * the assertion, and a parameter of Entra's own.
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
