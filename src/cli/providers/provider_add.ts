import { Code } from "@connectrpc/connect";
import { Command, Option } from "commander";
import type { ProviderTemplate } from "../../gen/nexus/v1/provider_pb.js";
import { withStep } from "../shell/call_failure.js";
import { usageFailure } from "../shell/command_failure.js";
import { type DaemonFlags, type DaemonSession, daemonCommand } from "../shell/daemon_command.js";
import { addNotes } from "../shell/help.js";
import { collectPair } from "../shell/option_values.js";
import type { Shell } from "../shell/shell.js";
import { clientSecretOf, createStaticProvider, register, secretNote } from "./provider_create.js";
import { profileChange, profileOptions } from "./provider_flags.js";
import {
  type AddAnswers,
  type AddFlags,
  askForProfile,
  askForTemplate,
  askYes,
} from "./provider_questions.js";
import { findTemplate } from "./provider_templates.js";
import { isOAuth2, pkceWord } from "./provider_words.js";
import { type StrategyFlags, strategyOfFlags, strategyOptions } from "./strategy_flags.js";

/** Lets the person consent, or enter the key, as `nexusd connect` does. */
export type ConnectNow = (session: DaemonSession, provider: string, flags: DaemonFlags) => Promise<void>;

type Flags = AddFlags & StrategyFlags & DaemonFlags;

export function providerAddCommand(shell: Shell, connectNow: ConnectNow): Command {
  const command = new Command("add")
    .description("add a provider from its template, or one with a static key")
    .argument(
      "[template]",
      "as nexusd provider templates lists it; with --auth-type the name of the new provider",
    )
    .option("--name <name>", "name of the provider, if it differs from the template's")
    .addOption(
      new Option("--var <name=value>", "a variable of the template; repeatable").argParser(collectPair),
    );
  for (const option of [...profileOptions(), ...strategyOptions()]) command.addOption(option);
  addNotes(
    command,
    "At a terminal, it prompts for a missing template or client ID.",
    `Options override the template; --param adds to its parameters. ${secretNote}`,
  );
  return daemonCommand(shell, command, async (session, flags: Flags, name: string | undefined) => {
    if (flags.authType !== undefined) return await addStatic(session, name ?? flags.name, flags);
    strategyOfFlags("oauth2", flags);
    const wantsTemplate = name === undefined;
    if (wantsTemplate && !shell.stdin.isTTY) {
      throw usageFailure("name a template: nexusd provider templates lists them");
    }
    const template = await findTemplate(session, name ?? (await askForTemplate(session)));
    const isAsking = shell.stdin.isTTY && (wantsTemplate || lacksClientId(template, flags));
    const answers = isAsking ? await askForProfile(session, template, flags) : flags;
    const added = await addProvider(session, template, answers, isAsking ? [] : template.notes);
    if (!isAsking || flags.json) return;
    const question = usesConsent(template) ? "Connect now?" : "Enter the key now?";
    if (await askYes(shell, question)) return await connectNow(session, added, flags);
    shell.stdout.write(`Later: ${shell.program} connect ${added}\n`);
  });
}

async function addStatic(session: DaemonSession, name: string | undefined, flags: Flags): Promise<void> {
  if (flags.authType === undefined || flags.authType === "oauth2") {
    throw usageFailure("a client of oauth2 is registered from a template, or by nexusd provider create");
  }
  if (name === undefined)
    throw usageFailure("give the provider a name: nexusd provider add NAME --auth-type ...");
  await createStaticProvider(session, name, flags.authType, flags);
}

function usesConsent({ provider }: ProviderTemplate): boolean {
  return provider !== undefined && isOAuth2(provider);
}

function lacksClientId(template: ProviderTemplate, { clientId }: AddFlags): boolean {
  return usesConsent(template) && clientId === undefined;
}

/** @param notes for a person who has not read them yet @returns the name of the provider */
async function addProvider(
  session: DaemonSession,
  template: ProviderTemplate,
  flags: AddAnswers,
  notes: readonly string[],
): Promise<string> {
  if (lacksClientId(template, flags)) throw usageFailure("--client-id is needed");
  const isClient = usesConsent(template);
  if (!isClient && (flags.clientId !== undefined || flags.clientSecretFile !== undefined)) {
    throw usageFailure(`${template.name} has no client: leave --client-id and --client-secret-file out`);
  }
  const clientSecret = isClient ? (flags.clientSecret ?? (await clientSecretOf(session.shell, flags))) : "";
  const provider = { ...profileChange(flags).fields, name: flags.name ?? "", clientSecret };
  const change = `change it: nexusd provider update ${provider.name || template.name}; another one: --name NAME`;
  const request = { provider, template: template.name, templateVariables: flags.var ?? {} };
  return await withStep(Code.AlreadyExists, change, () =>
    register(
      session,
      `add the provider ${template.name}`,
      request,
      ({ provider: created, redirectUri }) => [
        ["template", `${template.name}: ${template.displayName}`],
        ["scopes", created?.scopes.join(" ") ?? ""],
        ["PKCE", created && pkceWord(created) === "omitted" ? "omitted" : ""],
        ["redirect URI", isClient ? redirectUri : ""],
      ],
      notes,
    ),
  );
}
