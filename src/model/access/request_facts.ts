import {
  canonicalTarget,
  isCanonicalMethod,
  isMethodParameter,
  overriddenBy,
  withHyphens,
} from "./canonical_request.js";
import { readsOnly } from "./reading_requests.js";
import { type BodyFields, bodyFields } from "./request_body.js";
import { labelsOfRequest, type RequestLabels } from "./request_labels.js";
import type { ConnectionFacts } from "./scope_restriction.js";

/** A request to an API as its sender describes it. What the sender left out is undefined. */
export interface DescribedRequest {
  readonly method: string | undefined;
  /** Canonical name, with the port where it is not that of the scheme. */
  readonly host: string | undefined;
  /** It goes over http. */
  readonly isPlain?: true;
  /** Path and query, as they are sent. */
  readonly target: string | undefined;
  /** With names in lower case; those of credentials are left out. */
  readonly headers: ReadonlyMap<string, string> | undefined;
  /** Names of headers that servers read in several ways: those that change method or path, and those that stand there twice. */
  readonly unclearHeaders?: readonly string[];
  readonly body: DescribedBody | undefined;
  /** Of `nexusd run`: what it names its run by. */
  readonly session: string | undefined;
  /** It is sent once more, since the API refused the credential of the first one. */
  readonly repeats?: true;
}

export interface DescribedBody {
  readonly size: number;
  /** SHA-256, hexadecimal. */
  readonly digest: string;
  /** The bytes themselves, where they are few enough to be read by a person. */
  readonly bytes: Uint8Array | undefined;
}

/** A longer body is described by its digest and size. */
export const maxDescribedBytes = 65_536;

/** What a condition may ask for, and of which kind it is. */
export const factKinds = {
  "request.method": "string",
  "request.host": "string",
  "request.path": "string",
  "request.reads": "bool",
  "request.labels": "set",
  "request.query": "map",
  "request.headers": "map",
  "request.size": "int",
  "request.digest": "string",
  "request.body": "fields",
  "connection.id": "string",
  "connection.user": "string",
  "connection.provider": "string",
  "caller.name": "string",
  "session.id": "string",
  "session.labels": "set",
  now: "timestamp",
} as const;

export type FactName = keyof typeof factKinds;
export type Fact =
  | string
  | number
  | boolean
  | ReadonlyMap<string, string | undefined>
  | BodyFields
  | ReadonlySet<string>;
/** What is unknown until the body is read. */
export const bodyFacts: readonly FactName[] = ["request.size", "request.digest", "request.body"];

/** What is known. What is undefined is unknown. */
export type Facts = { readonly [name in FactName]: Fact | undefined } & {
  /** The same with the other text that servers may take the path for. */
  readonly otherwise?: Facts;
  /** Why servers may read a fact in several ways. */
  readonly unclear?: Readonly<Partial<Record<FactName, string>>>;
};

/** @param labels of the session; a token that no request is described for could be used after others are set */
export function factsOf(
  callerName: string,
  connection: ConnectionFacts,
  request: DescribedRequest | undefined,
  nowMs: number,
  labels?: ReadonlySet<string>,
): Facts {
  const line = request && lineOf(request);
  const headers = request && headersOf(request);
  const { size, digest, bytes } = request?.body ?? {};
  const facts: Facts = {
    "request.method": line?.method,
    "request.host": request?.host,
    "request.path": line?.path,
    "request.reads": line?.reads,
    "request.labels": line?.labels,
    "request.query": line?.query,
    "request.headers": headers,
    "request.size": size,
    "request.digest": digest,
    "request.body": bytes && headers && bodyFields(bytes, headers, line?.query),
    "connection.id": connection.connectionId,
    "connection.user": connection.userId,
    "connection.provider": connection.provider.name,
    "caller.name": callerName,
    "session.id": request?.session,
    "session.labels": request && labels,
    now: nowMs,
    ...(line && { unclear: line.unclear }),
  };
  return line?.decoded === undefined
    ? facts
    : { ...facts, otherwise: { ...facts, "request.path": line.decoded } };
}

/** What a request is known to do; undefined where that depends on what is unknown. */
export function ownLabelsOf(request: DescribedRequest): RequestLabels | undefined {
  return lineOf(request).labels;
}

