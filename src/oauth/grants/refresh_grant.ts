import * as oauth from "oauth4webapi";
import { plainOAuth2 } from "../../model/providers/profile_fields.js";
import type { Secret } from "../../runtime/secret.js";
import { clientMetadata } from "../client_authentication.js";
import { classify } from "../failure.js";
import { IdTokenError, type JudgedIdToken, processIdToken } from "../id_token.js";
import { type ClientRequest, callTokenEndpoint } from "../token_request.js";
import { type Renewed, type TokenAnswer, toTokenSet } from "../token_response.js";

/** No scope is sent unless the profile demands it: the answer then covers what was granted (RFC 6749 section 6). */
export interface RefreshGrant extends ClientRequest {
  readonly refreshToken: Secret;
  /** `sub` of the first id_token; a new one must name the same (OpenID Connect Core 1.0 section 12.2). */
  readonly previousSubject?: string | undefined;
  /** Sent with `scopeOnRefresh`. */
  readonly grantedScopes?: readonly string[];
}

/**
 * Redeems a refresh token (RFC 6749 section 6).
 *
 * @throws GrantFailure
 */
export async function refresh(grant: RefreshGrant): Promise<Renewed> {
  try {
    return await processRefresh(grant, await sendRefresh(grant));
  } catch (violation) {
    throw classify(violation, grant.clock.nowMs());
  }
}

function sendRefresh(grant: RefreshGrant): Promise<TokenAnswer> {
  const { refreshToken, options = plainOAuth2 } = grant;
  const endpoint = options.refreshUrl === "" ? {} : { token_endpoint: options.refreshUrl };
  const additionalParameters = { ...options.refreshParams, ...scopeOf(grant) };
  return callTokenEndpoint(
    grant,
    (server, client, authentication, sent) =>
      oauth.refreshTokenGrantRequest(
        { ...server, ...endpoint },
        client,
        authentication,
        refreshToken.reveal(),
        { ...sent, additionalParameters },
      ),
    true,
  );
}

/** RFC 6749 section 6: not more than was granted. A provider that reported nothing of it is sent nothing. */
function scopeOf({ options, grantedScopes = [] }: RefreshGrant): Record<string, string> {
  if (options?.scopeOnRefresh !== true || grantedScopes.length === 0) return {};
  return { scope: grantedScopes.join(options.scopeSeparator) };
}

async function processRefresh(grant: RefreshGrant, answer: TokenAnswer): Promise<Renewed> {
  const metadata = clientMetadata(grant.client, grant.clock);
  const tokens = await oauth.processRefreshTokenResponse(grant.server.metadata, metadata, answer.response);
  const { accessTokenViolation } = answer;
  const invalidAnswer = accessTokenViolation === undefined ? {} : { accessTokenViolation };
  if (answer.idToken === undefined || grant.server.issuer === undefined) {
    return { tokenSet: toTokenSet(tokens, undefined, answer.metadata), ...invalidAnswer };
  }
  try {
    const judged = await processRefreshedIdToken(grant, answer.idToken);
    return { tokenSet: toTokenSet(tokens, judged, answer.metadata), ...invalidAnswer };
  } catch (error) {
    const idTokenViolation = error instanceof IdTokenError ? error.violation : "malformed";
    return { tokenSet: toTokenSet(tokens, undefined, answer.metadata), ...invalidAnswer, idTokenViolation };
  }
}

/**
 * OpenID Connect Core 1.0 section 12.2. Pure on purpose: between the answer and its durable write there must be no other
 * request, or a dead JWKS endpoint would hold the rotated refresh token in memory. TLS to the token endpoint stands
 * for the signature, as section 3.1.3.7 step 6 allows.
 */
async function processRefreshedIdToken(grant: RefreshGrant, idToken: string): Promise<JudgedIdToken> {
  const { server, client, clock, previousSubject } = grant;
  const judged = await processIdToken({ server, client, clock, nonce: "any" }, idToken);
  if (previousSubject !== undefined && judged.subject !== previousSubject) throw new IdTokenError("sub");
  return judged;
}
