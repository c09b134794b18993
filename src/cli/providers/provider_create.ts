import { Command } from "commander";
import { AuthType, CreateProviderResponseSchema } from "../../gen/nexus/v1/provider_pb.js";
import { obtainClientSecret } from "../shell/client_secret.js";
import { usageFailure } from "../shell/command_failure.js";
import { addDaemonFlags, type DaemonFlags, withDaemon } from "../shell/daemon_command.js";
import { addNotes } from "../shell/help.js";
import type { Shell } from "../shell/shell.js";
import { formatFields, jsonLine } from "../shell/text.js";
import { profileChange } from "./profile_change.js";
import { type ProfileFlags, profileOptions } from "./provider_flags.js";
import { printWarnings } from "./provider_target.js";

export function providerCreateCommand(shell: Shell): Command {
  const command = new Command("create")
    .description("register a provider")
    .argument("<name>", "lower-case letters, digits and inner hyphens");
  for (const option of profileOptions()) command.addOption(option);
  return addDaemonFlags(
    addNotes(
      command,
      "The client secret is read from --client-secret-file, from NEXUS_CLIENT_SECRET or from a prompt, never from an argument.",
    ),
  ).action((name: string, flags: ProfileFlags & DaemonFlags) => createProvider(shell, name, flags));
}

async function createProvider(shell: Shell, name: string, flags: ProfileFlags & DaemonFlags): Promise<void> {
  if (flags.clientId === undefined) throw usageFailure("--client-id is needed");
  const hasEndpoints = flags.authUrl !== undefined || flags.tokenUrl !== undefined;
  const discovery = flags.discovery ?? (flags.issuer !== undefined && !hasEndpoints);
  if (!discovery && !(flags.authUrl !== undefined && flags.tokenUrl !== undefined)) {
    throw usageFailure("give --issuer, or --auth-url and --token-url");
  }
  const { fields } = profileChange({ ...flags, discovery });
  await withDaemon(shell, flags, async ({ daemon, call }) => {
    const secret =
      flags.authMethod === "none" ? undefined : await obtainClientSecret(shell, flags.clientSecretFile);
    const provider = {
      ...fields,
      name,
      authType: AuthType.OAUTH2,
      ...(secret ? { clientSecret: secret.reveal() } : {}),
    };
    const answer = await call(`create the provider ${name}`, (options) =>
      daemon.providers.createProvider({ provider }, options),
    );
    printWarnings(shell, answer);
    if (flags.json) return shell.stdout.write(jsonLine(CreateProviderResponseSchema, answer));
    const created: [string, string][] = [
      ["name", answer.provider?.name ?? ""],
      ["id", answer.provider?.id ?? ""],
      ["redirect URI", answer.redirectUri],
    ];
    shell.stdout.write(formatFields(created));
    shell.stdout.write(
      `\nPaste the redirect URI into the provider's console, then: ${shell.program} connect ${answer.provider?.name}\n`,
    );
  });
}
