import { Command } from "commander";
import {
  type DaemonFlags,
  daemonCommand,
  forwardingCommand,
  isLocalUrl,
  isOverSsh,
  printable,
  type Shell,
} from "../../cli/kit.js";
import { ConsoleService } from "../../gen/nexus/v1/console_pb.js";

interface OpenFlags extends DaemonFlags {
  readonly print?: boolean;
}

export function openCommand(shell: Shell): Command {
  const command = new Command("open")
    .description("open the console in a browser, with a link that works once, within a minute")
    .option("--print", "only print the link");
  return daemonCommand(shell, command, async ({ daemon, call, show }, flags: OpenFlags) => {
    const answer = await call("make a link to the console", daemon.of(ConsoleService).createConsoleLink, {});
    const url = printable(answer.url);
    show(answer, () => `${url}\n`);
    if (flags.json) return;
    shell.stderr.write("The link works once, within a minute. Anyone who opens it acts as you.\n");
    const hint = isLocalUrl(url)
      ? `If your browser is on another machine, run this there first, then open the link:\n\n  ${forwardingCommand(new URL(url).origin, shell)}\n\n`
      : "";
    if (isOverSsh(shell.env)) shell.stderr.write(hint);
    else if (!flags.print && shell.stdout.isTTY) {
      try {
        await shell.openBrowser(answer.url);
      } catch {
        shell.stderr.write(`no browser could be opened: open the link by hand\n${hint}`);
      }
    }
  });
}
