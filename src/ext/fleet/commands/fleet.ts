import { resolve } from "node:path";
import { Command } from "commander";
import { CommandFailure, daemonCommand, formatFields, SettingOptions, type Shell } from "../../../cli/kit.js";
import { allSettings } from "../../../config/config.js";
import { type ExitCode, exitCodes, tablesOf } from "../../../core/registry.js";
import { FleetService } from "../../../gen/nexus/v1/fleet_pb.js";
import type { Migration } from "../database/migrations.js";
import { loadFleetStoreConfig } from "../hub/fleet_settings.js";
import type { InitReport } from "../hub/init_fleet.js";
import { formatFleet } from "./fleet_text.js";

const storeSettings = [
  "NEXUS_STORE_FILE",
  "NEXUS_DATA_DIR",
  "NEXUS_PORT_BASE",
  "NEXUS_ENCRYPTION_KEY_FILE",
  "NEXUS_ENCRYPTION_KEY_COMMAND",
] as const;

/** What can be wrong, by the name of the error, and how the command ends then. */
const exitCodeOf: Readonly<Record<string, ExitCode>> = {
  FleetRefused: exitCodes.sharedStoreNotUsable,
  FleetUnreachable: exitCodes.sharedStoreNotUsable,
  DataFolderInUse: exitCodes.dataFolderInUse,
  DataFolderUnusable: exitCodes.usage,
  StoreFailed: exitCodes.storeNotWritten,
  SecretFileOpen: exitCodes.usage,
  KeyError: exitCodes.wrongEncryptionKey,
  StoreDamaged: exitCodes.storeDamaged,
};

export function fleetCommand(shell: Shell): Command {
  return new Command("fleet")
    .description("run several daemons with one store in PostgreSQL")
    .addCommand(statusCommand(shell), { isDefault: true })
    .addCommand(initCommand(shell))
    .addCommand(migrateCommand(shell))
    .addCommand(restoredCommand(shell))
    .addCommand(stepDownCommand(shell));
}

function statusCommand(shell: Shell): Command {
  const command = new Command("status").description(
    "show the leader, the position of each hub, and warnings (also what nexusd fleet does)",
  );
  return daemonCommand(shell, command, async ({ daemon, call, show }) => {
    const { fleet, spoke } = await call("read the status", daemon.status.getStatus, {});
    if (spoke)
      throw new CommandFailure(exitCodes.failed, `this daemon is a spoke: ask its hub at ${spoke.hub}`);
    if (!fleet)
      throw new CommandFailure(exitCodes.failed, "this daemon is not in a fleet: NEXUS_STORE is not set");
    show(fleet, () => formatFleet(fleet));
  });
}

function stepDownCommand(shell: Shell): Command {
  const command = new Command("step-down").description(
    "make the leader step down; another hub leads within a second, and the old leader exits with 75",
  );
  return daemonCommand(shell, command, async ({ daemon, call, show }) => {
    const answer = await call("change the leader", daemon.of(FleetService).stepDown, {});
    show(answer, () => `the hub at ${answer.address} steps down\n`);
  });
}

function initCommand(shell: Shell): Command {
  const settings = new SettingOptions(storeSettings, allSettings(shell.extensions));
  const command = new Command("init")
    .description("create the store of a fleet in NEXUS_STORE: new, or from a stopped daemon")
    .option("--from <folder>", "data folder of that daemon; its keys must be there")
    .option("--json", "print JSON")
    .action(async (flags: { readonly from?: string; readonly json?: boolean }) => {
      const given = loadFleetStoreConfig(shell.env, settings.flagsOf({ ...flags }));
      const from = flags.from === undefined ? undefined : resolve(flags.from);
      // Keys that no setting names lie in the folder that the store comes from.
      const config =
        from === undefined ? given : loadFleetStoreConfig({ ...shell.env, NEXUS_DATA_DIR: from }, {});
      const { initFleet } = await import("../hub/init_fleet.js");
      const { env: environment, clock } = shell;
      const tables = tablesOf(shell.extensions);
      const report = await orFailure("begin the fleet", () =>
        initFleet({ config, from, environment, clock, tables }),
      );
      shell.stdout.write(flags.json ? `${JSON.stringify(resultOf(report))}\n` : formatInit(report));
    });
  for (const option of settings.options) command.addOption(option);
  return command;
}

