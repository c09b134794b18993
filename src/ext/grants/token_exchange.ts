import type { TokenTarget } from "../../domain/tokens/downscoping.js";
import { plainOAuth2 } from "../../model/providers/profile_fields.js";
import type { OAuth2Options } from "../../model/providers/profile_settings.js";
import { type MintedToken, mint, sendGrantRequest } from "../../oauth/grants/minted_token.js";
import type { Renewal } from "../../oauth/grants/renewal.js";
import { noAccessToken, type TokenAnswer } from "../../oauth/token_response.js";
import type { Secret } from "../../runtime/secret.js";

const grantType = "urn:ietf:params:oauth:grant-type:token-exchange";

/** RFC 8693 section 3. */
export const tokenTypes = {
  accessToken: "urn:ietf:params:oauth:token-type:access_token",
  idToken: "urn:ietf:params:oauth:token-type:id_token",
} as const;

export interface TokenExchangeGrant extends Renewal, TokenTarget {
  /** The access token that the other one is made of. */
  readonly subjectToken: Secret;
}

/**
 * Exchanges an access token for another one (RFC 8693 section 2). Nothing is used up by it.
 *
 * @throws GrantFailure, also when the answer does not say that it is an access token (section 2.2.1)
 */
export async function exchangeToken(grant: TokenExchangeGrant): Promise<MintedToken> {
  const subject = { token: grant.subjectToken, type: tokenTypes.accessToken };
  return await mint(grant, grant.scopes, async () => {
    const answer = await sendTokenExchange(grant, subject, tokenTypes.accessToken);
    const isOther = answer.issuedTokenType !== tokenTypes.accessToken;
    const { accessTokenViolation = isOther ? noAccessToken : undefined } = answer;
    return { ...answer, accessTokenViolation };
  });
}

/** One request of RFC 8693 section 2.1, whatever is exchanged for whatever. */
export function sendTokenExchange(
  grant: Renewal & TokenTarget,
  subject: { readonly token: Secret; readonly type: string },
  requestedTokenType: string,
): Promise<TokenAnswer> {
  const { audience, scopes } = grant;
  const params = new URLSearchParams({
    subject_token: subject.token.reveal(),
    subject_token_type: subject.type,
    requested_token_type: requestedTokenType,
  });
  if (audience !== "") params.set("audience", audience);
  if (scopes.length > 0) params.set("scope", scopes.join(" "));
  return sendGrantRequest({ ...grant, options: targeted(grant) }, grantType, params);
}

/** The `resource` of the request takes the place of the profile's, which says nothing of another audience. */
function targeted({ options = plainOAuth2, resource, audience }: Renewal & TokenTarget): OAuth2Options {
  if (resource !== "") return { ...options, resource, resourceParameter: "always" };
  return audience === "" ? options : { ...options, resourceParameter: "never" };
}
