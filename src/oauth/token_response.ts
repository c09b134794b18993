import type * as oauth from "oauth4webapi";
import type { TokenSet } from "../model/credentials/credential.js";
import { parseJsonObject } from "../model/json_object.js";
import { maxMetadataValues, metadataText, namesSecret } from "../model/providers/connection_metadata.js";
import type { OAuth2Options } from "../model/providers/profile_settings.js";
import { Secret } from "../runtime/secret.js";
import type { DpopRequests } from "./dpop/dpop_requests.js";
import { boundToken, unboundToken } from "./dpop/dpop_words.js";
import type { IdTokenRejected } from "./failure.js";
import type { JudgedIdToken } from "./id_token.js";

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
export const missingAccessToken = "the response has a refresh token and no access token";

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

/** RFC 6749 appendix A.12. A line break would add a header of the provider's choice to each request with the token. */
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

/** What a request at a token endpoint came to. */
export interface Renewed {
  /** `refreshToken` is undefined when the answer has none: the old one stays valid. */
  readonly tokenSet: TokenSet;
  /** The answer held an id_token that failed a check: its access token must not be served, and the id_token is left out. */
  readonly idTokenViolation?: IdTokenRejected;
  /** The access token must not be served; the refresh token counts anyway. */
  readonly accessTokenViolation?: AccessTokenViolation;
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
  if (status < 200 || status > 299 || isErrorWord(error) || fields.get("ok") === false) {
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

export interface AdaptedAnswer {
  readonly bodyText: string;
  readonly metadata: Readonly<Record<string, string>>;
}

/**
 * The body of a token response with its token object at the root and its lifetime in `expires_in`, and what of it is kept. An answer whose
 * root is an error, and one that is no JSON object, stays as it is. Then what the profile declares to mean `invalid_grant` applies (RFC
 * 6749 section 5.2), and what is known to.
 *
 * @param isRefresh those declarations are about refreshes. If the path leads nowhere, take the root: Slack answers a refresh without the
 * `authed_user` of its code exchange. Never for a code exchange, whose root holds another token. `httpStatus` is for the aliases by status;
 * undefined where they do not apply.
 */
export function adaptTokenAnswer(
  bodyText: string,
  quirks: OAuth2Options,
  options: {
    readonly nowMs: number;
    readonly isRefresh: boolean;
    readonly httpStatus?: number | undefined;
  },
): AdaptedAnswer {
  const asIs = { bodyText, metadata: {} };
  const root = parseJsonObject(bodyText);
  const isDeadGrant =
    root !== undefined &&
    options.isRefresh &&
    (meansInvalidGrant(root, quirks.invalidGrantAliases) || blamesRequest(root));
  if (isDeadGrant) {
    const { error_description } = root;
    return { ...asIs, bodyText: JSON.stringify({ error: "invalid_grant", error_description }) };
  }
  if (options.isRefresh && statusMeansInvalidGrant(bodyText, root, quirks, options.httpStatus)) {
    return { ...asIs, bodyText: JSON.stringify({ error: "invalid_grant" }) };
  }
  if (root === undefined || root["ok"] === false || isErrorWord(root["error"])) return asIs;
  const metadata = keptValues(root, quirks.tokenMetadata);
  if (quirks.tokenResponsePath === "" && quirks.lifetimeField === "") return { bodyText, metadata };
  const at = valueAt(root, quirks.tokenResponsePath);
  const found = isObject(at) && ("access_token" in at || isErrorWord(at["error"]));
  const token = found ? at : quirks.tokenResponsePath === "" || options.isRefresh ? root : {};
  const seconds =
    quirks.lifetimeField === ""
      ? undefined
      : lifetimeSeconds(valueAt(token, quirks.lifetimeField), options.nowMs);
  const { expires_in: _, ...rest } = token;
  return {
    bodyText: JSON.stringify(
      quirks.lifetimeField === "" ? flat(token) : { ...flat(rest), expires_in: seconds },
    ),
    metadata,
  };
}

/**
 * What of a token object can matter: what is deeper would be written again for nothing, and written it can be to a lesser depth than
 * it can be read.
 */
function flat(token: JsonRecord): JsonRecord {
  const members = Object.entries(token).map(([name, value]) => {
    if (Array.isArray(value)) return [name, value.filter((item) => typeof item === "string")] as const;
    return [name, isObject(value) ? {} : value] as const;
  });
  return Object.fromEntries(members);
}

/** Whether an answer says by one of `aliases` that the refresh token is dead. One that holds a token says nothing of the kind. */
function meansInvalidGrant(root: JsonRecord, aliases: readonly string[]): boolean {
  if ("access_token" in root) return false;
  return aliases.some((alias) => {
    if (alias.startsWith(statusAlias)) return false;
    const [, path = "error", value = ""] = /^(?:([\w.-]+)=)?(.*)$/.exec(alias) ?? [];
    const actual = valueAt(root, path);
    return (
      (typeof actual === "string" || typeof actual === "number") && value !== "" && String(actual) === value
    );
  });
}

/** The longest `error_description` that is read. */
const maxDescriptionLength = 1_000;
const grantWord = /\b(refresh[\s_-]?token|token|session)\b/i;
const deadWord =
  /\b(invalid|revoked|expired|inactive|unknown|not (found|valid|active|linked|recogni[sz]ed)|does not exist|(cannot|could not) (be )?(verif|decrypt|decod)\w*|already (been )?(used|redeemed|rotated))\b/i;
/** Of a request without the token, or with something else that is wrong. */
const otherWord = /\b(missing|required|must|empty|header|assertion|proof|csrf|(access|id)[\s_-]token)\b/i;

/**
 * Whether `invalid_request` is said of a dead refresh token, where RFC 6749 section 5.2 has `invalid_grant`: so do @jmondi/oauth2-server,
 * Authlib, and older versions of League, fosite, and better-auth, and their descriptions tell it from a request that is malformed.
 */
function blamesRequest({ error, error_description: description }: JsonRecord): boolean {
  if (error !== "invalid_request" || typeof description !== "string") return false;
  // What @jmondi/oauth2-server says of an opaque token that it has erased.
  if (/^token missing\.?$/i.test(description)) return true;
  const sentences = description.slice(0, maxDescriptionLength).split(/[.;\n]/);
  return sentences.some((text) => grantWord.test(text) && deadWord.test(text) && !otherWord.test(text));
}

const statusAlias = "http_status=";

/** Whether the HTTP status alone says that the refresh token is dead: by an alias, and of an answer that names no error. */
function statusMeansInvalidGrant(
  bodyText: string,
  root: JsonRecord | undefined,
  { invalidGrantAliases }: OAuth2Options,
  httpStatus: number | undefined,
): boolean {
  if (httpStatus === undefined || httpStatus < 400) return false;
  const namesError = root === undefined ? /(^|&)error=/.test(bodyText) : isErrorWord(root["error"]);
  return !namesError && invalidGrantAliases.includes(`${statusAlias}${httpStatus}`);
}

/** Seconds, or the instant of expiry: seconds or milliseconds of the Unix epoch, or RFC 3339. */
function lifetimeSeconds(value: unknown, nowMs: number): number | undefined {
  const isNumeric = typeof value === "string" && /^\s*\d+(\.\d+)?\s*$/.test(value);
  const number = typeof value === "number" ? value : isNumeric ? Number(value) : undefined;
  if (number === undefined) {
    const instantMs =
      typeof value === "string" && /^\d{4}-\d\d-\d\dT/.test(value) ? Date.parse(value) : Number.NaN;
    return Number.isNaN(instantMs) ? undefined : Math.floor((instantMs - nowMs) / 1000);
  }
  if (number < oldestInstantSeconds) return number;
  const instantMs = number < oldestInstantSeconds * 1000 ? number * 1000 : number;
  return Math.floor((instantMs - nowMs) / 1000);
}

/** September 2001. A number below is a lifetime: as one, this would be 31 years. */
const oldestInstantSeconds = 1_000_000_000;

function keptValues(root: JsonRecord, paths: readonly string[]): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const path of paths.slice(0, maxMetadataValues)) {
    const text = namesSecret(path) ? undefined : metadataText(valueAt(root, path));
    if (text !== undefined) kept[path] = text;
  }
  return kept;
}

type JsonRecord = Readonly<Record<string, unknown>>;

/** By a dotted path, or by a name that has dots itself; of an array by number, from 0. */
export function valueAt(root: JsonRecord, path: string): unknown {
  if (path === "") return root;
  if (Object.hasOwn(root, path)) return root[path];
  let value: unknown = root;
  for (const name of path.split(".")) {
    value = isContainer(value) && Object.hasOwn(value, name) ? value[name] : undefined;
  }
  return value;
}

function isErrorWord(value: unknown): boolean {
  return value !== undefined && value !== null && value !== "" && value !== false;
}

/** An array too: its items are named by their number, from 0. */
function isContainer(value: unknown): value is JsonRecord {
  return typeof value === "object" && value !== null;
}

function isObject(value: unknown): value is JsonRecord {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
