import { Command } from "commander";
import { exitCodes } from "../../core/exit_codes.js";
import type { Provider, ProviderTemplate } from "../../gen/nexus/v1/provider_pb.js";
import { canonicalName, grantTypes } from "../../model/providers/provider_profile.js";
import { didYouMean } from "../../model/suggestions.js";
import { CommandFailure } from "../shell/command_failure.js";
import { type DaemonFlags, type DaemonSession, daemonCommand } from "../shell/daemon_command.js";
import type { Shell } from "../shell/shell.js";
import { formatFields, printable } from "../shell/text.js";
import { listTemplates, providerArgument } from "./provider_key.js";
import { showProvider } from "./provider_list.js";
import { isConsentedAt, isOAuth2, pkceWord, quirkSentences, typeName } from "./provider_words.js";

export function providerTemplatesCommand(shell: Shell): Command {
  const command = new Command("templates")
    .description("list the providers in the catalogue")
    .argument("[prefix]", "only names with this prefix");
  return daemonCommand(shell, command, async (session, _flags, prefix: string | undefined) =>
    session.showList(await listTemplates(session, canonicalName(prefix ?? "")), {
      none: "no template has this prefix\n",
      columns: {
        NAME: ({ name }) => name,
        TYPE: ({ provider }) => (provider ? typeName(provider) : ""),
        PKCE: ({ provider }) => (provider ? pkceWord(provider) : ""),
        CATEGORY: ({ provider }) => provider?.category ?? "",
        VARIABLES: ({ variables }) => variables.map(({ name }) => name).join(" "),
        PROVIDER: ({ displayName }) => displayName,
      },
    }),
  );
}

export function providerShowCommand(shell: Shell): Command {
  const command = new Command("show")
    .description("show a provider, or explain a template")
    .argument("<provider>", `${providerArgument}; with --template the name of a template`)
    .option("--template", "explain the template of this name");
  return daemonCommand(
    shell,
    command,
    async (session, flags: DaemonFlags & { readonly template?: boolean }, name: string) => {
      if (flags.template !== true) return await showProvider(session, name);
      const template = await findTemplate(session, name);
      session.show(template, () => explain(template, shell.program));
    },
  );
}

/**
 * @param options.other what to do where none is meant
 * @param options.action what the template is needed for, as `listTemplates` has it
 * @throws CommandFailure when there is none of this name
 */
export async function findTemplate(
  session: DaemonSession,
  name: string,
  { other = "", action }: { readonly other?: string; readonly action?: string } = {},
): Promise<ProviderTemplate> {
  const wanted = canonicalName(name);
  const templates = await listTemplates(session, wanted, action);
  const template = templates.find((each) => each.name === wanted);
  if (template) return template;
  const all = await listTemplates(session, "");
  const hint =
    didYouMean(
      wanted,
      all.map((each) => each.name),
    ) ?? `see nexusd provider templates${other}`;
  throw new CommandFailure(exitCodes.failed, `there is no template ${printable(name)}: ${hint}`);
}

function typeSentence(provider: Provider): string {
  if (!isOAuth2(provider)) return `${typeName(provider)}: a person enters it`;
  if (isConsentedAt(provider)) return "oauth2: a person consents in the browser";
  return `oauth2, ${grantTypes[provider.grantType - 1] ?? ""}: no person is needed`;
}

function explain(template: ProviderTemplate, program: string): string {
  const { provider, variables, redirectUri } = template;
  if (!provider) throw new Error("the daemon answered a template without a profile");
  const hasClient = isOAuth2(provider);
  const params = Object.entries(provider.authorizationParams).map(([name, value]) => `${name}=${value}`);
  const options = provider.oauth2Options;
  const fields = formatFields([
    ["template", `${template.name}: ${template.displayName}`],
    ["type", typeSentence(provider)],
    ["category", provider.category],
    [
      "issuer",
      provider.enableDiscovery ? `${provider.issuer} (its discovery document says the endpoints)` : "",
    ],
    ["auth URL", provider.authUrl],
    ["token URL", provider.tokenUrl],
    ["revocation URL", options?.revocationUrl ?? ""],
    ["API base URL", provider.apiBaseUrl],
    ["redirect URI", redirectUri !== "" ? `${redirectUri} (paste it into the provider's console)` : ""],
    ["scopes", hasClient ? provider.scopes.join(" ") || "none by default: give --scopes" : ""],
    ["parameters", params.join(" ")],
    ["PKCE", pkceWord(provider)],
    ["documentation", template.docsUrl],
  ]);
  const sections = [
    list(
      "Variables",
      variables.map(
        ({ name, description, defaultValue }) =>
          `--var ${name}=...  ${description}${defaultValue === "" ? "" : `; ${defaultValue} when not given`}`,
      ),
    ),
    list("Non-standard behavior", quirkSentences(provider)),
    list("Good to know", template.notes),
  ];
  return `${fields}${sections.join("")}\n${printable(`Add it: ${program} ${addLine(template, hasClient)}`)}\n`;
}

function addLine({ name, variables }: ProviderTemplate, hasClient: boolean): string {
  const words = ["provider add", name];
  if (hasClient) words.push("--client-id <id> --client-secret-file <file>");
  for (const variable of variables.filter(({ defaultValue }) => defaultValue === "")) {
    words.push(`--var ${variable.name}=<value>`);
  }
  return words.join(" ");
}

function list(title: string, lines: readonly string[]): string {
  if (lines.length === 0) return "";
  return `\n${title}:\n${lines.map((line) => `  - ${printable(line)}\n`).join("")}`;
}
