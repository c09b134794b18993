import { Command } from "commander";
import { describeRestriction, restrictionFrom } from "../../model/access/scope_restriction.js";
import { daemonCommand } from "../shell/daemon_command.js";
import type { Shell } from "../shell/shell.js";
import { formatFields, formatWhen } from "../shell/text.js";
import { roleName } from "./keys.js";

export function whoamiCommand(shell: Shell): Command {
  const command = new Command("whoami");
  return daemonCommand(shell, command, async ({ daemon, call, show }) => {
    const answer = await call("ask who this is", daemon.access.whoAmI, {});
    const { principal, role, restrictions, expiresAt } = answer;
    show(answer, () =>
      formatFields([
        ["principal", principal],
        ["role", role === 0 ? "none: everything is denied" : roleName(role)],
        ...restrictions.map((restriction): [string, string] => [
          "restricted to",
          describeRestriction(restrictionFrom(restriction)),
        ]),
        ["until", formatWhen(expiresAt, shell.clock.nowMs())],
        ["daemon", daemon.address],
      ]),
    );
  });
}
