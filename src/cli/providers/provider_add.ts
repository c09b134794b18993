import { Command, Option } from "commander";
import { AuthType, CreateProviderResponseSchema } from "../../gen/nexus/v1/provider_pb.js";
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
  const usesConsent = template.provider !== undefined && isOAuth2(template.provider);
  if (usesConsent && flags.clientId === undefined) throw usageFailure("--client-id is needed");
  if (!usesConsent && (flags.clientId !== undefined || flags.clientSecretFile !== undefined)) {
    throw usageFailure(`${template.name} has no client: leave --client-id and --client-secret-file out`);
  }
  const clientSecret = usesConsent ? await secretOf(shell, flags) : "";
  const provider = { ...profileChange(flags).fields, name: flags.name ?? "", clientSecret };
  const answer = await session.call(`add the provider ${template.name}`, (options) =>
    session.daemon.providers.createProvider(
      { provider, template: template.name, templateVariables: flags.var ?? {} },
      options,
    ),
  );
  printWarnings(shell, answer);
  const { name = "", id = "", scopes = [] } = answer.provider ?? {};
  const first = usesConsent ? "Paste the redirect URI into the provider's console, then" : "Next";
  session.show(CreateProviderResponseSchema, answer, () =>
    [
      formatFields([
        ["name", name],
        ["id", id],
        ["template", `${template.name}: ${template.displayName}`],
        ["scopes", scopes.join(" ")],
        ["PKCE", answer.provider && pkceWord(answer.provider) === "omitted" ? "omitted" : ""],
        ["redirect URI", usesConsent ? answer.redirectUri : ""],
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
  if (!discovery && !(flags.authUrl !== undefined && flags.tokenUrl !== undefined)) {
    throw usageFailure("give --issuer, or --auth-url and --token-url");
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
      `${formatFields(fieldsShown)}\nPaste the redirect URI into the provider's console, then: ${shell.program} connect ${created?.name}\n`,
  );
}

/** Empty for a public client. */
async function secretOf(shell: Shell, flags: ProfileFlags): Promise<string> {
  if (flags.authMethod === "none") return "";
  return (await obtainClientSecret(shell, flags.clientSecretFile)).reveal();
}
