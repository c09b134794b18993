import type { TokenTarget } from "../../domain/reading/reading.js";
import type { Identity } from "../../model/access/access.js";
import { type OAuth2Options, plainOAuth2 } from "../../model/providers/providers.js";
import {
  type ClientRequest,
  clientCredentials,
  type MintedToken,
  mint,
  noAccessToken,
  sendGrantRequest,
  type TokenAnswer,
} from "../../oauth/oauth.js";
import { Secret } from "../../runtime/runtime.js";
import { signedByClient } from "./jwt_bearer.js";

const grantType = "urn:ietf:params:oauth:grant-type:token-exchange";

/** RFC 8693 section 3. */
export const tokenTypes = {
  accessToken: "urn:ietf:params:oauth:token-type:access_token",
  idToken: "urn:ietf:params:oauth:token-type:id_token",
  jwt: "urn:ietf:params:oauth:token-type:jwt",
} as const;

/** RFC 8693 section 4.1: who acts now, and within it who acted before. */
export interface Actor {
  readonly sub: string;
  readonly act?: Actor;
}

/** For whom the caller says that it calls, nobody proved: servers decide by the outermost alone. */
export function actorOf({ name, onBehalfOf }: Identity): Actor {
  return { sub: name, ...(onBehalfOf && { act: { sub: onBehalfOf.name } }) };
}

interface TypedToken {
  readonly token: Secret;
  readonly type: string;
}

export interface TokenExchangeGrant extends ClientRequest, TokenTarget {
  /** The access token that the other one is made of. */
  readonly subjectToken: Secret;
  /** For whom it is requested. */
  readonly actor: Actor;
}

/**
 * Exchanges an access token for another one (RFC 8693 section 2). Nothing is used up by it.
 *
 * @throws GrantFailure, also when the answer does not say that it is an access token (section 2.2.1)
 */
export async function exchangeToken(grant: TokenExchangeGrant): Promise<MintedToken> {
  const subject = { token: grant.subjectToken, type: tokenTypes.accessToken };
  return await mint(grant, grant.scopes, async () => {
    const answer = await sendTokenExchange(grant, subject, tokenTypes.accessToken, await actorToken(grant));
    const isOther = answer.issuedTokenType !== tokenTypes.accessToken;
    const { accessTokenViolation = isOther ? noAccessToken : undefined } = answer;
    return { ...answer, accessTokenViolation };
  });
}

/** One request of RFC 8693 section 2.1, whatever is exchanged for whatever. */
export function sendTokenExchange(
  grant: ClientRequest & TokenTarget,
  subject: TypedToken,
  requestedTokenType: string,
  actor?: TypedToken,
): Promise<TokenAnswer> {
  const { audience, scopes } = grant;
  const params = new URLSearchParams({
    subject_token: subject.token.reveal(),
    subject_token_type: subject.type,
    requested_token_type: requestedTokenType,
  });
  if (actor) {
    params.set("actor_token", actor.token.reveal());
    params.set("actor_token_type", actor.type);
  }
  if (audience !== "") params.set("audience", audience);
  if (scopes.length > 0) params.set("scope", scopes.join(" "));
  return sendGrantRequest({ ...grant, options: targeted(grant) }, grantType, params);
}

/** @throws GrantFailure */
async function actorToken(grant: TokenExchangeGrant): Promise<TypedToken | undefined> {
  const { actorToken: source } = grant.options ?? plainOAuth2;
  if (source === "off") return undefined;
  if (source === "signed")
    return { token: new Secret(await signedByClient(grant, { ...grant.actor })), type: tokenTypes.jwt };
  const { tokenSet } = await clientCredentials({ ...grant, scopes: [] });
  return { token: tokenSet.accessToken, type: tokenTypes.accessToken };
}

/** The `resource` of the request takes the place of the profile's, which says nothing of another audience. */
function targeted({ options = plainOAuth2, resource, audience }: ClientRequest & TokenTarget): OAuth2Options {
  if (resource !== "") return { ...options, resource, resourceParameter: "always" };
  return audience === "" ? options : { ...options, resourceParameter: "never" };
}