/** Method, path and query, and why each of them is unknown although it was described. */
function lineOf({ method, host, target, unclearHeaders = [] }: DescribedRequest) {
  const { path, decoded, unclear } = target === undefined ? { path: undefined } : canonicalTarget(target);
  const query = target === undefined ? undefined : queryOf(target);
  const overriding = (what: "method" | "path") => {
    const name = unclearHeaders.find((one) => overriddenBy(one) === what);
    return name === undefined ? undefined : `the header ${name}`;
  };
  const parameter = [...(query?.keys() ?? [])].find(isMethodParameter);
  const ofMethod =
    overriding("method") ??
    (parameter === undefined ? undefined : `the parameter ${parameter}`) ??
    (method === undefined || isCanonicalMethod(method) ? undefined : "small letters");
  const ofPath = overriding("path") ?? unclear;
  const others = unclearHeaders.filter((name) => overriddenBy(name) === undefined);
  const line = {
    method: ofMethod === undefined ? method : undefined,
    path: ofPath === undefined ? path : undefined,
    query,
  };
  const judged = { ...line, host, decoded };
  const reads = readsOnly(judged);
  const labels = labelsOfRequest(judged);
  const why = ofMethod ?? ofPath ?? (decoded && percentEncoding);
  return {
    ...line,
    reads,
    labels,
    ...(ofPath === undefined && decoded !== undefined && { decoded }),
    unclear: {
      ...(ofMethod !== undefined && { "request.method": ofMethod }),
      ...((ofPath ?? decoded) !== undefined && {
        "request.path": ofPath ?? percentEncoding,
      }),
      ...(reads === undefined && why !== undefined && { "request.reads": why }),
      ...(labels === undefined && why !== undefined && { "request.labels": why }),
      ...(others.length > 0 && { "request.headers": `the header ${others[0]}` }),
    },
  };
}

const percentEncoding = "percent-encoding that a rule goes by";

/** A header that servers read in several ways is there and has no value. */
function headersOf({ headers, unclearHeaders = [] }: DescribedRequest) {
  if (!headers || unclearHeaders.length === 0) return headers;
  const known = new Map<string, string | undefined>(headers);
  for (const name of unclearHeaders) known.set(name, undefined);
  return known;
}

/** Of a URL as it is sent; nothing of it is brought into another form than the name of the host. */
export function describedUrl(url: string): { isPlain?: true; host: string; target: string } {
  const [, scheme = "", authority = "", rest = ""] = /^(https?):\/\/([^/?]*)(.*)$/is.exec(url) ?? [];
  const isPlain = scheme.toLowerCase() === "http";
  const host = authority
    .toLowerCase()
    .replace(isPlain ? /:80$/ : /:443$/, "")
    .replace(/\.(?=:\d+$|$)/, "");
  return { ...(isPlain && { isPlain }), host, target: rest.startsWith("/") ? rest : `/${rest}` };
}

/**
 * @param headers with names in lower case; those that change method or path at least. A name that comes several times is joined, as RFC 9110
 * section 5.3 has it @param showsAll whether they are all of them
 */
export function describedHeaders(
  method: string,
  headers: Iterable<readonly [string, string]>,
  showsAll: boolean,
) {
  const kept = new Map<string, string>();
  const unclear = new Set<string>();
  for (const [name, value] of headers) {
    if (credentialHeaders.test(name) || name.startsWith(":")) continue;
    const before = kept.get(name);
    if (before !== undefined || overriddenBy(name) !== undefined) unclear.add(name);
    // To servers that know no underscores it is another header.
    if (name.includes("_")) unclear.add(withHyphens(name));
    kept.set(name, before === undefined ? value : `${before}, ${value}`);
  }
  return {
    method,
    headers: showsAll ? kept : undefined,
    ...(unclear.size > 0 && { unclearHeaders: [...unclear] }),
  };
}

/** Headers that hold a credential, and say nothing of what a request does. */
const credentialHeaders = /^(authorization|proxy-authorization|dpop|cookie|x-api-key|x-amz-security-token)$/;

/** A name that stands there twice has no value: servers take the first, the last, or both. */
export function queryOf(target: string): ReadonlyMap<string, string | undefined> {
  const [, ...query] = target.split("?");
  const values = new Map<string, string | undefined>();
  for (const [name, value] of new URLSearchParams(query.join("?")))
    values.set(name, values.has(name) ? undefined : value);
  return values;
}
