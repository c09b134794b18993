import { readVersion } from "../../config/version.js";
import { addApiTool } from "./tools/api_tool.js";
import { addConnectTool } from "./tools/connect_tool.js";
import { addConnectionTools } from "./tools/connection_tools.js";
import { addProviderTools } from "./tools/provider_tools.js";
import { type McpRequestContext, McpServer } from "./tools/sdk.js";
import { addTokenTool } from "./tools/token_tool.js";
import type { ToolDeps } from "./tools/tool.js";

const instructions =
  "nexusd keeps the user's accounts at API providers connected. list_providers shows which there are; call_api sends a request to one with the user's credential, which you never see. Where call_api says that a person has to consent, call connect.";

/** A server for one connection of a client, or for one request where the protocol has no connections. */
export function makeMcpServer(deps: ToolDeps, era: McpRequestContext["era"]): McpServer {
  const server = new McpServer(
    { name: "nexusd", title: "nexusd", version: readVersion() },
    { instructions, capabilities: { tools: { listChanged: false }, logging: {} } },
  );
  addProviderTools(server, deps);
  addConnectionTools(server, deps);
  addConnectTool(server, deps, era);
  addApiTool(server, deps);
  if (deps.policy.givesTokens) addTokenTool(server, deps);
  return server;
}
