import type * as oauth from "oauth4webapi";
import type { TokenSet } from "../model/credentials/credential.js";
import { parseJsonObject } from "../model/json_object.js";
import { jsonResponse, withoutEchoes } from "../outbound/json_response.js";
import type { OutboundFetch, OutboundRequest } from "../outbound/outbound_fetch.js";
import { Secret } from "../runtime/secret.js";
import type { DpopRequests } from "./dpop/dpop_requests.js";
import { boundToken, unboundToken } from "./dpop/dpop_words.js";
import { successHeader } from "./failure.js";
import type { JudgedIdToken } from "./id_token.js";
import { adaptTokenAnswer, adaptTokenRequest, type TokenQuirks } from "./token_quirks.js";

/** Members that matter, in the form that RFC 6749 section 5.1 (or 5.2 for `error`) wants. */
export interface TokenResponseBody {
  access_token?: string;
  token_type?: string;
  expires_in?: number;
  refresh_token?: string;
  scope?: string;
  id_token?: string;
  error?: string;
  error_description?: string;
  /** Of no RFC: seconds until the refresh token, or the authorization behind it, ends. */
  refresh_token_expires_in?: number;
}

/** Why an access token must not be served, in words for a log. */
export type AccessTokenViolation =
  | "the access token has characters that RFC 6749 appendix A.12 does not allow"
  | "the access token is longer than 64 KiB"
  | "the token type is not one that nexusd understands (RFC 6749 section 7.1)"
  | typeof missingAccessToken
  | typeof noAccessToken
  | typeof boundToken
  | typeof unboundToken;

/** Beside a refresh token, which may be the successor of the one that was redeemed. */
const missingAccessToken = "the response has a refresh token and no access token";
/** What the library is given in its place: it refuses a success without one, and the refresh token with it. */
const placeholderAccessToken = "withheld";

/** Of a token type `N_A` (RFC 8693 section 2.2.1). */
export const noAccessToken = "the issued token is no access token (RFC 8693 section 2.2.1)";

export interface NormalisedTokenResponse {
  readonly status: number;
  readonly body: TokenResponseBody;
  /** Of a success whose access token must not be served; its other members count anyway. */
  readonly accessTokenViolation?: AccessTokenViolation | undefined;
  /** RFC 8693 section 2.2.1; undefined where a success does not say it. */
  readonly issuedTokenType?: string | undefined;
}

/** The answer of a token endpoint, its id_token set aside so that an error in it cannot lose the tokens. */
export interface TokenAnswer {
  readonly response: Response;
  readonly idToken: string | undefined;
  /** What the profile keeps of the answer. */
  readonly metadata: Readonly<Record<string, string>>;
  readonly accessTokenViolation: AccessTokenViolation | undefined;
  readonly issuedTokenType?: string | undefined;
}

/**
 * What providers call the lifetime of a refresh token or of the authorization behind it, in seconds; the least counts. The first is
 * that of the drafts (and of GitHub, LinkedIn, Google), then Yahoo and others, Keycloak (0: it does not end), Intuit.
 */
const refreshLifetimeMembers = [
  "refresh_token_expires_in",
  "refresh_token_timeout",
  "authorization_expires_in",
  "refresh_expires_in",
  "x_refresh_token_expires_in",
] as const;

/** RFC 6749 appendix A.12. A line break would give anyone who writes the token into a request a header of the provider's choice. */
const accessTokenSyntax = /^[\x20-\x7e]+$/;
/** The longest seen are JWTs of 10 KiB, and no server takes a header of more than 64. */
const maxAccessTokenLength = 64 * 1024;

/**
 * What providers call a bearer token, in lower case, beside the registered word (RFC 6750 section 6.1.1): Slack (two), Apigee, and
 * eBay (two). One that is not named is one as well: many leave the member out, though RFC 6749 section 5.1 requires it.
 */
const bearerWords: ReadonlySet<unknown> = new Set([
  undefined,
  null,
  "",
  "bearer",
  "bot",
  "user",
  "bearertoken",
  "user access token",
  "application access token",
]);

/** Ten years. Longer lifetimes say "for ever" and would leave the range of a timestamp. */
const maxExpiresInSeconds = 10 * 365 * 24 * 60 * 60;

/** What sending and reading a token request depends on, beside the request. */
interface TokenRequestShape {
  /** What the profile declares. */
  readonly quirks: TokenQuirks;
  readonly nowMs: number;
  /** Whether the root may hold the token, as `adaptTokenAnswer` has it. */
  readonly isRefresh: boolean;
  /** Undefined where no key is proved. */
  readonly dpop?: DpopRequests | undefined;
}

