import { Command } from "commander";
import { DeleteProviderResponseSchema } from "../../gen/nexus/v1/provider_pb.js";
import { confirm } from "../shell/confirm.js";
import { addDaemonFlags, type DaemonFlags, withDaemon } from "../shell/daemon_command.js";
import type { Shell } from "../shell/shell.js";
import { jsonLine } from "../shell/text.js";
import { findProvider } from "./provider_key.js";

interface DeleteFlags extends DaemonFlags {
  readonly yes?: boolean;
}

export function providerDeleteCommand(shell: Shell): Command {
  const command = new Command("delete")
    .description("delete a provider; its connections stay but are not refreshed any more")
    .argument("<provider>", "name or id")
    .option("--yes", "do not ask");
  return addDaemonFlags(command).action((idOrName: string, flags: DeleteFlags) =>
    withDaemon(shell, flags, async (session) => {
      const { provider } = await findProvider(session, idOrName);
      await confirm(
        shell,
        `Delete the provider ${provider.name}? Its connections cannot be refreshed any more.`,
        flags.yes,
      );
      const answer = await session.call(`delete the provider ${provider.name}`, (options) =>
        session.daemon.providers.deleteProvider({ id: provider.id }, options),
      );
      if (flags.json) return shell.stdout.write(jsonLine(DeleteProviderResponseSchema, answer));
      const left = answer.orphanedConnections;
      const counted = left === 1 ? "1 connection is" : `${left} connections are`;
      shell.stdout.write(`${provider.name} is deleted; ${counted} left without a provider\n`);
    }),
  );
}
