import { Command, Option } from "commander";
import type { ProviderTemplate } from "../../gen/nexus/v1/provider_pb.js";
import { canonicalName } from "../../model/providers/provider_profile.js";
import { usageFailure } from "../shell/command_failure.js";
import { askYes } from "../shell/confirm.js";
import { type DaemonFlags, type DaemonSession, daemonCommand } from "../shell/daemon_command.js";
import { addNotes } from "../shell/help.js";
import { collectPair } from "../shell/option_values.js";
import type { Shell } from "../shell/shell.js";
import { printable, shellWord } from "../shell/text.js";
import { createProvider } from "./provider_create.js";
import { endpointFlags, profileOptions } from "./provider_flags.js";
import { listTemplates } from "./provider_key.js";
import { type AddFlags, askForProfile, askForTemplate } from "./provider_questions.js";
import { findTemplate } from "./provider_templates.js";
import { isOAuth2 } from "./provider_words.js";
import { type StrategyFlags, strategyOfFlags, strategyOptions } from "./strategy_flags.js";

const secretNote =
  "The client secret is read from --client-secret-file, from NEXUS_CLIENT_SECRET or from a prompt, never from an argument.";

/** Lets the person consent, or enter the key, as `nexusd connect` does. */
export type ConnectNow = (session: DaemonSession, provider: string, flags: DaemonFlags) => Promise<void>;

type ProviderAddFlags = AddFlags & StrategyFlags & DaemonFlags;

export function providerAddCommand(shell: Shell, connectNow: ConnectNow): Command {
  const command = new Command("add")
    .description("add a provider: from its template, by its issuer or endpoints, or with a static key")
    .argument("[template]", "a template (see nexusd provider templates), or the name of another provider")
    .option("--name <name>", "the name of the new provider, if it is not the template's")
    .addOption(
      new Option("--var <name=value>", "a variable of the template; repeatable").argParser(collectPair),
    );
  for (const option of [...profileOptions(), ...strategyOptions()]) command.addOption(option);
  addNotes(
    command,
    "At a terminal, it prompts for a missing template or client ID. A provider that is not in the catalogue needs --issuer, or --auth-url and --token-url.",
    `Options override the template; --param adds to its parameters. ${secretNote}`,
  );
  return daemonCommand(shell, command, async (session, flags: ProviderAddFlags, name: string | undefined) => {
    const { authType = "oauth2" } = flags;
    const own = flags.name ?? name;
    if (authType !== "oauth2" && own === undefined)
      throw usageFailure("give the provider a name: nexusd provider add NAME --auth-type ...");
    strategyOfFlags(authType, flags);
    if (own !== undefined && (authType !== "oauth2" || (await isOwn(session, name, flags))))
      return void (await createProvider(session, { name: own, authType, flags }));
    await addFromTemplate(session, flags, name, connectNow);
  });
}

async function addFromTemplate(
  session: DaemonSession,
  flags: ProviderAddFlags,
  name: string | undefined,
  connectNow: ConnectNow,
): Promise<void> {
  const { shell } = session;
  if (name !== undefined && /^https?:\/\//i.test(name))
    throw usageFailure(
      `${printable(name)} is a URL: for an MCP server, nexusd connect ${shellWord(name)}; for another provider, nexusd provider add NAME --issuer ${shellWord(name)}`,
    );
  const wantsTemplate = name === undefined;
  if (wantsTemplate && !shell.stdin.isTTY)
    throw usageFailure(
      `name a template: nexusd provider templates lists them; for another provider, give a name, and ${endpointFlags.replace(/^give /, "")}`,
    );
  const template = await findTemplate(session, name ?? (await askForTemplate(session)), {
    other: `; for another provider, ${endpointFlags}`,
    action: "add a provider",
  });
  refuseOtherIssuer(template, flags);
  const usesConsent = template.provider !== undefined && isOAuth2(template.provider);
  const lacksClientId = usesConsent && flags.clientId === undefined;
  const isAsking = shell.stdin.isTTY && (wantsTemplate || lacksClientId);
  const answers = isAsking ? await askForProfile(session, template, flags) : flags;
  const notes = isAsking ? [] : template.notes;
  const added = await createProvider(session, { template, name: answers.name ?? "", flags: answers, notes });
  if (!isAsking || flags.json) return;
  const question = usesConsent ? "Connect now?" : "Enter the key now?";
  if (await askYes(shell, question, true)) return await connectNow(session, added, flags);
  shell.stdout.write(`Later: ${shell.program} connect ${added}\n`);
}

/** Whether the flags say where the provider is, and no template of the catalogue is named. */
async function isOwn(
  session: DaemonSession,
  name: string | undefined,
  flags: ProviderAddFlags,
): Promise<boolean> {
  const { issuer, authUrl, tokenUrl, grantType } = flags;
  if ([issuer, authUrl, tokenUrl, grantType].every((flag) => flag === undefined)) return false;
  if (name === undefined) return true;
  const wanted = canonicalName(name);
  return (await listTemplates(session, wanted, "add a provider")).every(
    (template) => template.name !== wanted,
  );
}

/** A template that has its own endpoints would go on using them. @throws CommandFailure */
function refuseOtherIssuer({ name, provider }: ProviderTemplate, flags: ProviderAddFlags): void {
  const { issuer, authUrl, tokenUrl } = flags;
  const isReplaced = authUrl !== undefined && tokenUrl !== undefined;
  if (issuer === undefined || isReplaced || !provider?.authUrl || issuer === provider.issuer) return;
  throw usageFailure(
    `the template ${name} has endpoints of its own, and --issuer would leave them: leave it out, or add your provider under another name: nexusd provider add ${name}-2 --issuer ${shellWord(issuer)}`,
  );
}
