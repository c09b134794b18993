import { ClientRegistration, type Provider } from "../../gen/nexus/v1/provider_pb.js";
import { usageFailure } from "../shell/command_failure.js";
import type { DaemonSession } from "../shell/daemon_command.js";
import type { Shell } from "../shell/shell.js";
import { printable } from "../shell/text.js";
import { readClientSecret } from "./client_secret.js";

/** A client that a person registered at the authorization server of an MCP server. */
export interface McpClientFlags {
  readonly clientId?: string;
  readonly clientSecretFile?: string;
  readonly json?: boolean;
}

/** Whether it is the URL of an MCP server, and no name or id of a provider. */
export function isMcpServerUrl(provider: string): boolean {
  return /^\s*https?:\/\//i.test(provider);
}

/** The flags of a client go with a URL: another provider has its own. */
export function refuseClientFlags({ clientId, clientSecretFile }: McpClientFlags): void {
  if (clientId === undefined && clientSecretFile === undefined) return;
  throw usageFailure(
    "--client-id and --client-secret-file go with the URL of an MCP server; a provider that exists is changed by nexusd provider update",
  );
}

/** Has the daemon find or make the provider of the server, and says which it is. @returns its name */
export async function providerOfMcpServer(
  { shell, call, daemon }: DaemonSession,
  url: string,
  flags: McpClientFlags,
): Promise<string> {
  const given = await givenClient(shell, flags);
  const answer = await call(`make a provider of ${url.trim()}`, daemon.providers.createProvider, {
    mcpServerUrl: url.trim(),
    ...given,
  });
  const { provider } = answer;
  if (!provider) throw new Error("the daemon answered without a provider");
  if (!flags.json) shell.stdout.write(printable(summaryOf(provider)).concat("\n"));
  return provider.name;
}

async function givenClient(shell: Shell, { clientId, clientSecretFile }: McpClientFlags) {
  if (clientId === undefined) {
    if (clientSecretFile === undefined) return {};
    throw usageFailure("--client-secret-file needs --client-id");
  }
  const secret = clientSecretFile === undefined ? undefined : await readClientSecret(shell, clientSecretFile);
  return { provider: { clientId, clientSecret: secret?.reveal() ?? "" } };
}

const registrations: Readonly<Record<ClientRegistration, string>> = {
  [ClientRegistration.UNSPECIFIED]: "a client that a person registered",
  [ClientRegistration.METADATA_DOCUMENT]: "known by its Client ID Metadata Document",
  [ClientRegistration.DYNAMIC]: "registered there by the daemon",
};

function summaryOf({ name, mcpServerUrl, issuer, tokenUrl, clientRegistration }: Provider): string {
  const server = issuer === "" ? tokenUrl : issuer;
  return `The provider ${name} is for ${mcpServerUrl}: authorization server ${server}, ${registrations[clientRegistration]}`;
}
