import { tokenHeaderViolation } from "../model/header_name.js";
import { parseJsonObject } from "../model/json_object.js";
import { maxMetadataValues, metadataText, namesSecret } from "../model/providers/connection_metadata.js";
import type { OAuth2Options } from "../model/providers/profile_settings.js";
import type { OutboundRequest } from "../outbound/outbound_fetch.js";
import { sentResource } from "./resource_parameter.js";

/** What a profile declares about both token requests and their answers. */
export type TokenQuirks = OAuth2Options;

/**
 * The request as the provider wants it: further headers, a resource (RFC 8707), and JSON instead of a form.
 *
 * @param url of the token endpoint
 */
export function adaptTokenRequest(request: OutboundRequest, quirks: TokenQuirks, url = ""): OutboundRequest {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(request.headers)) headers[name.toLowerCase()] = value;
  for (const [name, value] of Object.entries(quirks.tokenHeaders)) {
    if (tokenHeaderViolation(name) === undefined) headers[name.toLowerCase()] = value;
  }
  const isForm = quirks.tokenRequestFormat !== "json";
  const resource = sentResource(quirks, url);
  if (request.body === undefined || (isForm && resource === undefined)) return { ...request, headers };
  const form = new URLSearchParams(request.body.toString());
  if (resource !== undefined) form.set("resource", resource);
  if (isForm) return { ...request, headers, body: form };
  headers["content-type"] = "application/json";
  return { ...request, headers, body: JSON.stringify(Object.fromEntries(form)) };
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
  quirks: TokenQuirks,
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
  { invalidGrantAliases }: TokenQuirks,
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
