import type { ClientCapabilities, McpRequestContext, McpServer, ServerContext } from "./sdk.js";

export type Era = McpRequestContext["era"];

/** By what the client announced: in the handshake, or with this request. */
export function canShowLinks(server: McpServer, { mcpReq }: ServerContext): boolean {
  const envelope = mcpReq.envelope as Readonly<Record<string, ClientCapabilities | undefined>> | undefined;
  const declared = envelope?.["io.modelcontextprotocol/clientCapabilities"];
  const capabilities = declared ?? server.server.getClientCapabilities();
  return capabilities?.elicitation?.url !== undefined;
}

export async function tellComplete(
  { mcpReq }: ServerContext,
  era: Era,
  elicitationId: string | undefined,
): Promise<void> {
  if (era !== "legacy" || elicitationId === undefined) return;
  await mcpReq.notify({ method: "notifications/elicitation/complete", params: { elicitationId } });
}

/** Has the session of this request, over HTTP, last until `work` is done, though the answer is sent before. */
export function keepSession({ http }: ServerContext, work: Promise<unknown>): void {
  (http?.authInfo?.extra?.["kept"] as Promise<unknown>[] | undefined)?.push(work);
}
