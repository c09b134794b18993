import { Command } from "commander";
import { UpdateProviderResponseSchema } from "../../gen/nexus/v1/provider_pb.js";
import { readClientSecret } from "../shell/client_secret.js";
import { usageFailure } from "../shell/command_failure.js";
import { addDaemonFlags, type DaemonFlags, withDaemon } from "../shell/daemon_command.js";
import { addNotes } from "../shell/help.js";
import type { Shell } from "../shell/shell.js";
import { jsonLine } from "../shell/text.js";
import { profileChange } from "./profile_change.js";
import { type ProfileFlags, profileOptions } from "./provider_flags.js";
import { findProvider } from "./provider_key.js";
import { printWarnings } from "./provider_target.js";

interface UpdateFlags extends ProfileFlags, DaemonFlags {
  readonly name?: string;
}

export function providerUpdateCommand(shell: Shell): Command {
  const command = new Command("update")
    .description("change a provider: what is not given stays")
    .argument("<provider>", "name or id")
    .option("--name <name>", "the new name; the redirect URI stays what it is");
  for (const option of profileOptions()) command.addOption(option);
  return addDaemonFlags(
    addNotes(
      command,
      "An empty value clears its field. Scopes and --param replace all that were set before. --discovery clears the endpoints, --auth-method none the client secret.",
    ),
  ).action((provider: string, flags: UpdateFlags) => updateProvider(shell, provider, flags));
}

async function updateProvider(shell: Shell, idOrName: string, flags: UpdateFlags): Promise<void> {
  const { fields, mask } = profileChange(withClearedEndpoints(flags));
  const paths = [...mask];
  if (flags.name !== undefined) {
    fields.name = flags.name;
    paths.push("name");
  }
  if (flags.clientSecretFile !== undefined) {
    fields.clientSecret = (await readClientSecret(shell, flags.clientSecretFile)).reveal();
    paths.push("client_secret");
  } else if (flags.authMethod === "none") {
    paths.push("client_secret");
  }
  if (paths.length === 0) throw usageFailure("nothing to change: give at least one flag");
  await withDaemon(shell, flags, async (session) => {
    const { provider } = await findProvider(session, idOrName);
    const answer = await session.call(`update the provider ${provider.name}`, (options) =>
      session.daemon.providers.updateProvider(
        { provider: { ...fields, id: provider.id }, updateMask: { paths } },
        options,
      ),
    );
    printWarnings(shell, answer);
    if (flags.json) return shell.stdout.write(jsonLine(UpdateProviderResponseSchema, answer));
    shell.stdout.write(`${answer.provider?.name} is updated: ${paths.join(", ")}\n`);
    if (answer.partedConnections > 0) {
      shell.stderr.write(
        `${answer.partedConnections} ${answer.partedConnections === 1 ? "connection waits" : "connections wait"} for consent now: what was granted to the client, issuer and endpoint as they were is not sent elsewhere; set the profile back to bring them back\n`,
      );
    }
  });
}

/** A profile has endpoints or discovers them, never both. */
function withClearedEndpoints(flags: UpdateFlags): UpdateFlags {
  return flags.discovery === true ? { authUrl: "", tokenUrl: "", jwksUrl: "", ...flags } : flags;
}
