import { readFileSync } from "node:fs";
import { Command } from "commander";
import { applyPlan } from "../manifest/apply.js";
import { type Manifest, readManifest } from "../manifest/manifest.js";
import { formatFaults, ManifestError } from "../manifest/manifest_fault.js";
import { hasDrift, type Plan, type PlannedChange, planOf } from "../manifest/plan.js";
import { CommandFailure, usageFailure } from "./command_failure.js";
import { addDaemonFlags, type DaemonFlags, type DaemonSession, withDaemon } from "./daemon_command.js";
import { driftExitCode, exitCodes } from "./exit_codes.js";
import { formatPlan, planJson } from "./plan_text.js";
import { readProfiles, targetOf } from "./provider_target.js";
import { providersExportCommand } from "./providers_export.js";
import type { Shell } from "./shell.js";
import { printable } from "./text.js";

interface PlanFlags extends DaemonFlags {
  readonly file: string;
  readonly prune?: boolean;
  readonly rotateSecrets?: boolean;
  readonly detailedExitcode?: boolean;
}

interface ApplyFlags extends PlanFlags {
  readonly yes?: boolean;
}

const notes = `
The manifest is YAML: providers: [...], each with the keys of a profile (client_id, scopes, params, ...). A field that
is left out has its default, and one that is removed is a change. \${NAME} in a value is the variable NAME; $$ is a
dollar sign. A client secret cannot be read back, so it is sent when none is stored, or with --rotate-secrets.

  + create    ~ update    - delete (only with --prune)    ! in the daemon and not in the manifest`;

export function providersCommand(shell: Shell): Command {
  const plan = new Command("plan")
    .description("show what apply would change")
    .option("--detailed-exitcode", "answer 2 when apply would change something, 0 when not, 1 on any error")
    .action((flags: PlanFlags) => detailed(flags, () => showPlan(shell, flags)));
  const apply = new Command("apply")
    .description("make the daemon hold what the manifest says")
    .option("--yes", "do not ask; needed where nobody can be asked")
    .action((flags: ApplyFlags) => applyManifest(shell, flags));
  for (const command of [plan, apply]) {
    command
      .option("-f, --file <file>", "the manifest; - is standard input", "nexus-providers.yaml")
      .option("--prune", "delete profiles that the manifest does not name")
      .option("--rotate-secrets", "send every client secret again");
    addDaemonFlags(command).addHelpText("after", notes);
  }
  return new Command("providers")
    .description("keep the providers as a file says")
    .addCommand(plan)
    .addCommand(apply)
    .addCommand(providersExportCommand(shell));
}

/** 2 means drift, so that no failure may end with it. */
async function detailed(flags: PlanFlags, work: () => Promise<boolean>): Promise<void> {
  let drifts: boolean;
  try {
    drifts = await work();
  } catch (error) {
    if (!flags.detailedExitcode || !(error instanceof CommandFailure)) throw error;
    throw new CommandFailure(exitCodes.failed, error.message);
  }
  if (flags.detailedExitcode && drifts) throw new CommandFailure(driftExitCode, "");
}

async function showPlan(shell: Shell, flags: PlanFlags): Promise<boolean> {
  const manifest = await loadManifest(shell, flags.file);
  let drifts = false;
  await withDaemon(shell, flags, async (session) => {
    const plan = await makePlan(session, manifest, flags);
    shell.stdout.write(flags.json ? planJson(plan) : formatPlan(plan));
    drifts = hasDrift(plan);
  });
  return drifts;
}

async function applyManifest(shell: Shell, flags: ApplyFlags): Promise<void> {
  const manifest = await loadManifest(shell, flags.file);
  await withDaemon(shell, flags, async (session) => {
    const plan = await makePlan(session, manifest, flags);
    if (!flags.json) shell.stdout.write(formatPlan(plan));
    if (!hasDrift(plan)) {
      if (flags.json) shell.stdout.write(planJson(plan, { applied: true }));
      return;
    }
    await approve(shell, flags);
    const done: PlannedChange[] = [];
    try {
      await applyPlan(plan, targetOf(session), (change) => void done.push(change));
    } catch (error) {
      if (error instanceof CommandFailure && done.length > 0) {
        const names = done.map(({ action, name }) => `${action} ${name}`).join(", ");
        throw new CommandFailure(
          error.exitCode,
          `${error.message}\ndone before that, and not undone: ${names}`,
        );
      }
      throw error;
    }
    shell.stdout.write(flags.json ? planJson(plan, { applied: true }) : "applied\n");
  });
}

/** @throws CommandFailure unless a person, or the one who wrote the script, says yes */
async function approve(shell: Shell, flags: ApplyFlags): Promise<void> {
  if (flags.yes) return;
  if (!shell.stdin.isTTY || flags.file === "-") {
    throw usageFailure("nobody can be asked here: give --yes to apply the plan");
  }
  const answer = await shell.stdin.ask("Apply this plan? [y/N] ", { echo: true });
  if (!/^y(es)?$/i.test(answer.trim())) throw new CommandFailure(exitCodes.failed, "nothing was changed");
}

async function loadManifest(shell: Shell, file: string): Promise<Manifest> {
  const text = file === "-" ? await shell.stdin.readAll() : readText(file);
  return told(file, () => readManifest(text, { variables: shell.env }));
}

async function makePlan(session: DaemonSession, manifest: Manifest, flags: PlanFlags): Promise<Plan> {
  const current = await readProfiles(session);
  return told(flags.file, () =>
    planOf(manifest, current, {
      prune: flags.prune ?? false,
      rotateSecrets: flags.rotateSecrets ?? false,
    }),
  );
}

function readText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw usageFailure(`--file: ${file} cannot be read: ${(error as NodeJS.ErrnoException).code}`);
  }
}

function told<T>(file: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof ManifestError)) throw error;
    const lines = formatFaults(error).map((fault) => printable(`  ${file}:${fault}`));
    throw new CommandFailure(exitCodes.failed, ["the manifest cannot be used", ...lines].join("\n"));
  }
}
