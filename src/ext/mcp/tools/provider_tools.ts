import { allProviders } from "../../../cli/providers/provider_key.js";
import { AuthType, type Provider } from "../../../gen/nexus/v1/provider_pb.js";
import { mayUseProvider } from "./mcp_policy.js";
import { type McpServer, z } from "./sdk.js";
import { answering, jsonResult, type ToolDeps } from "./tool.js";

/** `list_providers` */
export function addProviderTools(server: McpServer, { policy, sessionOf }: ToolDeps): void {
  server.registerTool(
    "list_providers",
    {
      title: "List providers",
      description:
        "Lists the providers whose APIs can be called: their names, which connect and call_api take, and the base URL of each API.",
      inputSchema: z.strictObject({}),
      annotations: { readOnlyHint: true, openWorldHint: false },
    },
    (_given, context) =>
      answering(async () => {
        const all = await allProviders(sessionOf(context));
        return jsonResult({
          providers: all.filter(({ name }) => mayUseProvider(policy, name)).map(describe),
        });
      }),
  );
}

function describe({ name, authType, description, category, apiBaseUrl, scopes }: Provider) {
  return {
    name,
    auth_type: (AuthType[authType] ?? "").toLowerCase(),
    ...(description === "" ? {} : { description }),
    ...(category === "" ? {} : { category }),
    ...(apiBaseUrl === "" ? {} : { api_base_url: apiBaseUrl }),
    ...(scopes.length === 0 ? {} : { default_scopes: scopes }),
  };
}