/** The fetch that a request function of the library takes. */
type NormalisingFetch = (url: string, request: OutboundRequest) => Promise<Response>;
/** The library's option for proofs; empty where no key is proved. */
type ProofOption = { readonly DPoP?: oauth.DPoPHandle };

/**
 * Sends a token request and normalises the answer before the library sees it.
 *
 * @param send calls the library's request function with this fetch and, where it takes one, this proof
 */
export async function sendTokenRequest(
  fetch: OutboundFetch,
  shape: TokenRequestShape,
  send: (normalisingFetch: NormalisingFetch, proof: ProofOption) => Promise<Response>,
): Promise<TokenAnswer> {
  let idToken: string | undefined;
  let metadata: Readonly<Record<string, string>> = {};
  let accessTokenViolation: AccessTokenViolation | undefined;
  let issuedTokenType: string | undefined;
  const sendOnce: NormalisingFetch = async (url, request) => {
    const raw = await fetch(url, { ...adaptTokenRequest(request, shape.quirks, url), isTokenRequest: true });
    shape.dpop?.answered(raw.headers);
    const retryAfter = raw.headers.get("retry-after");
    // A provider that says when to come again has not refused for good.
    const httpStatus = retryAfter === null ? raw.status : undefined;
    const adapted = adaptTokenAnswer(await raw.text(), shape.quirks, { ...shape, httpStatus });
    const normalised = normaliseTokenResponse(raw.status, adapted.bodyText, shape.dpop);
    const { status, body } = normalised;
    accessTokenViolation = normalised.accessTokenViolation;
    issuedTokenType = normalised.issuedTokenType;
    if (status === 200) metadata = adapted.metadata;
    const { id_token, ...rest } = body;
    idToken = id_token;
    const headers = {
      ...(retryAfter === null ? {} : { "retry-after": retryAfter }),
      ...(raw.status < 300 && status >= 400 ? { [successHeader]: "1" } : {}),
    };
    if (accessTokenViolation === missingAccessToken) rest.access_token = placeholderAccessToken;
    shape.dpop?.judged(status, body.error);
    if (rest.error_description !== undefined)
      rest.error_description = withoutEchoes(rest.error_description, request);
    return jsonResponse(rest, { status, headers });
  };
  const proof = shape.dpop ? { DPoP: await shape.dpop.handle() } : {};
  const first = await send(sendOnce, proof);
  // RFC 9449 section 8: the server refused the proof because of its nonce, before it looked at the grant. So neither a refresh token nor a
  // code is used up, and the same request may be sent again. It is still the one attempt in the journal: if this answer is lost, the mark
  // of intent stays. Once only: a server that asks for another nonce again gets an error of the table.
  const response = shape.dpop?.mustSendAgain() === true ? await send(sendOnce, proof) : first;
  return { response, idToken, metadata, accessTokenViolation, issuedTokenType };
}

/** A token response that the library accepted. `tokenType` as registered: RFC 6750 section 6.1.1, RFC 9449 section 12.1. */
export function toTokenSet(
  response: oauth.TokenEndpointResponse,
  verified: JudgedIdToken | undefined,
  metadata: Readonly<Record<string, string>> = {},
): TokenSet {
  const refreshSeconds = response["refresh_token_expires_in"];
  return {
    ...(typeof refreshSeconds === "number" ? { refreshExpiresInMs: refreshSeconds * 1000 } : {}),
    accessToken: new Secret(response.access_token),
    refreshToken: response.refresh_token === undefined ? undefined : new Secret(response.refresh_token),
    tokenType: response.token_type === "dpop" ? "DPoP" : "Bearer",
    idToken: verified === undefined ? undefined : new Secret(verified.idToken),
    expiresInMs: response.expires_in === undefined ? undefined : response.expires_in * 1000,
    scopes: response.scope?.split(" "),
    subject: verified?.subject,
    account: verified?.account,
    metadata,
  };
}

/**
 * Makes an odd but usable answer of a token endpoint into what RFC 6749 section 5 describes, because a refused success is
 * a lost grant once refresh tokens rotate. What is beyond repair comes out as an empty body, for the library to refuse.
 *
 * A page of HTML comes from something in front of the endpoint, whatever its status says: it becomes a 502.
 * The content type is a hint only: JSON is tried first, then a form (GitHub's default). `expires_in` of 0 or less
 * is no lifetime that a provider means. An `error` on success (GitHub), or `ok: false` (Slack), becomes a 400.
 *
 * @param dpop of a request that proved a key: its token may be bound, and where that is required it must
 */
