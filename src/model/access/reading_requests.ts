import { type ApiReads, apiReads } from "./api_reads.js";
import { ByHost, pathPattern } from "./by_host.js";

/** What changes nothing (RFC 9110 section 9.2.1). */
export const readingMethods = ["GET", "HEAD", "OPTIONS"];

/** A request as it is judged. What is unknown is undefined. */
export interface JudgedLine {
  readonly method: string | undefined;
  /** Canonical name, with or without a port. */
  readonly host: string | undefined;
  readonly path: string | undefined;
  /** The other text that servers may take the path for. */
  readonly decoded?: string | undefined;
  readonly query: ReadonlyMap<string, string | undefined> | undefined;
}

/**
 * Whether a request only reads: GET, HEAD, and OPTIONS do, unless what is known about the API says otherwise.
 *
 * @returns undefined where it depends on what is unknown
 */
export function readsOnly(line: JudgedLine): boolean | undefined {
  const { method, host, path, decoded, query } = line;
  if (method === undefined || host === undefined) return undefined;
  const isReading = readingMethods.includes(method);
  const api = known.at(host);
  if (!api) return isReading;
  if (!isReading && method !== "POST") return false;
  if (api.action && writesBy(api.action, query)) return false;
  if (isReading && !api.isClosed) return true;
  if (path === undefined) return undefined;
  const [reads, other] = [path, decoded ?? path].map((one) => api.paths.some((pattern) => pattern.test(one)));
  return reads === other ? reads : undefined;
}

/**
 * Whether a list of methods lets a request through. One without a method that writes lets nothing write; with all methods that read, it lets
 * all through that only reads.
 *
 * @returns undefined where it depends on what is unknown
 */
export function isWithinMethods(
  methods: readonly string[],
  { method, reads }: { readonly method: string | undefined; readonly reads: boolean | undefined },
): boolean | undefined {
  if (isReadOnly(methods)) return reads;
  const isNamed = method === undefined ? undefined : methods.includes(method);
  return isNamed === true && isReadingList(methods) ? reads : isNamed;
}

/** Whether such a list stands for all that only reads. */
export function isReadOnly(methods: readonly string[]): boolean {
  return isReadingList(methods) && readingMethods.every((method) => methods.includes(method));
}

/** Whether none of the methods writes. */
export function isReadingList(methods: readonly string[]): boolean {
  return methods.length > 0 && methods.every((method) => readingMethods.includes(method));
}

function writesBy({ parameter, reads }: NonNullable<ApiReads["action"]>, query: JudgedLine["query"]) {
  const values = [...(query ?? [])].filter(([name]) => name.toLowerCase() === parameter);
  return values.length > 1 || values.some(([, value]) => value === undefined || !reads.test(value));
}

interface CompiledReads extends Omit<ApiReads, "hosts" | "paths"> {
  readonly paths: readonly RegExp[];
}

const known = new ByHost<CompiledReads>(
  apiReads.map(({ hosts, paths = [], ...api }) => [hosts, { ...api, paths: paths.map(pathPattern) }]),
);
