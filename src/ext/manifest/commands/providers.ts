import { Command } from "commander";
import { addDaemonFlags } from "../../../cli/shell/daemon_command.js";
import { addNotes } from "../../../cli/shell/help.js";
import type { Shell } from "../../../cli/shell/shell.js";
import type { ApplyFlags, ExportFlags, PlanFlags } from "./providers_run.js";

const notes = [
  `The manifest is YAML: providers: [...], each with the keys of a profile (client_id, scopes, params, ...). A field that is left out has its default, or what the profile's template says; one that is removed is a change. \${NAME} in a value is the variable NAME; $$ is a dollar sign. A client secret cannot be read back: it is sent when none is stored, or with --rotate-secrets.`,
  "  + create    ~ update    - delete (only with --prune)    ! in the daemon and not in the manifest",
];

/** What a command does is loaded when it is run: a YAML parser is not worth the wait of all others. */
export function providersCommand(shell: Shell): Command {
  const plan = new Command("plan")
    .description("show what apply would change")
    .option("--detailed-exitcode", "answer 2 when apply would change something, 0 when not, 1 on any error")
    .action(async (flags: PlanFlags) => {
      const { planManifest } = await import("./providers_run.js");
      await planManifest(shell, flags);
    });
  const apply = new Command("apply")
    .description("make the daemon hold what the manifest says")
    .option("--yes", "do not ask; needed without a terminal")
    .action(async (flags: ApplyFlags) => {
      const { applyManifest } = await import("./providers_run.js");
      await applyManifest(shell, flags);
    });
  for (const command of [plan, apply]) {
    command
      .option("-f, --file <file>", "the manifest; - is standard input", "nexus-providers.yaml")
      .option("--prune", "delete profiles that the manifest does not name")
      .option("--rotate-secrets", "send every client secret again")
      .option("--catalog <file>", "provider templates of your own, as the daemon has them");
    addDaemonFlags(addNotes(command, ...notes));
  }
  const write = new Command("export")
    .description("write the providers of the daemon as a manifest")
    .option("-f, --file <file>", "where to; - is standard output", "-")
    .option("--force", "write over a file that exists")
    .action(async (flags: ExportFlags) => {
      const { exportProviders } = await import("./providers_run.js");
      await exportProviders(shell, flags);
    });
  addDaemonFlags(
    addNotes(
      write,
      `Client secrets never leave the daemon: each stands there as a variable, \${GITHUB_CLIENT_SECRET} for github.`,
    ),
  );
  return new Command("providers").addCommand(plan).addCommand(apply).addCommand(write);
}
