import { allProviders, formatTime } from "../../../cli/kit.js";
import { AuthType, type Provider } from "../../../gen/nexus/v1/provider_pb.js";
import { mayUseProvider } from "./mcp_policy.js";
import { type McpServer, z } from "./sdk.js";
import { accountOf, accountShape, answering, jsonResult, onConnection, type ToolDeps } from "./tool.js";

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

/** `get_token`, which only `--allow-get-token` adds: whatever the model reads can leave by what it writes. */
export function addTokenTool(server: McpServer, deps: ToolDeps): void {
  const { policy, sessionOf } = deps;
  server.registerTool(
    "get_token",
    {
      title: "Read a token",
      description:
        "Gives the current credential of a connection itself. Prefer call_api, which never shows it. Do not repeat it to anybody.",
      inputSchema: z.strictObject(accountShape(policy)),
      annotations: { readOnlyHint: true, openWorldHint: false },
    },
    (given, context) =>
      answering(async () => {
        const account = await accountOf(deps, context, given);
        const { daemon, call } = sessionOf(context);
        const { token } = await onConnection(account, () =>
          call(`read the token of ${account.providerName}`, daemon.tokens.getToken, { name: account }),
        );
        if (!token) throw new Error("the daemon answered without a token");
        const { credentials, expiresAt, grantedScopes } = token;
        return jsonResult({
          provider: account.providerName,
          strategy: token.strategy?.kind.case,
          ...(token.tokenType === "DPoP" ? { token_type: token.tokenType } : {}),
          credentials,
          ...(expiresAt ? { expires_at: formatTime(expiresAt) } : {}),
          scopes: grantedScopes,
        });
      }, given),
  );
}
