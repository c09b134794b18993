import { Command } from "commander";
import {
  addNotes,
  type DaemonFlags,
  daemonCommand,
  formatAge,
  printable,
  type Shell,
  usesText,
} from "../../cli/kit.js";
import { UseService } from "../../gen/nexus/v1/use_pb.js";

export function usesCommand(shell: Shell): Command {
  return new Command("uses").addCommand(listCommand(shell)).addCommand(resetCommand(shell));
}

function listCommand(shell: Shell): Command {
  const command = new Command("list").description(
    "list the limits of uses of API keys and rules, and how much of each is used",
  );
  addNotes(command, "The limit of a rule counts each agent: its keys and grants together.");
  return daemonCommand(shell, command, async ({ daemon, call, showList }, _flags: DaemonFlags) => {
    const { counts } = await call("list the uses", daemon.of(UseService).listUses, {});
    const nowMs = shell.clock.nowMs();
    showList(counts, {
      none: "no API key has a limit of uses, and no rule with one was used\n",
      columns: {
        PRINCIPAL: ({ principal }) => printable(principal),
        LIMIT: ({ limit }) => usesText(limit),
        OF: ({ ruleLine }) => (ruleLine === 0 ? "the key" : `the rule in line ${ruleLine}`),
        USED: ({ used }) => `${used}`,
        ENDS: ({ endsAt }) => formatAge(endsAt, nowMs),
      },
    });
  });
}

function resetCommand(shell: Shell): Command {
  const command = new Command("reset")
    .description("set the uses of a principal back to none, for its key and for all rules")
    .argument("<principal>", "such as key:claude.github.0a1b2c, or key:claude for the rules");
  return daemonCommand(
    shell,
    command,
    async ({ daemon, call, show }, _flags: DaemonFlags, principal: string) => {
      const answer = await call("reset the uses", daemon.of(UseService).resetUses, { principal });
      show(answer, () => `the limits of ${printable(principal)} begin anew\n`);
    },
  );
}
