import { Command, InvalidArgumentError, Option } from "commander";
import { CreateProviderResponseSchema } from "../../gen/nexus/v1/provider_pb.js";
import type { Secret } from "../../runtime/secret.js";
import { obtainClientSecret } from "../shell/client_secret.js";
import { usageFailure } from "../shell/command_failure.js";
import { addDaemonFlags, type DaemonFlags, type DaemonSession, withDaemon } from "../shell/daemon_command.js";
import { addNotes } from "../shell/help.js";
import type { Shell } from "../shell/shell.js";
import { formatFields, jsonLine, printable } from "../shell/text.js";
import { profileChange } from "./profile_change.js";
import { type ProfileFlags, profileOptions } from "./provider_flags.js";
import { printWarnings } from "./provider_target.js";
import { findTemplate } from "./provider_templates.js";
import { isOAuth2, pkceWord } from "./provider_words.js";

interface AddFlags extends ProfileFlags, DaemonFlags {
  readonly name?: string;
  readonly var?: Record<string, string>;
}

export function providerAddCommand(shell: Shell): Command {
  const command = new Command("add")
    .description("register a well-known provider from its template")
    .argument("<template>", "as nexusd provider templates lists it")
    .option("--name <name>", "name of the provider, when not that of the template")
    .addOption(
      new Option("--var <name=value>", "a variable of the template; can be given again").argParser(
        collectVar,
      ),
    );
  for (const option of profileOptions()) command.addOption(option);
  return addDaemonFlags(
    addNotes(
      command,
      "What is given takes the place of what the template says; --param adds to its parameters. The client secret is read from --client-secret-file, from NEXUS_CLIENT_SECRET or from a prompt, never from an argument.",
    ),
  ).action((template: string, flags: AddFlags) =>
    withDaemon(shell, flags, (session) => addProvider(shell, session, template, flags)),
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
  const secret = usesConsent ? await secretOf(shell, flags) : undefined;
  const provider = {
    ...profileChange(flags).fields,
    name: flags.name ?? "",
    ...(secret ? { clientSecret: secret.reveal() } : {}),
  };
  const answer = await session.call(`add the provider ${template.name}`, (options) =>
    session.daemon.providers.createProvider(
      { provider, template: template.name, templateVariables: flags.var ?? {} },
      options,
    ),
  );
  printWarnings(shell, answer);
  if (flags.json) return shell.stdout.write(jsonLine(CreateProviderResponseSchema, answer));
  const name = answer.provider?.name ?? "";
  shell.stdout.write(
    formatFields([
      ["name", name],
      ["id", answer.provider?.id ?? ""],
      ["template", `${template.name}: ${template.displayName}`],
      ["scopes", answer.provider?.scopes.join(" ") ?? ""],
      ["PKCE", answer.provider && pkceWord(answer.provider) === "omitted" ? "omitted" : ""],
      ["redirect URI", usesConsent ? answer.redirectUri : ""],
    ]),
  );
  for (const note of template.notes) shell.stdout.write(`\n${printable(note)}\n`);
  const first = usesConsent ? "Paste the redirect URI into the provider's console, then" : "Next";
  shell.stdout.write(`\n${first}: ${shell.program} connect ${name}\n`);
}

function secretOf(shell: Shell, flags: AddFlags): Promise<Secret> | undefined {
  return flags.authMethod === "none" ? undefined : obtainClientSecret(shell, flags.clientSecretFile);
}

function collectVar(text: string, before: Record<string, string> | undefined): Record<string, string> {
  const equals = text.indexOf("=");
  if (equals < 1) throw new InvalidArgumentError("It must read name=value.");
  return { ...before, [text.slice(0, equals)]: text.slice(equals + 1) };
}
