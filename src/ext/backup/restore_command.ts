import { resolve } from "node:path";
import { Command } from "commander";
import { CommandFailure, formatFields, SettingOptions, type Shell, withProgress } from "../../cli/kit.js";
import { loadConfig } from "../../config/config.js";
import { type ExitCode, exitCodes, tablesOf } from "../../core/registry.js";
import type { RestoreReport } from "./restore.js";

interface RestoreFlags {
  readonly json?: boolean;
  readonly force?: boolean;
}

/** What can be wrong, by the name of the error, and how the command ends then. */
const exitCodeOf: Readonly<Record<string, ExitCode>> = {
  DataFolderInUse: exitCodes.dataFolderInUse,
  DataFolderUnusable: exitCodes.usage,
  StoreFailed: exitCodes.storeNotWritten,
  KeyError: exitCodes.wrongEncryptionKey,
  StoreDamaged: exitCodes.storeDamaged,
  BackupDamaged: exitCodes.storeDamaged,
  StoreInTheWay: exitCodes.failed,
};

export function restoreCommand(shell: Shell): Command {
  const settings = new SettingOptions([
    "NEXUS_DATA_DIR",
    "NEXUS_PORT_BASE",
    "NEXUS_ENCRYPTION_KEY_FILE",
    "NEXUS_ENCRYPTION_KEY_COMMAND",
  ]);
  const command = new Command("restore")
    .description("restore a backup to the data folder of a stopped daemon; its keys must be there")
    .argument("<file>", "a file that nexusd backup wrote")
    .option("--json", "print JSON")
    .option("--force", "replace an existing store, which is kept under another name")
    .action(async (name: string, flags: RestoreFlags) => {
      const { env, stdout, extensions } = shell;
      const config = loadConfig(env, settings.flagsOf({ ...flags }), stdout, extensions);
      const file = resolve(name);
      // The command alone needs the store.
      const { restoreFromSettings } = await import("./restore.js");
      try {
        const { env: environment, clock } = shell;
        const force = flags.force === true;
        const work = () =>
          restoreFromSettings({ config, file, force, environment, clock, tables: tablesOf(extensions) });
        const report = await withProgress(shell, () => `restore ${file}`, work);
        shell.stdout.write(flags.json ? `${JSON.stringify(resultOf(report))}\n` : formatReport(report));
      } catch (error) {
        throw failureOf(error, file);
      }
    });
  for (const option of settings.options) command.addOption(option);
  return command;
}

function failureOf(error: unknown, file: string): unknown {
  if (!(error instanceof Error)) return error;
  const code = exitCodeOf[error.name];
  const { code: systemCode, path } = error as NodeJS.ErrnoException;
  if (code === undefined && systemCode === undefined) return error;
  const { sentence = error.message } = error as { readonly sentence?: string };
  const isMissing = systemCode === "ENOENT" && path === file;
  const ofFile = isMissing ? "cannot be read: there is no such file (ENOENT)" : sentence;
  const why = isMissing || error.name === "BackupDamaged" ? `${file} ${ofFile}` : sentence;
  return new CommandFailure(code ?? exitCodes.failed, `cannot restore: ${why}`);
}

function resultOf({ manifest, marked, endedRequests, kept }: RestoreReport) {
  return {
    database_id: manifest.databaseId,
    created_at: new Date(manifest.createdAtMs).toISOString(),
    providers: manifest.providers,
    connections: manifest.connections,
    verified_records: manifest.verifiedRecords,
    marked_connections: marked,
    ended_requests: endedRequests,
    kept_store: kept ?? "",
  };
}

function formatReport({ manifest, marked, endedRequests, kept }: RestoreReport): string {
  const ended = endedRequests === 0 ? "" : `${endedRequests} links for consent ended: ask again`;
  return formatFields([
    ["restored", `the store of ${new Date(manifest.createdAtMs).toISOString()}`],
    ["providers", `${manifest.providers}`],
    ["connections", `${manifest.connections}`],
    ["verified", `${manifest.verifiedRecords} sealed records were opened`],
    [
      "marked",
      `${marked} connections: their refresh tokens may have been used since; the next refresh will show it`,
    ],
    ["requests", ended],
    ["kept", kept ?? ""],
  ]);
}
