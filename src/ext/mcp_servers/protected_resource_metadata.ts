import { parseJsonObject } from "../../model/model.js";
import { isLoopbackHost } from "../../model/providers/providers.js";
import type { OutboundFetch } from "../../outbound/outbound.js";
import { scopeTokens } from "./resource_challenge.js";

/** What is used of a document of RFC 9728 section 2. */
export interface ProtectedResource {
  /** The resource identifier, letter by letter as it is published: requests name it so. */
  readonly resource: string;
  /** Issuers, in the order of the document; empty where it names none. */
  readonly authorizationServers: readonly string[];
  /** Undefined when the document does not say. */
  readonly scopes: readonly string[] | undefined;
  /** Name for people; empty when the document has none. */
  readonly name: string;
}

/** The metadata must not be used, for a person: which document, and what is wrong with it. */
export class ResourceMetadataRejected extends Error {}

/** The largest known are 2 KiB. */
const maxBytes = 64 * 1024;
/** Each may cost three requests. */
const maxAuthorizationServers = 5;

/** Where the metadata of a server is that does not say: at the well-known URL with its path (RFC 9728 section 3.1), and at the root. */
export function resourceMetadataUrls(mcpServerUrl: string): readonly string[] {
  const { origin, pathname, search } = new URL(mcpServerUrl);
  const root = `${origin}/.well-known/oauth-protected-resource`;
  const path = pathname === "/" ? "" : pathname;
  return path === "" && search === "" ? [root] : [`${root}${path}${search}`, root];
}

/**
 * The metadata of an MCP server.
 *
 * @param challenged the place that the server named; nothing else is then asked
 * @returns undefined when none is published
 * @throws ResourceMetadataRejected; OutboundError
 */
export async function fetchResourceMetadata(
  mcpServerUrl: string,
  challenged: string | undefined,
  outbound: OutboundFetch,
): Promise<ProtectedResource | undefined> {
  if (challenged !== undefined && !isPermittedPlace(challenged, mcpServerUrl)) {
    throw new ResourceMetadataRejected(
      `${mcpServerUrl} names a URL of its resource metadata that is not https: inform the operator of the server`,
    );
  }
  for (const url of challenged === undefined ? resourceMetadataUrls(mcpServerUrl) : [challenged]) {
    const response = await outbound(url, {
      method: "GET",
      headers: { accept: "application/json" },
      maxBytes,
    });
    const document = response.status === 200 ? parseJsonObject(await response.text()) : undefined;
    if (document) return processResourceMetadata(mcpServerUrl, url, document);
    if (response.status >= 500 || response.status === 429 || challenged !== undefined) {
      const came = response.status === 200 ? "what is no JSON object" : `HTTP status ${response.status}`;
      throw new ResourceMetadataRejected(`${url} answers ${came}, where resource metadata is expected`);
    }
  }
  return undefined;
}

/** RFC 9728 section 3.3. @throws ResourceMetadataRejected */
function processResourceMetadata(
  mcpServerUrl: string,
  url: string,
  document: Readonly<Record<string, unknown>>,
): ProtectedResource {
  const { resource, authorization_servers, scopes_supported, resource_name } = document;
  if (typeof resource !== "string" || !isResourceOf(resource, mcpServerUrl)) {
    throw new ResourceMetadataRejected(
      `${url} describes another resource than ${mcpServerUrl}: its resource must be this URL, or one above it at the same origin`,
    );
  }
  const servers = Array.isArray(authorization_servers) ? authorization_servers : [];
  const issuers = servers.filter((each) => typeof each === "string" && isPermittedPlace(each, mcpServerUrl));
  if (servers.length > 0 && issuers.length === 0) {
    throw new ResourceMetadataRejected(`${url} names no authorization server by an https URL`);
  }
  return {
    resource,
    authorizationServers: [...new Set(issuers as string[])].slice(0, maxAuthorizationServers),
    scopes: Array.isArray(scopes_supported) ? scopeTokens(scopes_supported) : undefined,
    name: typeof resource_name === "string" ? resource_name : "",
  };
}

/** Whether a resource identifier is that of the server, or of what is above it: the same origin, and whole segments of its path. */
export function isResourceOf(resource: string, mcpServerUrl: string): boolean {
  if (resource.length > 2_048 || resource.includes("#") || !URL.canParse(resource)) return false;
  const [above, server] = [new URL(resource), new URL(mcpServerUrl)];
  if (above.origin !== server.origin || above.username !== "" || above.password !== "") return false;
  if (above.search !== "" && above.search !== server.search) return false;
  const segments = (path: string): string => (path.endsWith("/") ? path : `${path}/`);
  return segments(server.pathname).startsWith(segments(above.pathname));
}

/** A server on another machine must not lead the daemon to a port of this machine, or over http. */
function isPermittedPlace(text: string, mcpServerUrl: string): boolean {
  if (text.length > 2_048 || /[^\x21-\x7e]|[#\\]/.test(text) || !URL.canParse(text)) return false;
  const url = new URL(text);
  if (url.username !== "" || url.password !== "") return false;
  const isLocal = isLoopbackHost(new URL(mcpServerUrl).hostname);
  if (isLocal) return url.protocol === "https:" || (url.protocol === "http:" && isLoopbackHost(url.hostname));
  return url.protocol === "https:" && !isLoopbackHost(url.hostname);
}