export function normaliseTokenResponse(
  status: number,
  bodyText: string,
  dpop?: DpopRequests,
): NormalisedTokenResponse {
  if (status < 300 && /^\s*</.test(bodyText)) return { status: 502, body: {} };
  const fields = jsonMembers(bodyText) ?? parseForm(bodyText) ?? new Map<string, unknown>();
  const error = fields.get("error");
  const hasError = error !== undefined && error !== null && error !== "" && error !== false;
  if (status < 200 || status > 299 || hasError || fields.get("ok") === false) {
    const body: TokenResponseBody = typeof error === "string" && error !== "" ? { error } : {};
    const description = fields.get("error_description");
    if (body.error !== undefined && typeof description === "string") body.error_description = description;
    return { status: status >= 200 && status <= 299 ? 400 : status, body };
  }

  const body: TokenResponseBody = { token_type: tokenType(fields.get("token_type")) };
  for (const name of ["access_token", "refresh_token", "id_token"] as const) {
    const value = fields.get(name);
    if (typeof value === "string" && value !== "") body[name] = value;
  }
  const expiresIn = expiresInSeconds(fields.get("expires_in"));
  if (expiresIn !== undefined) body.expires_in = expiresIn;
  const refreshLifetimes = refreshLifetimeMembers.flatMap((name) => expiresInSeconds(fields.get(name)) ?? []);
  if (refreshLifetimes.length > 0) body.refresh_token_expires_in = Math.min(...refreshLifetimes);
  const scope = scopeText(fields.get("scope"));
  if (scope !== undefined) body.scope = scope;
  if (body.access_token === undefined) {
    if (body.refresh_token === undefined) return { status: 200, body: {} };
    return { status: 200, body, accessTokenViolation: missingAccessToken };
  }
  const issuedTokenType = fields.get("issued_token_type");
  return {
    status: 200,
    body,
    accessTokenViolation: findAccessTokenViolation(body.access_token, fields.get("token_type"), dpop),
    issuedTokenType: typeof issuedTokenType === "string" ? issuedTokenType : undefined,
  };
}

function findAccessTokenViolation(
  accessToken: string,
  tokenType: unknown,
  dpop: DpopRequests | undefined,
): AccessTokenViolation | undefined {
  if (accessToken.length > maxAccessTokenLength) return "the access token is longer than 64 KiB";
  if (!accessTokenSyntax.test(accessToken)) {
    return "the access token has characters that RFC 6749 appendix A.12 does not allow";
  }
  const word = typeof tokenType === "string" ? tokenType.trim().toLowerCase() : tokenType;
  if (word === "dpop") return dpop ? undefined : boundToken;
  if (word === "n_a") return noAccessToken;
  if (bearerWords.has(word)) return dpop?.isRequired === true ? unboundToken : undefined;
  return "the token type is not one that nexusd understands (RFC 6749 section 7.1)";
}

/** A map, not an object: names come from outside. Of a repeated member the last counts, as RFC 8259 section 4 lets a parser do. */
function jsonMembers(text: string): Map<string, unknown> | undefined {
  const json = parseJsonObject(text);
  return json && new Map(Object.entries(json));
}

/** Undefined for what is no form, and for one that says two things where one decides (RFC 6749 section 3.2). */
function parseForm(text: string): Map<string, unknown> | undefined {
  if (/^\s*[<[{"]/.test(text) || !text.includes("=")) return undefined;
  const form = new URLSearchParams(text.trim());
  const decisive = ["access_token", "refresh_token", "id_token", "expires_in", "error"];
  if (decisive.some((name) => new Set(form.getAll(name)).size > 1)) return undefined;
  return new Map(form);
}

function tokenType(value: unknown): string {
  return typeof value === "string" && value.trim().toLowerCase() === "dpop" ? "DPoP" : "Bearer";
}

function expiresInSeconds(value: unknown): number | undefined {
  const isNumeric = typeof value === "string" && /^\s*\d+(\.\d+)?\s*$/.test(value);
  const seconds = typeof value === "number" ? Math.floor(value) : isNumeric ? Math.floor(Number(value)) : 0;
  return seconds > 0 ? Math.min(seconds, maxExpiresInSeconds) : undefined;
}

/** Space-separated (RFC 6749 section 3.3); an array, and commas where there is no space (GitHub), mean the same. */
function scopeText(value: unknown): string | undefined {
  const items: unknown[] = Array.isArray(value) ? value : [value];
  const text = items
    .filter((item) => typeof item === "string")
    .join(" ")
    .trim();
  const scopes = text.split(/\s/.test(text) ? /,?\s+/ : ",").map((scope) => scope.trim());
  return scopes.filter((scope) => scope !== "").join(" ") || undefined;
}
