import type { Extension } from "../../cli/shell/shell.js";

/** Providers from the URL of an MCP server: discovery, registration of a client, and what follows when the server changes. */
export const mcpServers: Extension = {
  name: "mcp_servers",
  mcpProfiles: async (parts) => (await import("./mcp_server_profiles.js")).openMcpProfiles(parts),
};
