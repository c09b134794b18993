import { type ProviderSettings, profileFields } from "../../model/providers/providers.js";
import type { ProfileClient } from "./mcp_clients.js";
import type { DiscoveredMcpServer } from "./mcp_discovery.js";

/** Of a profile without settings: type `oauth2`, a bearer token, a user's consent. */
const unsetSettings = Object.fromEntries(
  profileFields.map(({ key, fallback }) => [key, fallback]),
) as unknown as ProviderSettings;

/** The settings of a new profile: from here on it is one like any other. */
export function settingsOfMcpServer(
  name: string,
  discovered: DiscoveredMcpServer,
  client: ProfileClient,
): ProviderSettings {
  const { mcpServerUrl } = discovered;
  const plain: ProviderSettings = {
    ...unsetSettings,
    name,
    apiBaseUrl: mcpServerUrl,
    description: displayNameOf(discovered),
    category: "mcp",
    mcpServerUrl,
  };
  return { ...plain, ...settingsOfServer(plain, discovered, client) };
}

/** What of a profile its authorization server decides. */
export function settingsOfServer(
  before: ProviderSettings,
  { server, scopes, resource }: DiscoveredMcpServer,
  { clientId, method }: ProfileClient,
) {
  const isPublished = server.issuer !== undefined;
  return {
    clientId,
    tokenEndpointAuthMethod: method,
    issuer: server.issuer ?? "",
    enableDiscovery: isPublished,
    authUrl: isPublished ? "" : server.authorizationEndpoint,
    tokenUrl: isPublished ? "" : server.tokenEndpoint,
    scopes,
    oauth2: { ...before.oauth2, resource },
  } satisfies Partial<ProviderSettings>;
}

/** The name that the server gives itself, for lists: one line of limited length. */
function displayNameOf({ name, mcpServerUrl }: DiscoveredMcpServer): string {
  const line = name.replace(/[^\x20-\x7e\u00a0-\ufffd]/g, " ").trim();
  return line === "" ? `MCP server ${mcpServerUrl}`.slice(0, 200) : line.slice(0, 200);
}
