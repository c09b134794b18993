import { Command } from "commander";
import { RevokeApiKeyResponseSchema } from "../../gen/nexus/v1/access_pb.js";
import { confirm } from "../shell/confirm.js";
import { addDaemonFlags, type DaemonFlags, withDaemon } from "../shell/daemon_command.js";
import type { Shell } from "../shell/shell.js";
import { jsonLine } from "../shell/text.js";

interface RevokeFlags extends DaemonFlags {
  readonly yes?: boolean;
}

export function keysRevokeCommand(shell: Shell): Command {
  const command = new Command("revoke")
    .description("end an API key for good; its streams end within a second")
    .argument("<name>", "its name")
    .option("--yes", "do not ask");
  return addDaemonFlags(command).action((name: string, flags: RevokeFlags) =>
    withDaemon(shell, flags, async (session) => {
      await confirm(shell, `Revoke the API key ${name}? Whoever uses it is shut out at once.`, flags.yes);
      const answer = await session.call(`revoke the API key ${name}`, (options) =>
        session.daemon.access.revokeApiKey({ key: { case: "name", value: name } }, options),
      );
      if (flags.json) return shell.stdout.write(jsonLine(RevokeApiKeyResponseSchema, answer));
      shell.stdout.write(`key:${name} is revoked\n`);
    }),
  );
}
