import { existsSync, writeFileSync } from "node:fs";
import { Catalogue } from "../../../catalogue/catalogue.js";
import { CatalogueError } from "../../../catalogue/catalogue_error.js";
import { CommandFailure, usageFailure } from "../../../cli/shell/command_failure.js";
import { confirm } from "../../../cli/shell/confirm.js";
import { type DaemonFlags, type DaemonSession, withDaemon } from "../../../cli/shell/daemon_command.js";
import { readText, usable } from "../../../cli/shell/files.js";
import type { Shell } from "../../../cli/shell/shell.js";
import { printable, shellWord } from "../../../cli/shell/text.js";
import { driftExitCode, exitCodes } from "../../../daemon/exit_codes.js";
import { DocumentError, type DocumentViolation } from "../../../document/document_error.js";
import { GrantTypes, grantViolations } from "../../../domain/token_endpoint/grant_types.js";
import { applyPlan } from "../apply.js";
import { type Manifest, readManifest } from "../manifest.js";
import { manifestJson, manifestText, secretVariable } from "../manifest_text.js";
import { hasDrift, type Plan, type PlannedChange, planOf } from "../plan.js";
import { formatPlan, planJson } from "./plan_text.js";
import { readProfiles, targetOf } from "./provider_target.js";

export interface PlanFlags extends DaemonFlags {
  readonly file: string;
  readonly catalog?: string;
  readonly prune?: boolean;
  readonly rotateSecrets?: boolean;
  readonly detailedExitcode?: boolean;
}

export interface ApplyFlags extends PlanFlags {
  readonly yes?: boolean;
}

export interface ExportFlags extends DaemonFlags {
  readonly file: string;
  readonly force?: boolean;
}

/** `providers plan`: 2 means drift, so that no failure may end with it. */
export async function planManifest(shell: Shell, flags: PlanFlags): Promise<void> {
  let drifts: boolean;
  try {
    drifts = await showPlan(shell, flags);
  } catch (error) {
    if (!flags.detailedExitcode || !(error instanceof CommandFailure)) throw error;
    throw new CommandFailure(exitCodes.failed, error.message);
  }
  if (flags.detailedExitcode && drifts) throw new CommandFailure(driftExitCode, "");
}

async function showPlan(shell: Shell, flags: PlanFlags): Promise<boolean> {
  const manifest = await loadManifest(shell, flags);
  let drifts = false;
  await withDaemon(shell, flags, async (session) => {
    const plan = await makePlan(session, manifest, flags);
    shell.stdout.write(flags.json ? planJson(plan) : formatPlan(plan));
    drifts = hasDrift(plan);
  });
  return drifts;
}

/** `providers apply`. */
export async function applyManifest(shell: Shell, flags: ApplyFlags): Promise<void> {
  const manifest = await loadManifest(shell, flags);
  await withDaemon(shell, flags, async (session) => {
    const plan = await makePlan(session, manifest, flags);
    if (!flags.json) shell.stdout.write(formatPlan(plan));
    if (!hasDrift(plan)) {
      if (flags.json) shell.stdout.write(planJson(plan, { applied: true }));
      return;
    }
    // A manifest on standard input leaves nothing to ask at.
    const terminal = flags.file === "-" ? { ...shell, stdin: { ...shell.stdin, isTTY: false } } : shell;
    await confirm(terminal, "Apply this plan?", flags.yes);
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

async function loadManifest(shell: Shell, { file, catalog }: PlanFlags): Promise<Manifest> {
  if (file !== "-" && !existsSync(file)) {
    throw usageFailure(
      `--file: ${printable(file)} does not exist\nmake one of what the daemon has: nexusd providers export --file ${shellWord(file)}`,
    );
  }
  const text = file === "-" ? await shell.stdin.readAll() : readText(file, "--file");
  const templates = await openCatalogue(catalog);
  const manifest = usable("manifest", file, () => readManifest(text, { variables: shell.env, templates }));
  const types = new GrantTypes(shell.extensions.flatMap(({ grantTypes = [] }) => grantTypes));
  const violations = await grantViolationsOf(manifest, types);
  return usable("manifest", file, () => {
    if (violations.length > 0) throw new DocumentError(violations);
    return manifest;
  });
}

/** What the grant types of the profiles find wrong with them. */
async function grantViolationsOf({ profiles }: Manifest, types: GrantTypes): Promise<DocumentViolation[]> {
  const found = profiles.map(async ({ settings, violation }) =>
    grantViolations(settings, await types.load(settings.grantType)).map(({ field, description }) =>
      violation(field, description),
    ),
  );
  return (await Promise.all(found)).flat();
}

async function openCatalogue(file: string | undefined): Promise<Catalogue> {
  try {
    return await Catalogue.open(file);
  } catch (error) {
    if (!(error instanceof CatalogueError)) throw error;
    throw new CommandFailure(exitCodes.failed, printable(error.message.replaceAll("\n", "; ")));
  }
}

async function makePlan(session: DaemonSession, manifest: Manifest, flags: PlanFlags): Promise<Plan> {
  const current = await readProfiles(session);
  return usable("manifest", flags.file, () =>
    planOf(manifest, current, {
      prune: flags.prune ?? false,
      rotateSecrets: flags.rotateSecrets ?? false,
    }),
  );
}

/** `providers export`. */
export async function exportProviders(shell: Shell, flags: ExportFlags): Promise<void> {
  await withDaemon(shell, flags, async (session) => {
    const profiles = await readProfiles(session);
    const text = flags.json ? `${JSON.stringify(manifestJson(profiles))}\n` : manifestText(profiles);
    if (flags.file === "-") shell.stdout.write(text);
    else {
      writeText(flags.file, text, flags.force ?? false);
      const variables = profiles.filter(({ clientSecretSet }) => clientSecretSet);
      const names = variables.map(({ settings }) => secretVariable(settings.name)).join(", ");
      const counted = profiles.length === 1 ? "1 provider" : `${profiles.length} providers`;
      shell.stderr.write(`wrote ${counted} to ${flags.file}${names === "" ? "" : `; it wants ${names}`}\n`);
    }
  });
}

function writeText(file: string, text: string, isForced: boolean): void {
  try {
    writeFileSync(file, text, { flag: isForced ? "w" : "wx" });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const why = code === "EEXIST" ? "exists: give --force to write over it" : `cannot be written: ${code}`;
    throw new CommandFailure(exitCodes.failed, `${file} ${why}`);
  }
}
