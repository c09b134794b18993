import { OutboundError, type OutboundFetch } from "../outbound/outbound.js";

export type DiscoveryError =
  | "forbidden"
  | "unreachable"
  | "http_status"
  | "not_json"
  | "issuer_mismatch"
  | "missing_endpoint"
  | "invalid_endpoint";

const sentences: Readonly<Record<DiscoveryError, string>> = {
  forbidden: "the discovery document must not be fetched from where it stands",
  unreachable: "the discovery document could not be fetched",
  http_status: "the discovery document was answered with another status than 200",
  not_json: "the discovery document is not a JSON object",
  issuer_mismatch: "the discovery document names another issuer, compared character by character",
  missing_endpoint: "the discovery document lacks an endpoint",
  invalid_endpoint: "the discovery document holds an endpoint that is no https URL (http only on loopback)",
};

/** Why there is no discovery document to work with. Holds nothing that the provider wrote. */
export class DiscoveryFailure extends Error {
  constructor(
    readonly reason: DiscoveryError,
    /** Name of the member of the document, HTTP status, or the words of `OutboundError`. */
    readonly detail?: string,
  ) {
    super(detail === undefined ? sentences[reason] : `${sentences[reason]}: ${detail}`);
    this.name = "DiscoveryFailure";
  }

  /** Whether trying again can help without anybody changing the profile. */
  get isTransient(): boolean {
    return this.reason === "unreachable" || this.reason === "http_status";
  }
}

/** OpenID Connect Discovery 1.0 section 4.1: a terminating slash of the issuer is removed first. */
export function discoveryUrl(issuer: string): string {
  return `${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`;
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
  return processDiscoveryResponse(await sendDiscoveryRequest(issuer, fetch, signal));
}

async function sendDiscoveryRequest(
  issuer: string,
  fetch: OutboundFetch,
  signal: AbortSignal | undefined,
): Promise<Response> {
  try {
    return await fetch(discoveryUrl(issuer), {
      method: "GET",
      headers: { accept: "application/json" },
      signal,
    });
  } catch (violation) {
    if (!(violation instanceof OutboundError)) throw new DiscoveryFailure("unreachable");
    throw new DiscoveryFailure(violation.isForbidden ? "forbidden" : "unreachable", violation.message);
  }
}

/** OpenID Connect Discovery 1.0 section 4.2: 200 and a JSON object. The content type is not looked at: many err in it. */
async function processDiscoveryResponse(response: Response): Promise<string> {
  if (response.status !== 200) throw new DiscoveryFailure("http_status", String(response.status));
  const text = await response.text();
  parseDiscoveryDocument(text);
  return text;
}

/** @throws DiscoveryFailure unless it is a JSON object */
export function parseDiscoveryDocument(text: string): Readonly<Record<string, unknown>> {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    throw new DiscoveryFailure("not_json");
  }
  if (typeof document !== "object" || document === null || Array.isArray(document)) {
    throw new DiscoveryFailure("not_json");
  }
  return document as Record<string, unknown>;
}

/** An issuer that somebody else wrote, for an error of ours: an http(s) URL of visible ASCII as it is, and nothing else. */
export function shownIssuer(text: unknown): string {
  const isPlain = typeof text === "string" && /^https?:\/\/[\x21-\x7e]{1,200}$/.test(text);
  return isPlain && URL.canParse(text) && new URL(text).username === "" ? text : "(a text that is no URL)";
}
