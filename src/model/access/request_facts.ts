import type { ConnectionFacts } from "./scope_restriction.js";

/** A request to an API as the place that sends it shows it. What it does not show is undefined. */
export interface ShownRequest {
  /** Undefined too where a header may change it. */
  readonly method: string | undefined;
  /** Canonical name, with the port where it is not that of the scheme. */
  readonly host: string | undefined;
  /** It goes over http. */
  readonly isPlain?: true;
  /** Path and query, as they are sent. */
  readonly target: string | undefined;
  /** With names in lower case; those of credentials are left out. */
  readonly headers: ReadonlyMap<string, string> | undefined;
  readonly body: ShownBody | undefined;
  /** Of `nexusd run`: what it names its run by. */
  readonly session: string | undefined;
  /** It is sent once more, since the API refused the credential of the first one. */
  readonly repeats?: true;
}

export interface ShownBody {
  readonly size: number;
  /** SHA-256, hexadecimal. */
  readonly digest: string;
  /** The bytes themselves, where they are few enough to be read by a person. */
  readonly bytes: Uint8Array | undefined;
}

/** A body that is longer is shown by its digest and size. */
export const maxShownBytes = 65_536;

/** What a condition may ask for, and of which kind it is. */
export const factKinds = {
  "request.method": "string",
  "request.host": "string",
  "request.path": "string",
  "request.query": "map",
  "request.headers": "map",
  "request.size": "int",
  "request.digest": "string",
  "connection.id": "string",
  "connection.user": "string",
  "connection.provider": "string",
  "caller.name": "string",
  "session.id": "string",
  now: "timestamp",
} as const;

export type FactName = keyof typeof factKinds;
export type Fact = string | number | ReadonlyMap<string, string | undefined>;
/** What is known. What is undefined is unknown. */
export type Facts = { readonly [name in FactName]: Fact | undefined };

export function factsOf(
  callerName: string,
  connection: ConnectionFacts,
  request: ShownRequest | undefined,
  nowMs: number,
): Facts {
  const target = request?.target === undefined ? undefined : readTarget(request.target);
  return {
    "request.method": request?.method,
    "request.host": request?.host,
    "request.path": target?.path,
    "request.query": target?.query,
    "request.headers": request?.headers,
    "request.size": request?.body?.size,
    "request.digest": request?.body?.digest,
    "connection.id": connection.connectionId,
    "connection.user": connection.userId,
    "connection.provider": connection.provider.name,
    "caller.name": callerName,
    "session.id": request?.session,
    now: nowMs,
  };
}

/** Of a URL as it is sent; nothing of it is brought into another form than the name of the host. */
export function shownUrl(url: string): { isPlain?: true; host: string; target: string } {
  const [, scheme = "", authority = "", rest = ""] = /^(https?):\/\/([^/?]*)(.*)$/is.exec(url) ?? [];
  const isPlain = scheme.toLowerCase() === "http";
  const host = authority.toLowerCase().replace(isPlain ? /:80$/ : /:443$/, "");
  return { ...(isPlain && { isPlain }), host, target: rest.startsWith("/") ? rest : `/${rest}` };
}

/** What changes nothing (RFC 9110 section 9.2.1). */
export const readingMethods = ["GET", "HEAD", "OPTIONS"];

/** By these some servers take a request for one of another method. */
export const methodOverrides = ["x-http-method", "x-http-method-override", "x-method-override"];

/** @param headers with names in lower case; with those that change the method at least @param showsAll whether they are all of them */
export function shownHeaders(
  method: string,
  headers: Iterable<readonly [string, string]>,
  showsAll: boolean,
) {
  const kept = new Map(
    [...headers].filter(([name]) => !credentialHeaders.test(name) && !name.startsWith(":")),
  );
  const isOverridden = methodOverrides.some((name) => kept.has(name));
  return { method: isOverridden ? undefined : method, headers: showsAll ? kept : undefined };
}

/** Headers that hold a credential, and say nothing of what a request does. */
const credentialHeaders = /^(authorization|proxy-authorization|dpop|cookie|x-api-key|x-amz-security-token)$/;

/** Path and query in one form. What servers read in several ways is undefined. */
export function readTarget(target: string) {
  const [before = "", ...rest] = target.split("?");
  return { path: canonicalPath(before), query: queryOf(rest.join("?")) };
}

/** What climbs, doubled slashes, control characters, and UTF-8 in more bytes than it takes (RFC 3629 section 3). */
const unclear =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  /\/\/|[/\\]\s*\.{1,2}\s*($|[/\\;])|[\x00-\x1f\x7f\\]|[\xc0\xc1]|\xe0[\x80-\x9f]|\xf0[\x80-\x8f]/;

/** The path with nothing encoded that need not be; undefined where it climbs, or where one server would read another path than the next. */
function canonicalPath(path: string): string | undefined {
  if (!path.startsWith("/") || /[^\x21-\x7e]|[\\#]|%(?![0-9a-f]{2})/i.test(path)) return undefined;
  const once = decoded(path);
  if ([path, once, decoded(once)].some((text) => unclear.test(text))) return undefined;
  return path.replace(/%[0-9a-f]{2}/gi, (code) => {
    const character = decoded(code);
    return /[A-Za-z0-9._~-]/.test(character) ? character : code.toUpperCase();
  });
}

/** Each character one byte. */
function decoded(text: string): string {
  return text.replace(/%([0-9a-f]{2})/gi, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 16)),
  );
}

/** A name that stands there twice has no value: servers take the first, the last, or both. */
function queryOf(query: string): ReadonlyMap<string, string | undefined> {
  const values = new Map<string, string | undefined>();
  for (const [name, value] of new URLSearchParams(query))
    values.set(name, values.has(name) ? undefined : value);
  return values;
}
