import { Command, Option } from "commander";
import { AuthType, CreateProviderResponseSchema } from "../../gen/nexus/v1/provider_pb.js";
import { isUnattended, signingGrants } from "../../model/providers/grant_type.js";
import { profileSettings } from "../../model/providers/profile_fields.js";
import { unverifiedIdTokenNote } from "../../model/providers/provider_profile.js";
import { usageFailure } from "../shell/command_failure.js";
import { type DaemonFlags, type DaemonSession, daemonCommand } from "../shell/daemon_command.js";
import { addNotes } from "../shell/help.js";
import { collectPair } from "../shell/repeated_options.js";
import type { Shell } from "../shell/shell.js";
import { formatFields, printable } from "../shell/text.js";
import { obtainClientSecret } from "./client_secret.js";
import { type ProfileFlags, profileChange, profileOptions } from "./provider_flags.js";
import { printWarnings } from "./provider_target.js";
import { findTemplate } from "./provider_templates.js";
import { isOAuth2, pkceWord } from "./provider_words.js";

interface AddFlags extends ProfileFlags, DaemonFlags {
  readonly name?: string;
  readonly var?: Record<string, string>;
}

const secretNote =
  "The client secret is read from --client-secret-file, from NEXUS_CLIENT_SECRET or from a prompt, never from an argument.";

export function providerAddCommand(shell: Shell): Command {
  const command = new Command("add")
    .description("register a well-known provider from its template")
    .argument("<template>", "as nexusd provider templates lists it")
    .option("--name <name>", "name of the provider, when not that of the template")
    .addOption(
      new Option("--var <name=value>", "a variable of the template; can be given again").argParser(
        collectPair,
      ),
    );
  for (const option of profileOptions()) command.addOption(option);
  addNotes(
    command,
    `What is given takes the place of what the template says; --param adds to its parameters. ${secretNote}`,
  );
  return daemonCommand(shell, command, (session, flags: AddFlags, template: string) =>
    addProvider(shell, session, template, flags),
  );
}

async function addProvider(
  shell: Shell,
  session: DaemonSession,
  templateName: string,
  flags: AddFlags,
): Promise<void> {
  const template = await findTemplate(session, templateName);
  const hasClient = template.provider !== undefined && isOAuth2(template.provider);
  if (hasClient && flags.clientId === undefined) throw usageFailure("--client-id is needed");
  if (!hasClient && (flags.clientId !== undefined || flags.clientSecretFile !== undefined)) {
    throw usageFailure(`${template.name} has no client: leave --client-id and --client-secret-file out`);
  }
  const clientSecret = hasClient ? await secretOf(shell, flags) : "";
  const provider = { ...profileChange(flags).fields, name: flags.name ?? "", clientSecret };
  const answer = await session.call(`add the provider ${template.name}`, (options) =>
    session.daemon.providers.createProvider(
      { provider, template: template.name, templateVariables: flags.var ?? {} },
      options,
    ),
  );
  printWarnings(shell, answer);
  const { name = "", id = "", scopes = [] } = answer.provider ?? {};
  const redirectUri = hasClient ? answer.redirectUri : "";
  const first = firstStep(redirectUri);
  session.show(CreateProviderResponseSchema, answer, () =>
    [
      formatFields([
        ["name", name],
        ["id", id],
        ["template", `${template.name}: ${template.displayName}`],
        ["scopes", scopes.join(" ")],
        ["PKCE", answer.provider && pkceWord(answer.provider) === "omitted" ? "omitted" : ""],
        ["redirect URI", redirectUri],
      ]),
      ...template.notes.map((note) => `${printable(note)}\n`),
      `${first}: ${shell.program} connect ${name}\n`,
    ].join("\n"),
  );
}

export function providerCreateCommand(shell: Shell): Command {
  const command = new Command("create")
    .description("register a provider")
    .argument("<name>", "lower-case letters, digits and inner hyphens");
  for (const option of profileOptions()) command.addOption(option);
  addNotes(command, secretNote);
  return daemonCommand(shell, command, (session, flags: ProfileFlags & DaemonFlags, name: string) =>
    createProvider(shell, session, name, flags),
  );
}

async function createProvider(
  shell: Shell,
  session: DaemonSession,
  name: string,
  flags: ProfileFlags,
): Promise<void> {
  if (flags.clientId === undefined) throw usageFailure("--client-id is needed");
  const hasEndpoints = flags.authUrl !== undefined || flags.tokenUrl !== undefined;
  const discovery = flags.discovery ?? (flags.issuer !== undefined && !hasEndpoints);
  const { authUrl, tokenUrl, grantType = "authorization_code" } = flags;
  const isMinted = isUnattended({ authType: "oauth2", grantType });
  if (!discovery && (tokenUrl === undefined || (authUrl === undefined && !isMinted))) {
    throw usageFailure(
      isMinted ? "give --issuer or --token-url" : "give --issuer, or --auth-url and --token-url",
    );
  }
  const { fields } = profileChange({ ...flags, discovery });
  const clientSecret = await secretOf(shell, flags);
  const provider = { ...fields, name, authType: AuthType.OAUTH2, clientSecret };
  const answer = await session.call(`create the provider ${name}`, (options) =>
    session.daemon.providers.createProvider({ provider }, options),
  );
  printWarnings(shell, answer);
  const created = answer.provider;
  const fieldsShown: [string, string][] = [
    ["name", created?.name ?? ""],
    ["id", created?.id ?? ""],
    ["redirect URI", answer.redirectUri],
  ];
  const note = created && unverifiedIdTokenNote(profileSettings(created));
  if (note !== undefined) fieldsShown.push(["note", note]);
  session.show(
    CreateProviderResponseSchema,
    answer,
    () =>
      `${formatFields(fieldsShown)}\n${firstStep(answer.redirectUri)}: ${shell.program} connect ${created?.name}\n`,
  );
}

/** Where no person consents there is nothing to register. */
function firstStep(redirectUri: string): string {
  return redirectUri === "" ? "Next" : "Paste the redirect URI into the provider's console, then";
}

/** Empty for a public client, unless it signs. */
async function secretOf(shell: Shell, flags: ProfileFlags): Promise<string> {
  const signs = flags.grantType !== undefined && signingGrants.includes(flags.grantType);
  if (flags.authMethod === "none" && !signs) return "";
  return (await obtainClientSecret(shell, flags.clientSecretFile)).reveal();
}
