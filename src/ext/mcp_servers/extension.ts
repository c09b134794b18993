import type { Extension } from "../../core/registry.js";
import { OpenedWhenNeeded } from "./opened_when_needed.js";

/** Providers from the URL of an MCP server: discovery, registration of a client, and what follows when the server changes. */
export const mcpServers: Extension = {
  name: "mcp_servers",
  mcpLookup: (parts) =>
    new OpenedWhenNeeded(
      async (own) => (await import("./mcp_server_profiles.js")).openMcpProfiles(own),
      parts,
    ),
};
