import { formatTime } from "../../../cli/shell/text.js";
import { type McpServer, z } from "./sdk.js";
import { accountOf, accountShape, answering, jsonResult, onConnection, type ToolDeps } from "./tool.js";

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
