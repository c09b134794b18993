import { randomBytes } from "node:crypto";
import { SignJWT } from "jose";
import * as oauth from "oauth4webapi";
import { plainOAuth2 } from "../../model/providers/profile_fields.js";
import { hasIssuer } from "../authorization_server.js";
import { signingKeyOf } from "../client_assertion.js";
import { clientAuthentication, clientMetadata } from "../client_authentication.js";
import { GrantFailure } from "../failure.js";
import { sendTokenRequest, type TokenAnswer } from "../token_response.js";
import { type MintedToken, mint } from "./minted_token.js";
import { dpopRequests, type Renewal } from "./renewal.js";

export interface JwtBearerGrant extends Renewal {
  readonly scopes: readonly string[];
  /** `sub` (RFC 7523 section 3): whom the token is for. */
  readonly subject: string;
}

const grantType = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/** Salesforce takes none that is good for more than 3 minutes, Google one of an hour. */
const lifetimeSeconds = 120;

/**
 * Presents a JWT of the client as the grant (RFC 7523 section 2.1), signed anew for each request.
 *
 * @throws GrantFailure
 */
export async function jwtBearer(grant: JwtBearerGrant): Promise<MintedToken> {
  return await mint(grant, grant.scopes, async () => sendAssertion(grant, await assertionOf(grant)));
}

/** RFC 7523 section 3. */
async function assertionOf({
  server,
  client,
  clock,
  scopes,
  subject,
  options,
}: JwtBearerGrant): Promise<string> {
  const { assertionAudience, scopeInAssertion, ...signing } = options ?? plainOAuth2;
  if (client.clientSecret === undefined)
    throw new GrantFailure({ kind: "client", oauthError: "invalid_client" });
  const { key, alg, kid } = await signingKeyOf(client.clientSecret, signing);
  const { metadata, tokenEndpoint } = server;
  const nowSeconds = Math.floor(clock.nowMs() / 1000);
  const claims = {
    iss: client.clientId,
    sub: subject,
    aud: assertionAudience || (hasIssuer(metadata) ? metadata.issuer : tokenEndpoint),
    iat: nowSeconds,
    exp: nowSeconds + lifetimeSeconds,
    jti: randomBytes(32).toString("base64url"),
    ...(scopeInAssertion && scopes.length > 0 ? { scope: scopes.join(" ") } : {}),
  };
  const header = { alg, typ: "JWT", ...(kid === undefined ? {} : { kid }) };
  return await new SignJWT(claims).setProtectedHeader(header).sign(key);
}

function sendAssertion(grant: JwtBearerGrant, assertion: string): Promise<TokenAnswer> {
  const { server, client, clock, scopes, signal } = grant;
  const options = grant.options ?? plainOAuth2;
  const params = new URLSearchParams(options.tokenParams);
  params.set("assertion", assertion);
  if (scopes.length > 0 && !options.scopeInAssertion) params.set("scope", scopes.join(" "));
  const shape = { quirks: options, nowMs: clock.nowMs(), isRefresh: false, dpop: dpopRequests(grant) };
  // RFC 7521 section 4.1: the assertion says who the client is, and Google knows no `client_id` of it.
  const authentication = client.method === "none" ? () => undefined : clientAuthentication(client);
  return sendTokenRequest(grant.fetch, shape, (fetch, proof) =>
    oauth.genericTokenEndpointRequest(
      server.metadata,
      clientMetadata(client, clock),
      authentication,
      grantType,
      params,
      {
        [oauth.allowInsecureRequests]: true,
        [oauth.customFetch]: fetch,
        ...(signal === undefined ? {} : { signal }),
        ...proof,
      },
    ),
  );
}
