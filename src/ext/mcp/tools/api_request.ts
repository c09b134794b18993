import {
  apiBaseUrlOf,
  apiUrl,
  checkHeaders,
  parseMethod,
  printable,
  usageFailure,
} from "../../../cli/kit.js";
import { readVersion } from "../../../config/config.js";
import type { Provider } from "../../../gen/nexus/v1/provider_pb.js";
import { climbs, decodingsOf, overriddenBy, readingsOf, withHyphens } from "../../../model/access/access.js";
import type { ApiRequest } from "../../../strategies/strategies.js";
import { type McpPolicy, refuseHost, refuseMethod, refuseWriting } from "./mcp_policy.js";

/** What a model says of a request. */
export interface RequestArguments {
  readonly method: string;
  readonly path: string;
  readonly query: Readonly<Record<string, string | readonly string[]>>;
  readonly headers: Readonly<Record<string, string>>;
  readonly json?: unknown;
  readonly body?: string | undefined;
}

/** The request without the credential. */
export interface ModelRequest extends ApiRequest<Uint8Array> {
  readonly headers: Readonly<Record<string, string>>;
}

/** More are no request of an API, and servers refuse them. */
const maxHeaders = 50;
const maxHeaderBytes = 16 * 1024;
/** Beyond it a file is uploaded, which no model writes by hand. */
const maxBodyBytes = 1024 * 1024;

/**
 * Headers that say who calls, or where the request goes, beside those that change method or path. Also those that would keep the response from being searched for the
 * credential: its coding, and a range, which may begin within the credential.
 */
const reserved = /^(authorization|dpop|cookie|accept-encoding|range|if-range|forwarded|x-forwarded-.*)$/;

/** The request without the credential, checked. @throws CommandFailure for what the policy or the profile does not allow */
export function apiRequestOf(given: RequestArguments, provider: Provider, policy: McpPolicy): ModelRequest {
  const method = parseMethod(given.method, "method");
  refuseMethod(policy, method);
  const url = urlBelow(apiBaseUrlOf(provider), given.path, given.query);
  refuseHost(policy, new URL(url));
  refuseWriting(policy, method, url);
  const { body, type } = bodyOf(given);
  const own = headersOf(given.headers);
  const headers = {
    accept: "application/json, */*;q=0.5",
    "user-agent": `nexusd/${readVersion()}`,
    ...type,
    ...own,
  };
  return { method, url, headers, body };
}

/** Control characters, and UTF-8 in more bytes than it takes, which some servers read as a dot or a slash (RFC 3629 section 3). */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const misread = /[\x00-\x1f\x7f]|[\xc0\xc1][\x80-\xbf]|\xe0[\x80-\x9f]|\xf0[\x80-\x8f]/;

/** @throws CommandFailure for a path that leads out of the base URL, or that a server might take for one that does */
export function urlBelow(apiBaseUrl: string, path: string, query: RequestArguments["query"] = {}): string {
  const [place = ""] = path.split(/[?#]/, 1);
  const decoded = decodingsOf(place);
  if (/[\p{Cc}\\]/u.test(path) || path.startsWith("//") || decoded.some((text) => misread.test(text)))
    throw usageFailure(
      "path: must be below the API's base URL, without control characters, overlong UTF-8, backslashes and a second slash at its begin",
    );
  const base = new URL(apiBaseUrl);
  const url = new URL(apiUrl(apiBaseUrl, path));
  const folder = `${base.pathname.replace(/\/+$/, "")}/`;
  if (!`${url.pathname}/`.startsWith(folder) || readingsOf(place).some(climbs))
    throw usageFailure(`path: must stay below ${base.origin}${folder}, the provider's API base URL`);
  for (const [name, values] of Object.entries(query))
    for (const value of [values].flat()) url.searchParams.append(name, value);
  return url.href;
}

function headersOf(given: RequestArguments["headers"]): Record<string, string> {
  const headers = checkHeaders(Object.entries(given), "headers");
  const bytes = Object.entries(headers).reduce((sum, [name, value]) => sum + name.length + value.length, 0);
  if (Object.keys(headers).length > maxHeaders || bytes > maxHeaderBytes)
    throw usageFailure(`headers: at most ${maxHeaders} with ${maxHeaderBytes} bytes in all`);
  for (const name of Object.keys(headers)) {
    if (reserved.test(withHyphens(name)) || overriddenBy(name) !== undefined)
      throw usageFailure(
        `headers ${printable(name)}: nexusd sets it, or it would lead the request elsewhere or show a part of an answer: leave it out`,
      );
  }
  return headers;
}

function bodyOf({ json, body }: RequestArguments): {
  readonly body: Uint8Array | undefined;
  readonly type: Readonly<Record<string, string>>;
} {
  if (json !== undefined && body !== undefined) throw usageFailure("json and body exclude each other");
  if (json === undefined && body === undefined) return { body: undefined, type: {} };
  const bytes = Buffer.from(body ?? JSON.stringify(json), "utf8");
  if (bytes.length > maxBodyBytes)
    throw usageFailure(`the body has ${bytes.length} bytes, more than ${maxBodyBytes}`);
  const type = body === undefined ? "application/json" : "text/plain; charset=utf-8";
  return { body: bytes, type: { "content-type": type } };
}
