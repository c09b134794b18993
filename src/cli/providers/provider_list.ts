import { Command } from "commander";
import type { Provider } from "../../gen/nexus/v1/provider_pb.js";
import { tokenEndpointAuthMethods } from "../../model/providers/profile_fields.js";
import { formatDuration } from "../../model/quantity_text.js";
import { type DaemonSession, daemonCommand } from "../shell/daemon_command.js";
import { durationMsOf } from "../shell/option_values.js";
import type { Shell } from "../shell/shell.js";
import { formatFields, formatWhen, shortId } from "../shell/text.js";
import { allProviders, findProvider } from "./provider_key.js";
import { furtherFields, pkceWord, quirkSentences, typeName } from "./provider_words.js";

export function providerListCommand(shell: Shell): Command {
  const command = new Command("list").description("list the providers");
  return daemonCommand(shell, command, async (session) =>
    session.showList(await allProviders(session), {
      none: "no providers yet: nexusd provider add\n",
      columns: {
        NAME: ({ name }) => name,
        ID: ({ id }) => shortId(id),
        TYPE: typeName,
        PKCE: pkceWord,
        "ISSUER OR AUTH URL": ({ enableDiscovery, issuer, authUrl }) => (enableDiscovery ? issuer : authUrl),
        SCOPES: ({ scopes }) => scopes.join(" "),
        DESCRIPTION: ({ description }) => description,
      },
    }),
  );
}

export async function showProvider(session: DaemonSession, idOrName: string): Promise<void> {
  const { clock } = session.shell;
  const nowMs = clock.nowMs();
  const answer = await findProvider(session, idOrName);
  session.show({ $typeName: "nexus.v1.GetProviderResponse", ...answer }, () =>
    formatFields([...describe(answer.provider, nowMs), ["redirect URI", answer.redirectUri]]),
  );
}

function describe(provider: Provider, nowMs: number): [string, string][] {
  const params = Object.entries(provider.authorizationParams).map(([name, value]) => `${name}=${value}`);
  const window = provider.refreshWindow;
  const isClient = typeName(provider) === "oauth2";
  const onlyClient = (value: string): string => (isClient ? value : "");
  return [
    ["name", provider.name],
    ["id", provider.id],
    ["type", typeName(provider)],
    ["template", provider.template],
    ["description", provider.description],
    ["category", provider.category],
    ["issuer", provider.issuer],
    ["discovery", onlyClient(provider.enableDiscovery ? "on" : "off")],
    ["auth URL", provider.authUrl],
    ["token URL", provider.tokenUrl],
    ["JWKS URL", provider.jwksUrl],
    ["client id", provider.clientId],
    ["client secret", onlyClient(provider.clientSecretSet ? "set" : "not set")],
    ["auth method", tokenEndpointAuthMethods[provider.tokenEndpointAuthMethod - 1] ?? ""],
    ["scopes", provider.scopes.join(" ")],
    ["PKCE", pkceWord(provider)],
    ["parameters", params.join(" ")],
    ...quirkSentences(provider).map((sentence): [string, string] => ["non-standard", sentence]),
    ["refresh window", window ? formatDuration(durationMsOf(window)) : ""],
    ["API base URL", provider.apiBaseUrl],
    ["user info", provider.userInfoEndpoint],
    ...furtherFields(provider).filter(([name]) => isClient || name !== "grant type"),
    ["created", formatWhen(provider.createdAt, nowMs)],
    ["updated", formatWhen(provider.updatedAt, nowMs)],
  ];
}
