import * as oauth from "oauth4webapi";
import { type Account, accountOf, accountSource, standardClaims } from "../model/credentials/account.js";
import { issuerOfTenant } from "../model/credentials/tenant_issuer.js";
import { formatDuration } from "../model/quantity_text.js";
import { jsonResponse } from "../outbound/json_response.js";
import type { OutboundFetch } from "../outbound/outbound_fetch.js";
import { type Clock, SystemClock } from "../runtime/clock.js";
import type { AuthorizationServer } from "./authorization_server.js";
import { clientMetadata, type OAuthClient } from "./client_authentication.js";
import type { IdTokenRejected } from "./failure.js";
import { holdsKey, type Jwks, JwksUnavailable } from "./jwks.js";
import { claimsOf, keyIdOf } from "./jwt.js";

/** An id_token that must not be relied on. Has no `cause`: the library's errors hold the claims. */
export class IdTokenError extends Error {
  /** @param detail what more a log should say, in words of ours */
  constructor(
    readonly violation: IdTokenRejected,
    readonly detail?: string,
    /** How its times differ from the clock, if it is they that are wrong. */
    readonly clock?: string,
  ) {
    super(`the id_token failed verification (${violation})`);
    this.name = "IdTokenError";
  }
}

export interface IdTokenExpectation {
  readonly server: AuthorizationServer;
  readonly client: OAuthClient;
  readonly clock: Clock;
  /** `exact`: this one. `any`: not looked at, as at a refresh. Undefined: there must be none. */
  readonly nonce: { readonly exact: string } | "any" | undefined;
}

/** An id_token whose claims were checked. Its signature may not have been: see `verifySignature`. */
export interface JudgedIdToken {
  readonly idToken: string;
  readonly subject: string;
  readonly account: Account | undefined;
  /** For `oauth4webapi`, which knows the token again by this object. */
  readonly response: Response;
}

/**
 * OpenID Connect Core 1.0 section 3.1.3.7 without its signature: the library checks `alg`, `iss` (identical strings),
 * `aud`, `exp`, `iat`, `nbf`, `nonce`. Ours beyond it: an `azp` that is present must be this client whatever `aud` says
 * (step 5), and `sub` must have 1 to 255 characters.
 *
 * @throws IdTokenError
 */
export async function processIdToken(
  expectation: IdTokenExpectation,
  idToken: string,
): Promise<JudgedIdToken> {
  const { server, client, clock, nonce } = expectation;
  if (server.issuer === undefined) throw new IdTokenError("iss");
  const issuer = tokenIssuer(server, idToken);
  if (issuer === undefined) throw new IdTokenError("iss");
  // The library judges id_tokens only inside a token response.
  const response = jsonResponse({ access_token: "-", token_type: "Bearer", id_token: idToken });
  const metadata = clientMetadata(client, clock);
  const issuing = { ...server.metadata, issuer };
  try {
    const result =
      nonce === "any"
        ? await oauth.processRefreshTokenResponse(issuing, metadata, response)
        : await oauth.processAuthorizationCodeResponse(issuing, metadata, response, {
            requireIdToken: true,
            expectedNonce: nonce?.exact ?? oauth.expectNoNonce,
          });
    const claims = oauth.getValidatedIdTokenClaims(result);
    if (claims === undefined) throw new IdTokenError("malformed");
    // OpenID Connect Core 1.0 section 2.
    if (claims.sub === "" || claims.sub.length > 255) throw new IdTokenError("sub");
    if (claims.azp !== undefined && claims.azp !== client.clientId) throw new IdTokenError("azp");
    const source = accountSource("id_token", server.issuer, client.clientId);
    const account = accountOf((field) => claims[standardClaims[field]], source);
    return { idToken, subject: claims.sub, account, response };
  } catch (violation) {
    if (violation instanceof IdTokenError) throw violation;
    const which = claimViolation(violation);
    throw new IdTokenError(which, undefined, clockWords(which, claimsOf(idToken) ?? {}, clock.nowMs()));
  }
}

/**
 * The signature of a judged id_token by the provider's JWKS (OpenID Connect Core 1.0 section 10.1). A signature that the cached set does
 * not verify may be of a rotated key. So the set is fetched again, once for each `kid` and as often as `KeySet.renew` allows.
 *
 * @throws IdTokenError
 */
