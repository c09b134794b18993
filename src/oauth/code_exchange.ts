import * as oauth from "oauth4webapi";
import type { TokenSet } from "../model/credentials/credential.js";
import { plainOAuth2 } from "../model/providers/profile_fields.js";
import type { OAuth2Options } from "../model/providers/profile_settings.js";
import type { OutboundFetch } from "../outbound/outbound.js";
import type { Clock } from "../runtime/clock.js";
import type { AuthorizationServer } from "./authorization_server.js";
import { clientAuthentication, clientMetadata, type OAuthClient } from "./client_authentication.js";
import { classify, GrantFailure, type IdTokenRejected } from "./failure.js";
import { IdTokenError, processIdToken, verifySignature } from "./id_token.js";
import { sendTokenRequest, type TokenAnswer, toTokenSet } from "./token_response.js";

export interface CodeExchange {
  readonly server: AuthorizationServer;
  readonly client: OAuthClient;
  /** From `processAuthorizationResponse`. */
  readonly params: URLSearchParams;
  readonly redirectUri: string;
  readonly codeVerifier: string;
  readonly expectedNonce?: string | undefined;
  /** Whether `openid` was asked for. Without it an id_token that comes all the same is dropped unread. */
  readonly requireIdToken: boolean;
  /** What the profile declares; by default the RFCs' own. */
  readonly options?: OAuth2Options | undefined;
  readonly clock: Clock;
  readonly fetch: OutboundFetch;
  readonly signal?: AbortSignal | undefined;
}

/**
 * RFC 6749 section 4.1.3 with PKCE, and with `openid` OpenID Connect Core 1.0 section 3.1.3.7 whole, signature included.
 *
 * @throws GrantFailure
 */
export async function exchangeCode(exchange: CodeExchange): Promise<TokenSet> {
  try {
    if (exchange.requireIdToken && exchange.server.issuer === undefined) throw idTokenFailure("iss");
    return await processCodeExchange(exchange, await sendCodeExchange(exchange));
  } catch (violation) {
    throw classify(violation, exchange.clock.nowMs());
  }
}

function sendCodeExchange(exchange: CodeExchange): Promise<TokenAnswer> {
  const { server, client, clock, params, redirectUri, codeVerifier, signal } = exchange;
  const options = exchange.options ?? plainOAuth2;
  const shape = { quirks: options, nowMs: clock.nowMs(), isRefresh: false };
  return sendTokenRequest(exchange.fetch, shape, (fetch) =>
    oauth.authorizationCodeGrantRequest(
      server.metadata,
      clientMetadata(client, clock),
      clientAuthentication(client),
      params,
      redirectUri,
      options.omitPkce ? oauth.nopkce : codeVerifier,
      {
        additionalParameters: options.tokenParams,
        [oauth.allowInsecureRequests]: true,
        [oauth.customFetch]: fetch,
        ...(signal === undefined ? {} : { signal }),
      },
    ),
  );
}

async function processCodeExchange(exchange: CodeExchange, answer: TokenAnswer): Promise<TokenSet> {
  const { server, client, clock, expectedNonce, fetch } = exchange;
  const metadata = clientMetadata(client, clock);
  const tokens = await oauth.processAuthorizationCodeResponse(server.metadata, metadata, answer.response);
  const { accessTokenViolation: detail } = answer;
  if (detail !== undefined) {
    throw new GrantFailure({ kind: "rejected", reason: "malformed_response", detail });
  }
  if (!exchange.requireIdToken) return toTokenSet(tokens, undefined, answer.metadata);
  if (answer.idToken === undefined) throw idTokenFailure("missing");
  try {
    const nonce = expectedNonce === undefined ? undefined : { exact: expectedNonce };
    const judged = await processIdToken({ server, client, clock, nonce }, answer.idToken);
    await verifySignature(server, judged, fetch, clock);
    return toTokenSet(tokens, judged, answer.metadata);
  } catch (violation) {
    throw violation instanceof IdTokenError
      ? idTokenFailure(violation.violation, violation.detail)
      : idTokenFailure("malformed");
  }
}

function idTokenFailure(idTokenViolation: IdTokenRejected, detail?: string): GrantFailure {
  const reason = "id_token_verification_failed";
  return new GrantFailure({ kind: "rejected", reason, idTokenViolation, detail });
}
