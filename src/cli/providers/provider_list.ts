import { Command } from "commander";
import { GetProviderResponseSchema, type Provider, ProviderSchema } from "../../gen/nexus/v1/provider_pb.js";
import { tokenEndpointAuthMethods } from "../../model/providers/profile_fields.js";
import { formatDuration } from "../../model/quantity_text.js";
import { addDaemonFlags, type DaemonFlags, type DaemonSession, withDaemon } from "../shell/daemon_command.js";
import { durationMsOf } from "../shell/duration.js";
import type { Shell } from "../shell/shell.js";
import { formatFields, formatTable, formatTime, jsonLine } from "../shell/text.js";
import { allProviders, findProvider } from "./provider_key.js";
import { furtherFields, pkceWord, quirkSentences, typeName } from "./provider_words.js";

export function providerListCommand(shell: Shell): Command {
  return addDaemonFlags(new Command("list").description("list the providers")).action((flags: DaemonFlags) =>
    withDaemon(shell, flags, async (session) => {
      const providers = await allProviders(session);
      if (flags.json) {
        for (const provider of providers) shell.stdout.write(jsonLine(ProviderSchema, provider));
        return;
      }
      if (providers.length === 0) {
        return shell.stderr.write("no providers yet: nexusd provider add --help\n");
      }
      const rows = providers.map((provider) => [
        provider.name,
        provider.id,
        typeName(provider),
        pkceWord(provider),
        provider.enableDiscovery ? provider.issuer : provider.authUrl,
        provider.scopes.join(" "),
        provider.description,
      ]);
      shell.stdout.write(
        formatTable(["NAME", "ID", "TYPE", "PKCE", "ISSUER OR AUTH URL", "SCOPES", "DESCRIPTION"], rows),
      );
    }),
  );
}

export function providerGetCommand(shell: Shell): Command {
  const command = new Command("get").description("show one provider").argument("<provider>", "name or id");
  return addDaemonFlags(command).action((idOrName: string, flags: DaemonFlags) =>
    withDaemon(shell, flags, (session) => showProvider(shell, session, idOrName, flags)),
  );
}

export async function showProvider(
  shell: Shell,
  session: DaemonSession,
  idOrName: string,
  flags: DaemonFlags,
): Promise<void> {
  const answer = await findProvider(session, idOrName);
  if (flags.json) {
    return shell.stdout.write(
      jsonLine(GetProviderResponseSchema, { $typeName: "nexus.v1.GetProviderResponse", ...answer }),
    );
  }
  shell.stdout.write(formatFields([...describe(answer.provider), ["redirect URI", answer.redirectUri]]));
}

function describe(provider: Provider): [string, string][] {
  const params = Object.entries(provider.authorizationParams).map(([name, value]) => `${name}=${value}`);
  const window = provider.refreshWindow;
  return [
    ["name", provider.name],
    ["id", provider.id],
    ["type", typeName(provider)],
    ["template", provider.template],
    ["description", provider.description],
    ["category", provider.category],
    ["issuer", provider.issuer],
    ["discovery", provider.enableDiscovery ? "on" : "off"],
    ["auth URL", provider.authUrl],
    ["token URL", provider.tokenUrl],
    ["JWKS URL", provider.jwksUrl],
    ["client id", provider.clientId],
    ["client secret", provider.clientSecretSet ? "set" : "not set"],
    ["auth method", tokenEndpointAuthMethods[provider.tokenEndpointAuthMethod - 1] ?? ""],
    ["scopes", provider.scopes.join(" ")],
    ["PKCE", pkceWord(provider)],
    ["parameters", params.join(" ")],
    ...quirkSentences(provider).map((sentence): [string, string] => ["quirk", sentence]),
    ["refresh window", window ? formatDuration(durationMsOf(window)) : ""],
    ["API base URL", provider.apiBaseUrl],
    ["user info", provider.userInfoEndpoint],
    ...furtherFields(provider),
    ["created", formatTime(provider.createdAt)],
    ["updated", formatTime(provider.updatedAt)],
  ];
}
