import * as oauth from "oauth4webapi";
import { type RequestedSignIn, signInFlaw } from "../../model/connections/sign_in.js";
import type { TokenSet } from "../../model/credentials/credential.js";
import { plainOAuth2 } from "../../model/providers/profile_fields.js";
import { clientMetadata } from "../client_authentication.js";
import {
  classify,
  GrantFailure,
  type GrantFailureFields,
  type IdTokenRejected,
  UnusableGrant,
} from "../failure.js";
import { IdTokenError, processIdToken, verifySignature } from "../id_token.js";
import { claimsOf } from "../jwt.js";
import { type ClientRequest, callTokenEndpoint } from "../token_request.js";
import { type TokenAnswer, toTokenSet } from "../token_response.js";

export interface CodeExchange extends ClientRequest {
  /** From `processAuthorizationResponse`. */
  readonly params: URLSearchParams;
  readonly redirectUri: string;
  readonly codeVerifier: string;
  readonly expectedNonce?: string | undefined;
  /** Whether `openid` was requested. Without it an id_token that comes anyway is dropped unread. */
  readonly requireIdToken: boolean;
  /** Checked by the id_token, where one is required. */
  readonly signIn?: RequestedSignIn | undefined;
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

/**
 * As `exchangeCode` with `openid`, for who wants to know a person and needs no tokens: they are dropped.
 *
 * @returns the claims of the verified id_token
 * @throws GrantFailure
 */
export async function exchangeForClaims(
  exchange: Omit<CodeExchange, "requireIdToken">,
): Promise<Readonly<Record<string, unknown>>> {
  const wanted = { ...exchange, requireIdToken: true };
  try {
    const answer = await sendCodeExchange(wanted);
    await processCodeExchange(wanted, answer);
    return claimsOf(answer.idToken ?? "") ?? {};
  } catch (violation) {
    throw classify(violation, exchange.clock.nowMs());
  }
}

function sendCodeExchange(exchange: CodeExchange): Promise<TokenAnswer> {
  const { params, redirectUri, codeVerifier, options = plainOAuth2 } = exchange;
  const verifier = options.omitPkce ? oauth.nopkce : codeVerifier;
  return callTokenEndpoint(exchange, (server, client, authentication, sent) =>
    oauth.authorizationCodeGrantRequest(server, client, authentication, params, redirectUri, verifier, {
      ...sent,
      additionalParameters: options.tokenParams,
    }),
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
  exchange: Pick<
    CodeExchange,
    "server" | "client" | "clock" | "fetch" | "requireIdToken" | "expectedNonce" | "signIn"
  >,
  tokens: oauth.TokenEndpointResponse,
  answer: TokenAnswer,
): Promise<TokenSet> {
  const { server, client, clock, expectedNonce, fetch, signIn } = exchange;
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
    const flaw = signIn && signInFlaw(signIn, claimsOf(judged.idToken) ?? {}, clock.nowMs());
    if (flaw) throw unusable({ kind: "rejected", reason: "authentication_insufficient", detail: flaw });
    return toTokenSet(tokens, judged, answer.metadata);
  } catch (violation) {
    if (violation instanceof UnusableGrant) throw violation;
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
  const sub = idToken === undefined ? undefined : claimsOf(idToken)?.["sub"];
  return typeof sub === "string" ? sub : undefined;
}
