import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { Command } from "commander";
import {
  CommandFailure,
  type DaemonFlags,
  daemonCommand,
  formatTable,
  jsonLine,
  type Shell,
} from "../../cli/kit.js";
import { exitCodes } from "../../core/registry.js";
import {
  NotificationService,
  type TestReceiversResponse,
  TestReceiversResponseSchema,
} from "../../gen/nexus/v1/notification_pb.js";

export function notifyCommand(shell: Shell): Command {
  const test = new Command("test")
    .description("send a test event to every receiver, or to one, and show the result")
    .argument("[receiver]", "webhook, command, or a name from NEXUS_NOTIFY_FILE");
  return new Command("notify").addCommand(
    daemonCommand(shell, test, async ({ daemon, call }, flags: DaemonFlags, given?: string) => {
      const request = { receiver: given ?? "" };
      const answer = await call(
        "test the receivers",
        daemon.of(NotificationService).testReceivers,
        request,
      ).catch(noReceivers);
      const { receivers } = answer;
      if (flags.json) shell.stdout.write(jsonLine(answer));
      else if (receivers.length === 0) {
        shell.stderr.write(
          "no receivers: set NEXUS_NOTIFY_URL, NEXUS_NOTIFY_COMMAND, or NEXUS_NOTIFY_FILE, and restart the daemon\n",
        );
      } else {
        const rows = receivers.map(({ name, taken, reason }) => [
          name,
          taken ? "taken" : "not taken",
          reason,
        ]);
        shell.stdout.write(formatTable(["RECEIVER", "TEST", "REASON"], rows));
      }
      const failed = receivers.filter(({ taken }) => !taken);
      if (failed.length > 0) {
        const sentences = failed.map(({ name, reason }) => `not taken by ${name}${meaningOf(reason)}`);
        throw new CommandFailure(exitCodes.failed, sentences.join("\n"));
      }
    }),
  );
}

/** What a person can do about the reason of a `TestedReceiver`; empty for a word that needs no more. */
function meaningOf(reason: string): string {
  const [, status] = /^http_(\d{3})$/.exec(reason) ?? [];
  if (status !== undefined) return `: it answered with status ${status}, and only 2xx takes an event`;
  const [, code] = /^exit_(\d+)$/.exec(reason) ?? [];
  if (code !== undefined) return `: the command ended with ${code}, and only 0 takes an event`;
  return Object.hasOwn(meanings, reason) ? `: ${meanings[reason]}` : "";
}

const meanings: Readonly<Record<string, string>> = {
  network:
    "the daemon cannot connect to its URL: see that it runs there, and that its certificate is trusted",
  timeout: "it did not answer, or end, in time",
  redirect: "it answered with a redirect, which is not followed: set the URL that it leads to",
  secrets_unreadable: "the daemon cannot read its file of secrets, or finds none in it",
  ENOENT: "the daemon finds no such program",
  EACCES: "the daemon may not start this program",
};

/** A daemon without receivers has no such service. */
function noReceivers(error: unknown): TestReceiversResponse {
  const cause = error instanceof CommandFailure ? error.cause : undefined;
  if (cause instanceof ConnectError && cause.code === Code.Unimplemented)
    return create(TestReceiversResponseSchema);
  throw error;
}
