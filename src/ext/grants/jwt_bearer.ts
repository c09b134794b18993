import { randomBytes } from "node:crypto";
import { type JWTPayload, SignJWT } from "jose";
import type { GrantType } from "../../domain/token_endpoint/token_endpoint.js";
import { hasSecretBesideJwt } from "../../model/credentials/credentials.js";
import { plainOAuth2 } from "../../model/providers/providers.js";
import {
  type ClientRequest,
  clientAuthentication,
  hasIssuer,
  keySourceOf,
  type MintedToken,
  mint,
  type OAuthClient,
  sendGrantRequest,
  signingKeyOf,
  type TokenAnswer,
} from "../../oauth/oauth.js";

/** Service accounts: a JWT that the client signs, or that stands in a file, is the grant. */
export const jwtBearerType: GrantType = {
  violations: (settings, violation) => {
    const { tokenEndpointAuthMethod: method, clientKeySource, clientAssertionSource } = settings;
    const hasOtherJwt = clientKeySource !== "" || clientAssertionSource !== "";
    const takesSecret = hasOtherJwt && hasSecretBesideJwt(settings);
    if (!["none", "private_key_jwt"].includes(method) && !takesSecret)
      violation(
        "token_endpoint_auth_method",
        "must be none or private_key_jwt with the grant type jwt_bearer, where client_secret holds the key; with client_key_source or client_assertion_source it may be client_secret_post or client_secret_basic",
      );
  },
  open: () => ({
    renew: (common, { scopes, userId }) => {
      const named = common.options?.assertionSubject.replaceAll("{user_id}", () => userId) ?? "";
      return jwtBearer({ ...common, scopes, subject: named === "" ? common.client.clientId : named });
    },
  }),
};

export interface JwtBearerGrant extends ClientRequest {
  readonly scopes: readonly string[];
  /** `sub` (RFC 7523 section 3): whom the token is for. */
  readonly subject: string;
}

export const jwtBearerGrantType = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/** Salesforce takes none that is good for more than 3 minutes, Google one of an hour. */
const lifetimeSeconds = 120;

/**
 * Presents a JWT as the grant (RFC 7523 section 2.1): signed by the client again for each request, or read again from a file.
 *
 * @throws GrantFailure
 */
export async function jwtBearer(grant: JwtBearerGrant): Promise<MintedToken> {
  return await mint(grant, grant.scopes, async () => sendAssertion(grant, await assertionOf(grant)));
}

/** What somebody else made for the daemon is presented as it is. */
async function assertionOf(grant: JwtBearerGrant): Promise<string> {
  const { assertion: given } = grant.client;
  return given === undefined ? await signedAssertion(grant) : (await given.read()).reveal();
}

/** The key of a client with a secret stands in a file. */
function signerOf(client: OAuthClient): OAuthClient {
  const { method } = client;
  return method === "none" || method === "private_key_jwt" ? client : { ...client, clientSecret: undefined };
}

/** RFC 7523 section 3. */
function signedAssertion(grant: JwtBearerGrant): Promise<string> {
  const { scopes, subject, options = plainOAuth2 } = grant;
  const isScoped = options.scopeInAssertion && scopes.length > 0;
  return signedByClient(grant, { sub: subject, ...(isScoped && { scope: scopes.join(" ") }) });
}

/** A JWT of the client for one request to the server. */
export async function signedByClient(
  { server, client, clock, options = plainOAuth2 }: ClientRequest,
  claims: JWTPayload,
): Promise<string> {
  const { key, alg, kid } = await signingKeyOf(keySourceOf(signerOf(client)), options);
  const { metadata, tokenEndpoint } = server;
  const nowSeconds = Math.floor(clock.nowMs() / 1000);
  const whole = {
    iss: client.clientId,
    aud: options.assertionAudience || (hasIssuer(metadata) ? metadata.issuer : tokenEndpoint),
    iat: nowSeconds,
    exp: nowSeconds + lifetimeSeconds,
    jti: randomBytes(32).toString("base64url"),
    ...claims,
  };
  const header = { alg, typ: "JWT", ...(kid === undefined ? {} : { kid }) };
  return await new SignJWT(whole).setProtectedHeader(header).sign(key);
}

function sendAssertion(grant: JwtBearerGrant, assertion: string): Promise<TokenAnswer> {
  const { client, scopes, options = plainOAuth2 } = grant;
  const params = new URLSearchParams(options.tokenParams);
  params.set("assertion", assertion);
  if (scopes.length > 0 && !options.scopeInAssertion) params.set("scope", scopes.join(" "));
  // RFC 7521 section 4.1: the assertion says who the client is, and Google, which wants the scopes there too, knows no `client_id` of it.
  const isGoogles = client.method === "none" && options.scopeInAssertion;
  const authentication = isGoogles ? () => undefined : clientAuthentication(client);
  return sendGrantRequest(grant, jwtBearerGrantType, params, authentication);
}
