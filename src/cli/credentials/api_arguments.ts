import { readFileSync } from "node:fs";
import { exitCodes } from "../../core/exit_codes.js";
import { whyUnread } from "../../document/document_error.js";
import type { Provider } from "../../gen/nexus/v1/provider_pb.js";
import { canonicalTarget, climbs, echoesRequest, readingsOf } from "../../model/access/canonical_request.js";
import { headerNameViolation } from "../../model/header_name.js";
import { CommandFailure, usageFailure } from "../shell/command_failure.js";
import type { Shell } from "../shell/shell.js";
import { printable } from "../shell/text.js";

export interface DataFlags {
  readonly data?: readonly string[];
  readonly dataBinary?: readonly string[];
}

/** Where requests to the provider's API go. @throws CommandFailure for a profile that does not say */
export function apiBaseUrlOf({ name, apiBaseUrl }: Provider): string {
  if (apiBaseUrl !== "") return apiBaseUrl;
  throw new CommandFailure(
    exitCodes.failed,
    `the provider ${name} has no API base URL: nexusd provider update ${name} --api-base-url https://api.example.com`,
  );
}

/**
 * The URL of a request, in the canonical form.
 *
 * @param path below the base URL, or a URL of the same origin
 * @throws CommandFailure for another origin: the credential is the provider's alone; and for a path that leads out of the base URL to some
 * servers
 */
export function apiUrl(apiBaseUrl: string, path: string): string {
  const base = new URL(apiBaseUrl);
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(path)) {
    const url = URL.canParse(path) ? new URL(path) : undefined;
    if (url?.origin === base.origin && url.username === "" && url.password === "") return canonicalUrl(url);
    throw usageFailure(
      `the credential goes to ${base.origin} alone, the origin of the provider's API base URL`,
    );
  }
  const [, place = "", query = ""] = /^\/*([^?#]*)(?:\?([^#]*))?/s.exec(path) ?? [];
  const folder = base.pathname.replace(/\/+$/, "");
  if (folder !== "" && readingsOf(place).some(climbs))
    throw usageFailure(`path: must stay below ${base.origin}${folder}/, the provider's API base URL`);
  const url = new URL(base);
  url.pathname = `${folder}/${place}`;
  url.search = [base.search.slice(1), query].filter((part) => part !== "").join("&");
  return canonicalUrl(url);
}

function canonicalUrl({ origin, pathname, search }: URL): string {
  return `${origin}${canonicalTarget(`${pathname}${search}`).target}`;
}

/**
 * Headers as one record, names in lower case. One that would send the request to another API, as `Host` behind a shared address does, is refused.
 *
 * @param what the argument that they come from, for messages
 */
export function checkHeaders(
  pairs: Iterable<readonly [name: string, value: string]>,
  what: string,
): Record<string, string> {
  const headers = new Map<string, string>();
  for (const [name, value] of pairs) {
    const violation = headerNameViolation(name);
    if (violation !== undefined) throw usageFailure(`${what} ${printable(name)}: ${violation}`);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
    if (/[\x00-\x08\x0a-\x1f\x7f]|[^\x00-\xff]/.test(value)) {
      throw usageFailure(`${what} ${name}: the value holds characters that a header cannot carry`);
    }
    const key = name.toLowerCase();
    // RFC 9110 section 5.3.
    const before = headers.get(key);
    headers.set(key, before === undefined ? value : `${before}, ${value}`);
  }
  return Object.fromEntries(headers);
}

/**
 * @param what the argument that it comes from, for the message
 * @returns in capitals: a method is judged and sent as it is registered
 * @throws CommandFailure for what is no method, for CONNECT, which makes a tunnel (RFC 9110 section 9.3.6), and for what repeats the request
 */
export function parseMethod(text: string, what = "--request"): string {
  const method = text.toUpperCase();
  if (echoesRequest(method))
    throw usageFailure(`${what} ${method} is refused: the answer would show the credential`);
  if (/^[A-Z]+$/.test(method) && method !== "CONNECT") return method;
  throw usageFailure(`${what} ${printable(text)} is not a method, such as GET or PATCH`);
}

/** What `--data` and `--data-binary` say, put together as curl does; undefined for no body. */
export async function readBody(shell: Shell, flags: DataFlags): Promise<Uint8Array | undefined> {
  const { data = [], dataBinary = [] } = flags;
  if (data.length + dataBinary.length === 0) return undefined;
  const parts: Buffer[] = [];
  for (const text of data) parts.push(withoutBreaks(await readData(shell, text), text));
  for (const text of dataBinary) parts.push(await readData(shell, text));
  return Buffer.concat(parts.flatMap((part, index) => (index === 0 ? [part] : [Buffer.from("&"), part])));
}

async function readData(shell: Shell, text: string): Promise<Buffer> {
  if (!text.startsWith("@")) return Buffer.from(text, "utf8");
  const path = text.slice(1);
  if (path === "-") return Buffer.from(await shell.stdin.readBytes());
  try {
    return readFileSync(path);
  } catch (error) {
    throw usageFailure(`--data: ${path} cannot be read: ${whyUnread((error as NodeJS.ErrnoException).code)}`);
  }
}

/** Of a file: curl leaves line breaks out of what was not given as binary. */
function withoutBreaks(bytes: Buffer, text: string): Buffer {
  return text.startsWith("@") ? Buffer.from(bytes.filter((byte) => byte !== 10 && byte !== 13)) : bytes;
}
