import { Command } from "commander";
import {
  addNotes,
  type ConfirmedFlags,
  confirm,
  type DaemonFlags,
  daemonCommand,
  formatAge,
  printable,
  type Shell,
} from "../../cli/kit.js";
import { ApprovalService } from "../../gen/nexus/v1/approval_pb.js";

const note =
  "An approver is a person with a passkey. Open the link on the phone of that person: it works once, within ten minutes. Anyone who opens it first can approve requests, and the list then shows when. Needs NEXUS_APPROVALS_LISTEN.";

export function approversCommand(shell: Shell): Command {
  return new Command("approvers")
    .addCommand(addCommand(shell))
    .addCommand(listCommand(shell), { isDefault: true })
    .addCommand(removeCommand(shell));
}

function addCommand(shell: Shell): Command {
  const command = new Command("add")
    .description("print a link to register a passkey")
    .argument("<name>", "name of the person or of their phone, such as ada");
  addNotes(command, note);
  return daemonCommand(shell, command, async ({ daemon, call, show }, flags: DaemonFlags, name: string) => {
    const answer = await call("make the link", daemon.of(ApprovalService).addApprover, { name });
    show(answer, () => `${printable(answer.url)}\n`);
    if (!flags.json)
      shell.stderr.write("The link works once, within ten minutes. Whoever opens it can approve requests.\n");
  });
}

function listCommand(shell: Shell): Command {
  const command = new Command("list").description("list who approves requests with a passkey");
  return daemonCommand(shell, command, async ({ daemon, call, showList }, _flags: DaemonFlags) => {
    const { approvers } = await call("list the approvers", daemon.of(ApprovalService).listApprovers, {});
    const nowMs = shell.clock.nowMs();
    showList(approvers, {
      none: "nobody has a passkey: see nexusd approvers add\n",
      columns: {
        NAME: ({ name }) => printable(name),
        PASSKEY: ({ credentialId }) => Buffer.from(credentialId).toString("base64url").slice(0, 16),
        ADDED: ({ addedAt }) => formatAge(addedAt, nowMs),
        BY: ({ addedBy }) => printable(addedBy),
      },
    });
  });
}

function removeCommand(shell: Shell): Command {
  const command = new Command("remove")
    .description("remove the passkey of an approver, which approves nothing from then on")
    .argument("<name>", "name of the approver")
    .option("--yes", "do not ask");
  return daemonCommand(
    shell,
    command,
    async ({ daemon, call, show }, flags: ConfirmedFlags, name: string) => {
      await confirm(shell, `Remove the passkey of ${printable(name)}?`, flags.yes);
      const answer = await call("remove the approver", daemon.of(ApprovalService).removeApprover, { name });
      show(answer, () => `the passkey of ${printable(name)} approves nothing any more\n`);
    },
  );
}
