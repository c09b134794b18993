import { Command } from "commander";
import { addDaemonFlags, addNotes, type Shell } from "../../../cli/kit.js";
import type { ApplyFlags, ExportFlags, PlanFlags } from "./manifest_run.js";

const notes = [
  `The manifest is YAML: providers: [...], each with the keys of a profile (client_id, scopes, params, ...). A field that is left out has its default, or what the profile's template says; one that is removed is a change. \${NAME} in a value is the variable NAME; $$ is a dollar sign. A client secret cannot be read back: it is sent when none is stored, or with --rotate-secrets.`,
  "  + create    ~ update    - delete (only with --prune)    ! in the daemon and not in the manifest",
];

/** What a command does is loaded when it is run: a YAML parser is not worth the wait of all others. */
export function manifestCommand(shell: Shell): Command {
  const plan = new Command("plan")
    .description("show what apply would change")
    .option("--detailed-exitcode", "exit with 2 if apply would change something, 0 if not, 1 on an error")
    .action(async (flags: PlanFlags) => {
      const { planManifest } = await import("./manifest_run.js");
      await planManifest(shell, flags);
    });
  const apply = new Command("apply")
    .description("apply the manifest to the daemon")
    .option("--yes", "do not ask; needed without a terminal")
    .action(async (flags: ApplyFlags) => {
      const { applyManifest } = await import("./manifest_run.js");
      await applyManifest(shell, flags);
    });
  for (const command of [plan, apply]) {
    command
      .option("-f, --file <file>", "the manifest; - is standard input", "nexus-providers.yaml")
      .option("--prune", "delete profiles that the manifest does not name")
      .option("--rotate-secrets", "send all client secrets again")
      .option("--catalog <file>", "your own provider templates, as in the daemon");
    addDaemonFlags(addNotes(command, ...notes));
  }
  const write = new Command("export")
    .description("export the daemon's providers as a manifest")
    .option("-f, --file <file>", "target file; - is standard output", "-")
    .option("--force", "overwrite an existing file")
    .action(async (flags: ExportFlags) => {
      const { exportProviders } = await import("./manifest_run.js");
      await exportProviders(shell, flags);
    });
  addDaemonFlags(
    addNotes(
      write,
      `Client secrets never leave the daemon: each stands there as a variable, \${GITHUB_CLIENT_SECRET} for github.`,
    ),
  );
  return new Command("manifest").addCommand(plan).addCommand(apply).addCommand(write);
}
