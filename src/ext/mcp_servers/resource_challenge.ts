import { parseChallenges } from "../../oauth/oauth.js";
import { OutboundError, type OutboundFetch } from "../../outbound/outbound.js";

/** What a protected resource says to a request without a token (RFC 6750 section 3, RFC 9728 section 5.1). */
export interface ResourceChallenge {
  /** Where its metadata is; undefined when it does not say. */
  readonly metadataUrl: string | undefined;
  /** Scopes that are needed for now; undefined when it does not say. */
  readonly scopes: readonly string[] | undefined;
}

const noChallenge: ResourceChallenge = { metadataUrl: undefined, scopes: undefined };

/** A page of tools that a server without authorization answers; the challenge stands in the headers. */
const maxBytes = 256 * 1024;
const maxScopes = 100;

/** The one request that servers of every revision of the protocol answer with their challenge, and that changes nothing. */
const probe = {
  jsonrpc: "2.0",
  id: 1,
  method: "tools/list",
  params: {
    _meta: {
      "io.modelcontextprotocol/protocolVersion": "2026-07-28",
      "io.modelcontextprotocol/clientInfo": { name: "nexusd", version: "1" },
      "io.modelcontextprotocol/clientCapabilities": {},
    },
  },
};

/**
 * Asks an MCP server without a token, to get its challenge. A server that answers anything else has none to give.
 *
 * @throws OutboundError when it cannot be reached, or redirects
 */
export async function askForChallenge(
  mcpServerUrl: string,
  outbound: OutboundFetch,
): Promise<ResourceChallenge> {
  try {
    const response = await outbound(mcpServerUrl, {
      method: "POST",
      headers: {
        accept: "application/json, text/event-stream",
        "content-type": "application/json",
        "mcp-protocol-version": "2026-07-28",
        "mcp-method": "tools/list",
      },
      body: JSON.stringify(probe),
      maxBytes,
    });
    if (response.status !== 401 && response.status !== 403) return noChallenge;
    return await challengeOf(response.headers.get("www-authenticate") ?? "");
  } catch (error) {
    // A server that is open to everybody may answer by a stream that does not end.
    const isOpen = error instanceof OutboundError && error.httpStatus !== undefined && error.httpStatus < 300;
    if (isOpen) return noChallenge;
    throw error;
  }
}

/** Of the challenges of a `WWW-Authenticate` header, the first that names metadata or scopes. What is malformed is none. */
export async function challengeOf(header: string): Promise<ResourceChallenge> {
  const challenges = (await parseChallenges(header)).filter(({ scheme }) =>
    ["bearer", "dpop"].includes(scheme),
  );
  const found = challenges.find(({ parameters }) => parameters.resource_metadata ?? parameters.scope);
  if (!found) return noChallenge;
  const { resource_metadata: metadataUrl, scope } = found.parameters;
  return { metadataUrl, scopes: scope === undefined ? undefined : scopeTokens(scope.split(" ")) };
}

/** What may be a scope (RFC 6749 section 3.3), each once. */
export function scopeTokens(values: readonly unknown[]): readonly string[] {
  const tokens = values.filter((each) => typeof each === "string" && /^[!#-[\]-~]{1,256}$/.test(each));
  return [...new Set(tokens as string[])].slice(0, maxScopes);
}