export async function verifySignature(
  server: AuthorizationServer,
  judged: JudgedIdToken,
  fetch: OutboundFetch,
  clock: Clock,
): Promise<void> {
  const { keys } = server;
  if (keys === undefined) throw new IdTokenError("jwks_unavailable");
  try {
    const cached = await keys.get(fetch, clock);
    const violation = await signatureViolation(server, judged, cached);
    if (violation === undefined) return;
    const renewed = await keys.renew(cached, keyIdOf(judged.idToken), fetch, clock);
    const again = renewed === undefined ? violation : await signatureViolation(server, judged, renewed);
    if (again !== undefined) throw new IdTokenError(again, signatureDetail(again, renewed !== undefined));
  } catch (violation) {
    if (violation instanceof JwksUnavailable) throw new IdTokenError("jwks_unavailable", violation.message);
    throw violation;
  }
}

/** What is wrong with a signature by these keys. The library gets them as if it had just fetched them, and fetches none. */
async function signatureViolation(
  server: AuthorizationServer,
  judged: JudgedIdToken,
  jwks: Jwks,
): Promise<IdTokenRejected | undefined> {
  if (!isKeyOfTenant(server, judged.idToken, jwks)) return "signature";
  const uat = Math.floor(new SystemClock().nowMs() / 1000);
  try {
    await oauth.validateApplicationLevelSignature({ ...server.metadata }, judged.response, {
      [oauth.allowInsecureRequests]: true,
      [oauth.jwksCache]: { jwks: { keys: [...jwks.keys] as oauth.JWK[] }, uat },
    });
    return undefined;
  } catch {
    const keyId = keyIdOf(judged.idToken);
    if (keyId === undefined) return "signature";
    if (!holdsKey(jwks, keyId)) return "unknown_key";
    return jwks.refusedKeyIds.includes(keyId) ? "weak_key" : "signature";
  }
}

/** Undefined where the token names no tenant, and there are many. */
function tokenIssuer({ issuer, tenantIssuer }: AuthorizationServer, idToken: string): string | undefined {
  return tenantIssuer === undefined ? issuer : issuerOfTenant(tenantIssuer, claimsOf(idToken)?.["tid"]);
}

/** Entra publishes the keys of one tenant among those of all, and names the issuer of each: only the issuer that it names may sign with it. */
function isKeyOfTenant({ tenantIssuer }: AuthorizationServer, idToken: string, { keys }: Jwks): boolean {
  const keyId = keyIdOf(idToken);
  const { issuer } = keys.find(({ kid }) => kid === keyId) ?? {};
  if (tenantIssuer === undefined || typeof issuer !== "string") return true;
  const { tid, iss } = claimsOf(idToken) ?? {};
  return issuerOfTenant(issuer, tid) === iss;
}

/** Never the key id itself: it is a text of the provider. */
function signatureDetail(violation: IdTokenRejected, wasFetched: boolean): string {
  if (violation === "unknown_key") {
    return wasFetched
      ? "the provider's keys were fetched again and lack the one that it names"
      : "the provider's keys lack the one that it names, and were fetched too often to be fetched now";
  }
  return wasFetched
    ? "checked with the provider's keys, which were fetched again"
    : "checked with the provider's keys at hand, which were fetched too often to be fetched now";
}

/** What `exp` and `nbf` say of the two clocks; undefined when another claim is wrong, or an id_token was dead when it was issued. */
function clockWords(
  violation: IdTokenRejected,
  { exp, nbf, iat }: Readonly<Record<string, unknown>>,
  nowMs: number,
): string | undefined {
  const isTime = (claim: unknown): claim is number => typeof claim === "number" && Number.isFinite(claim);
  if (violation === "nbf" && isTime(nbf)) {
    const away = formatDuration(nbf * 1000 - nowMs);
    return `the id_token is not valid before ${away} from now: the clock of this machine is behind the provider's, or that one is ahead`;
  }
  if (violation !== "exp" || !isTime(exp) || (isTime(iat) && exp <= iat)) return undefined;
  const since = formatDuration(nowMs - exp * 1000);
  return `the id_token came ${since} after its end: the clock of this machine is ahead of the provider's, or that one is behind`;
}

function claimViolation(violation: unknown): IdTokenRejected {
  if (!(violation instanceof oauth.OperationProcessingError)) return "malformed";
  const { cause } = violation;
  if (typeof cause !== "object" || cause === null) return "malformed";
  if ("header" in cause) return "alg";
  const claim = "claim" in cause ? cause.claim : /JWT "(\w+)"/.exec(violation.message)?.[1];
  return claimNames.find((name) => name === claim) ?? "malformed";
}

const claimNames = ["iss", "aud", "azp", "exp", "nbf", "nonce", "sub", "iat"] as const;
