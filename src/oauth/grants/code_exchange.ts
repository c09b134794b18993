import * as oauth from "oauth4webapi";
import type { TokenSet } from "../../model/credentials/credential.js";
import { plainOAuth2 } from "../../model/providers/profile_fields.js";
import type { OAuth2Options } from "../../model/providers/profile_settings.js";
import type { OutboundFetch } from "../../outbound/outbound.js";
import type { Clock } from "../../runtime/clock.js";
import type { AuthorizationServer } from "../authorization_server.js";
import { clientAuthentication, clientMetadata, type OAuthClient } from "../client_authentication.js";
import type { DpopBinding } from "../dpop/dpop_requests.js";
import {
  classify,
  GrantFailure,
  type GrantFailureFields,
  type IdTokenRejected,
  UnusableGrant,
} from "../failure.js";
import { claimsOf, IdTokenError, processIdToken, verifySignature } from "../id_token.js";
import { sendTokenRequest, type TokenAnswer, toTokenSet } from "../token_response.js";
import { dpopRequests } from "./renewal.js";

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
  /** The key of the connection; undefined where none is proved. */
  readonly dpop?: DpopBinding | undefined;
}

/**
 * RFC 6749 section 4.1.3 with PKCE, and with `openid` OpenID Connect Core 1.0 section 3.1.3.7 whole, signature included.
 *
 * @throws GrantFailure, of which an UnusableGrant holds the tokens that were granted
 */
export async function exchangeCode(exchange: CodeExchange): Promise<TokenSet> {
  try {
    if (exchange.requireIdToken && exchange.server.issuer === undefined)
      throw new GrantFailure(idTokenRejected("iss"));
    return await processCodeExchange(exchange, await sendCodeExchange(exchange));
  } catch (violation) {
    throw classify(violation, exchange.clock.nowMs());
  }
}

function sendCodeExchange(exchange: CodeExchange): Promise<TokenAnswer> {
  const { server, client, clock, params, redirectUri, codeVerifier, signal } = exchange;
  const options = exchange.options ?? plainOAuth2;
  const shape = { quirks: options, nowMs: clock.nowMs(), isRefresh: false, dpop: dpopRequests(exchange) };
  return sendTokenRequest(exchange.fetch, shape, (fetch, proof) =>
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
        ...proof,
      },
    ),
  );
}

async function processCodeExchange(exchange: CodeExchange, answer: TokenAnswer): Promise<TokenSet> {
  const { server, client, clock } = exchange;
  const metadata = clientMetadata(client, clock);
  const tokens = await oauth.processAuthorizationCodeResponse(server.metadata, metadata, answer.response);
  return await grantedTokens(exchange, tokens, answer);
}

/**
 * What a person granted, when the library has accepted the answer: its id_token is verified whole, where one was asked for.
 *
 * @throws UnusableGrant
 */
export async function grantedTokens(
  exchange: Pick<CodeExchange, "server" | "client" | "clock" | "fetch" | "requireIdToken" | "expectedNonce">,
  tokens: oauth.TokenEndpointResponse,
  answer: TokenAnswer,
): Promise<TokenSet> {
  const { server, client, clock, expectedNonce, fetch } = exchange;
  const tokenSet = toTokenSet(tokens, undefined, answer.metadata);
  const unusable = (fields: GrantFailureFields): UnusableGrant =>
    new UnusableGrant(fields, tokenSet, subjectOf(answer.idToken));
  const { accessTokenViolation: detail } = answer;
  if (detail !== undefined) throw unusable({ kind: "rejected", reason: "malformed_response", detail });
  if (!exchange.requireIdToken) return tokenSet;
  if (answer.idToken === undefined) throw unusable(idTokenRejected("missing"));
  try {
    const nonce = expectedNonce === undefined ? undefined : { exact: expectedNonce };
    const judged = await processIdToken({ server, client, clock, nonce }, answer.idToken);
    await verifySignature(server, judged, fetch, clock);
    return toTokenSet(tokens, judged, answer.metadata);
  } catch (violation) {
    throw unusable(
      violation instanceof IdTokenError
        ? { ...idTokenRejected(violation.violation, violation.detail), clock: violation.clock }
        : idTokenRejected("malformed"),
    );
  }
}

function idTokenRejected(idTokenViolation: IdTokenRejected, detail?: string): GrantFailureFields {
  return { kind: "rejected", reason: "id_token_verification_failed", idTokenViolation, detail };
}

/** What an id_token that is not verified says of the account. */
function subjectOf(idToken: string | undefined): string | undefined {
  const sub = idToken === undefined ? undefined : claimsOf(idToken)["sub"];
  return typeof sub === "string" ? sub : undefined;
}
