import { Command } from "commander";
import { exitCodes } from "../../daemon/exit_codes.js";
import { TestReceiversResponseSchema } from "../../gen/nexus/v1/notification_pb.js";
import { CommandFailure } from "../shell/command_failure.js";
import { type DaemonFlags, daemonCommand } from "../shell/daemon_command.js";
import type { Shell } from "../shell/shell.js";
import { formatTable, jsonLine } from "../shell/text.js";

export function notifyCommand(shell: Shell): Command {
  const test = new Command("test")
    .description("send a test event to every receiver, or to one, and show what came of it")
    .argument("[receiver]", "webhook, command, or a name of NEXUS_NOTIFY_FILE");
  return new Command("notify")
    .description("webhooks and commands that are told when a person is needed")
    .addCommand(
      daemonCommand(shell, test, async ({ daemon, call }, flags: DaemonFlags, given?: string) => {
        const answer = await call("test the receivers", (options) =>
          daemon.notifications.testReceivers({ receiver: given ?? "" }, options),
        );
        const { receivers } = answer;
        if (flags.json) shell.stdout.write(jsonLine(TestReceiversResponseSchema, answer));
        else if (receivers.length === 0) {
          shell.stderr.write(
            "nobody is told: set NEXUS_NOTIFY_URL, NEXUS_NOTIFY_COMMAND or NEXUS_NOTIFY_FILE and start the daemon again\n",
          );
        } else {
          const rows = receivers.map(({ name, taken, reason }) => [
            name,
            taken ? "taken" : "not taken",
            reason,
          ]);
          shell.stdout.write(formatTable(["RECEIVER", "TEST", "REASON"], rows));
        }
        const failed = receivers.filter(({ taken }) => !taken).map(({ name }) => name);
        if (failed.length > 0) {
          throw new CommandFailure(
            exitCodes.failed,
            `not taken by ${failed.join(", ")}: see the reason, and the log of the daemon`,
          );
        }
      }),
    );
}
