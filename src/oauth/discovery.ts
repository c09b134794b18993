import { networkWords } from "../outbound/network_words.js";
import type { OutboundResponse } from "../outbound/outbound_exchange.js";
import { OutboundError, type OutboundFetch } from "../outbound/outbound_fetch.js";

export type DiscoveryError =
  | "forbidden"
  | "unreachable"
  | "http_status"
  | "not_json"
  | "issuer_mismatch"
  | "missing_endpoint"
  | "invalid_endpoint";

type Words = (url: string, detail: string) => string;

const sentences: Readonly<Record<DiscoveryError, Words>> = {
  forbidden: (url, detail) => `${url} must not be fetched: ${detail}`,
  unreachable: (url, detail) => `${url} could not be fetched: ${detail}`,
  http_status: (url, detail) => `${url} answers HTTP status ${detail}: ${statusAdvice(Number(detail))}`,
  not_json: (url, detail) =>
    `${url} answers ${detail}, where a JSON object is expected: check the issuer of the profile`,
  issuer_mismatch: (url, detail) => `${url} ${detail}`,
  missing_endpoint: (url, detail) =>
    `${url} lacks ${detail}: give the endpoints themselves in the profile (auth_url, token_url), without enable_discovery`,
  invalid_endpoint: (url, detail) => `${url}: its ${detail} is no https URL (http only on loopback)`,
};

function statusAdvice(status: number): string {
  if (status === 404 || status === 410) {
    return "nothing is published there: check the issuer of the profile, or give auth_url and token_url without enable_discovery";
  }
  if (status >= 500 || status === 408 || status === 425 || status === 429) {
    return "the provider does not serve it at the moment: try again later";
  }
  return "check the issuer of the profile";
}

/** Why there is no discovery document to work with, for an operator: which URL was tried, what came, and what to do. */
export class DiscoveryFailure extends Error {
  constructor(
    readonly reason: DiscoveryError,
    issuer: string,
    /** Name of the member of the document, HTTP status, or what the network reported. */
    readonly detail: string,
    /** The clock of this machine is the first suspect. */
    readonly isClock = false,
    /** The URL of the request. */
    url = discoveryUrl(issuer),
  ) {
    super(sentences[reason](url, detail));
    this.name = "DiscoveryFailure";
  }
}

/** OpenID Connect Discovery 1.0 section 4.1: a terminating slash of the issuer is removed first. */
export function discoveryUrl(issuer: string): string {
  return `${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`;
}

/**
 * Where the MCP specification looks for the metadata of an authorization server. First comes RFC 8414 section 3.1. Then comes OpenID
 * Connect Discovery 1.0 with the path of the issuer at the end of the well-known URL (RFC 8414 section 5), and then before it.
 */
export function metadataUrls(issuer: string): readonly string[] {
  const { origin, pathname } = new URL(issuer);
  const path = pathname.replace(/\/+$/, "");
  const inserted = (suffix: string): string => `${origin}/.well-known/${suffix}${path}`;
  const urls = [inserted("oauth-authorization-server"), inserted("openid-configuration")];
  return path === "" ? urls : [...urls, discoveryUrl(`${origin}${path}`)];
}

/**
 * The first metadata document of an issuer that is there, as text, in the order of `metadataUrls`. A place that holds none answers with a
 * status of 4xx, or with a page.
 *
 * @throws DiscoveryFailure
 */
export async function fetchServerMetadata(issuer: string, fetch: OutboundFetch): Promise<string> {
  let last: DiscoveryFailure | undefined;
  for (const url of metadataUrls(issuer)) {
    try {
      const response = await sendDiscoveryRequest(issuer, fetch, undefined, url);
      return await processDiscoveryResponse(issuer, response, url);
    } catch (failure) {
      if (!(failure instanceof DiscoveryFailure) || !mayBeAtOtherUrl(failure)) throw failure;
      last ??= failure;
    }
  }
  throw last ?? new DiscoveryFailure("http_status", issuer, "404");
}

function mayBeAtOtherUrl({ reason, detail }: DiscoveryFailure): boolean {
  if (reason === "not_json") return true;
  const status = Number(detail);
  return reason === "http_status" && status >= 400 && status < 500 && ![408, 425, 429].includes(status);
}

/**
 * Fetches the discovery document of an issuer as text, for `fromDiscoveryDocument` to judge now and after a restart.
 *
 * @throws DiscoveryFailure
 */
export async function fetchDiscoveryDocument(
  issuer: string,
  fetch: OutboundFetch,
  signal?: AbortSignal,
): Promise<string> {
  return processDiscoveryResponse(issuer, await sendDiscoveryRequest(issuer, fetch, signal));
}

async function sendDiscoveryRequest(
  issuer: string,
  fetch: OutboundFetch,
  signal: AbortSignal | undefined,
  url = discoveryUrl(issuer),
): Promise<OutboundResponse> {
  try {
    return await fetch(url, {
      method: "GET",
      headers: { accept: "application/json" },
      signal,
    });
  } catch (violation) {
    if (!(violation instanceof OutboundError)) throw violation;
    if (violation.isForbidden || violation.reason === "authority_file")
      throw new DiscoveryFailure("forbidden", issuer, violation.message, false, url);
    const { words, isClock } = networkWords(violation);
    throw new DiscoveryFailure("unreachable", issuer, words, isClock, url);
  }
}

/** OpenID Connect Discovery 1.0 section 4.2: 200 and a JSON object. The content type is not looked at: many err in it. */
async function processDiscoveryResponse(
  issuer: string,
  response: OutboundResponse,
  url = discoveryUrl(issuer),
): Promise<string> {
  const { status } = response;
  if (status !== 200) throw new DiscoveryFailure("http_status", issuer, String(status), false, url);
  const text = await response.text();
  parseDiscoveryDocument(issuer, text, url);
  return text;
}

/** @throws DiscoveryFailure unless it is a JSON object */
export function parseDiscoveryDocument(
  issuer: string,
  text: string,
  url = discoveryUrl(issuer),
): Readonly<Record<string, unknown>> {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    const what = /^\s*</.test(text) ? "a page of HTML" : "a text that is no JSON";
    throw new DiscoveryFailure("not_json", issuer, what, false, url);
  }
  if (typeof document !== "object" || document === null || Array.isArray(document)) {
    throw new DiscoveryFailure("not_json", issuer, "JSON that is no object", false, url);
  }
  return document as Record<string, unknown>;
}

/** An issuer that somebody else wrote, for an error of ours: an http(s) URL of visible ASCII as it is, and nothing else. */
export function printableIssuer(text: unknown): string {
  const isPlain = typeof text === "string" && /^https?:\/\/[\x21-\x7e]{1,200}$/.test(text);
  return isPlain && URL.canParse(text) && new URL(text).username === "" ? text : "(a text that is no URL)";
}