function migrateCommand(shell: Shell): Command {
  const settings = new SettingOptions(["NEXUS_STORE_FILE"], allSettings(shell.extensions));
  const command = new Command("migrate")
    .description("migrate the fleet's tables to this version; hubs of both versions run until --contract")
    .option("--contract", "when all hubs have this version: remove what older versions need, and reject them")
    .option("--json", "print JSON")
    .action(async (flags: { readonly contract?: boolean; readonly json?: boolean }) => {
      const config = loadFleetStoreConfig(shell.env, settings.flagsOf({ ...flags }));
      const { migrateFleet } = await import("../hub/init_fleet.js");
      const migration = await orFailure("migrate the fleet", () =>
        migrateFleet(config, flags.contract === true, shell.clock),
      );
      shell.stdout.write(flags.json ? `${migrationJson(migration)}\n` : formatMigration(migration));
    });
  for (const option of settings.options) command.addOption(option);
  return command;
}

function restoredCommand(shell: Shell): Command {
  const settings = new SettingOptions(["NEXUS_STORE_FILE"], allSettings(shell.extensions));
  const command = new Command("restored")
    .description(
      "after PostgreSQL was restored to a point in time, and before any hub starts: wait for newer copies",
    )
    .option("--json", "print JSON")
    .action(async (flags: { readonly json?: boolean }) => {
      const config = loadFleetStoreConfig(shell.env, settings.flagsOf({ ...flags }));
      const { restoredFleet } = await import("../hub/init_fleet.js");
      const hubs = await orFailure("note the restore", () => restoredFleet(config, shell.clock));
      shell.stdout.write(flags.json ? `${JSON.stringify({ hubs })}\n` : formatRestored(hubs));
    });
  for (const option of settings.options) command.addOption(option);
  return command;
}

function formatRestored(hubs: readonly string[]): string {
  return formatFields([
    ["hubs", hubs.length === 0 ? "none were known" : hubs.join(", ")],
    [
      "next",
      "start all of them: the leader waits up to five minutes for their copies before it refreshes a token",
    ],
  ]);
}

async function orFailure<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const code = error instanceof Error ? exitCodeOf[error.name] : undefined;
    if (code === undefined) throw error;
    throw new CommandFailure(code, `cannot ${what}: ${(error as Error).message}`);
  }
}

function migrationJson({ from, to }: Migration): string {
  return JSON.stringify({
    layout_before: from.layout,
    layout: to.layout,
    min_layout_before: from.minLayout,
    min_layout: to.minLayout,
  });
}

function formatMigration({ from, to }: Migration): string {
  const { layout, minLayout } = to;
  const isContracted = minLayout === layout;
  return formatFields([
    ["layout", from.layout === layout ? `${layout} already` : `${from.layout} became ${layout}`],
    [
      "hubs",
      isContracted
        ? `that know no layout as new as ${layout} are refused`
        : `that know layout ${minLayout} go on`,
    ],
    [
      "next",
      isContracted ? "" : "replace each hub with this version, then run nexusd fleet migrate --contract",
    ],
  ]);
}

function resultOf({ databaseId, entries, madeKey, kept }: InitReport) {
  return { database_id: databaseId, entries, made_key: madeKey ?? "", kept_store: kept ?? "" };
}

function formatInit({ databaseId, entries, madeKey, kept }: InitReport): string {
  return formatFields([
    ["fleet", databaseId],
    ["entries", `${entries}`],
    ["key", madeKey === undefined ? "" : `made in ${madeKey}: back it up, and give it to every hub`],
    ["kept", kept === undefined ? "" : `${kept}: the store as it was; the fleet goes on with it`],
    ["next", "start nexusd serve with NEXUS_STORE and NEXUS_FLEET_LISTEN on each machine"],
  ]);
}
