import { Command } from "commander";
import { needsNoSecret } from "../../model/clients/client_proof.js";
import { usageFailure } from "../shell/command_failure.js";
import { confirm } from "../shell/confirm.js";
import { type ConfirmedFlags, type DaemonFlags, daemonCommand } from "../shell/daemon_command.js";
import { addNotes } from "../shell/help.js";
import type { Shell } from "../shell/shell.js";
import { readClientSecret } from "./client_secret.js";
import { type ConnectNow, providerAddCommand } from "./provider_add.js";
import { type ProfileFlags, profileChange, profileOptions } from "./provider_flags.js";
import { findProvider, providerArgument } from "./provider_key.js";
import { providerListCommand } from "./provider_list.js";
import { providerShowCommand, providerTemplatesCommand } from "./provider_templates.js";
import { printWarnings } from "./provider_words.js";

interface UpdateFlags extends ProfileFlags, DaemonFlags {
  readonly name?: string;
}

export function providerCommand(shell: Shell, connectNow: ConnectNow): Command {
  return new Command("provider")
    .addCommand(providerAddCommand(shell, connectNow))
    .addCommand(providerTemplatesCommand(shell))
    .addCommand(providerShowCommand(shell))
    .addCommand(providerListCommand(shell))
    .addCommand(updateCommand(shell))
    .addCommand(deleteCommand(shell));
}

function updateCommand(shell: Shell): Command {
  const command = new Command("update")
    .description("change a provider; other fields stay as they are")
    .argument("<provider>", providerArgument)
    .option("--name <name>", "the new name; the redirect URI does not change");
  for (const option of profileOptions()) command.addOption(option);
  addNotes(
    command,
    "An empty value clears its field. Scopes and --param replace all that were set before. --discovery clears the endpoints, --auth-method none the client secret.",
  );
  return daemonCommand(shell, command, async (session, flags: UpdateFlags, idOrName: string) => {
    const { fields, paths } = await wantedChange(shell, flags);
    const { provider } = await findProvider(session, idOrName);
    const answer = await session.call(
      `update the provider ${provider.name}`,
      session.daemon.providers.updateProvider,
      { provider: { ...fields, id: provider.id }, updateMask: { paths } },
    );
    printWarnings(shell, answer);
    const { partedConnections: parted } = answer;
    session.show(answer, () => `${answer.provider?.name} is updated: ${paths.join(", ")}\n`);
    if (flags.json || parted === 0) return;
    shell.stderr.write(
      `${parted} ${parted === 1 ? "connection waits" : "connections wait"} for consent now: what was granted to the client, issuer and endpoint as they were is not sent elsewhere; set the profile back to bring them back\n`,
    );
  });
}

/** @throws CommandFailure when nothing is to be changed */
async function wantedChange(shell: Shell, flags: UpdateFlags) {
  // A profile has endpoints or discovers them, never both.
  const cleared = flags.discovery === true ? { authUrl: "", tokenUrl: "", jwksUrl: "" } : {};
  const { fields, mask } = profileChange({ ...cleared, ...flags });
  const paths = [...mask];
  if (flags.name !== undefined) {
    fields.name = flags.name;
    paths.push("name");
  }
  if (flags.clientSecretFile !== undefined) {
    fields.clientSecret = (await readClientSecret(shell, flags.clientSecretFile)).reveal();
  }
  const hasNoSecret = needsNoSecret({ tokenEndpointAuthMethod: flags.authMethod ?? "" });
  if (flags.clientSecretFile !== undefined || hasNoSecret) paths.push("client_secret");
  if (paths.length === 0) throw usageFailure("nothing to change: give at least one flag");
  return { fields, paths };
}

function deleteCommand(shell: Shell): Command {
  const command = new Command("delete")
    .description("delete a provider; its connections stay but are no longer refreshed")
    .argument("<provider>", providerArgument)
    .option("--yes", "do not ask");
  return daemonCommand(shell, command, async (session, { yes }: ConfirmedFlags, idOrName: string) => {
    const { id, name } = (await findProvider(session, idOrName)).provider;
    await confirm(shell, `Delete the provider ${name}? Its connections cannot be refreshed any more.`, yes);
    const answer = await session.call(
      `delete the provider ${name}`,
      session.daemon.providers.deleteProvider,
      { id },
    );
    const left = answer.remainingConnections;
    const counted = left === 1 ? "1 connection is" : `${left} connections are`;
    session.show(answer, () => `${name} is deleted; ${counted} left without a provider\n`);
  });
}
