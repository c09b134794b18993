import { createHash } from "node:crypto";
import { closeSync, existsSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { Command } from "commander";
import {
  CommandFailure,
  callFailure,
  type DaemonFlags,
  daemonCommand,
  formatFields,
  formatTime,
  type Shell,
  usageFailure,
  whyNot,
  withProgress,
} from "../../cli/kit.js";
import { exitCodes } from "../../core/registry.js";
import type { BackupSummary, CreateBackupResponse } from "../../gen/nexus/v1/backup_pb.js";
import { BackupService } from "../../gen/nexus/v1/backup_pb.js";
import { formatBytes } from "../../model/model.js";

interface BackupFlags extends DaemonFlags {
  readonly force?: boolean;
  readonly allowUnreadable?: boolean;
}

export function backupCommand(shell: Shell): Command {
  const command = new Command("backup")
    .description("back up the store of a running daemon, after verifying every record; contains no keys")
    .argument("<file>", "target file (mode 0600), written completely or not at all")
    .option("--force", "replace an existing file")
    .option("--allow-unreadable", "include records that cannot be decrypted");
  return daemonCommand(shell, command, async ({ daemon, show }, flags: BackupFlags, name: string) => {
    const file = resolve(name);
    if (existsSync(file) && !flags.force)
      throw usageFailure(`${file} exists already: choose another name, or give --force`);
    const allowUnreadable = flags.allowUnreadable === true;
    try {
      let bytes = 0;
      const onBytes = (count: number): void => {
        bytes += count;
      };
      const parts = daemon.of(BackupService).createBackup({ allowUnreadable });
      const doing = () => `make a backup, ${formatBytes(bytes)}`;
      const summary = await withProgress(shell, doing, () => receive(parts, file, onBytes));
      show(summary, () => formatSummary(file, summary));
    } catch (error) {
      if (isFileError(error)) {
        throw new CommandFailure(exitCodes.failed, `cannot write the backup ${file}: ${whyNot(file, error)}`);
      }
      throw callFailure(error, "make a backup", daemon.address);
    }
  });
}

/** Writes beside the file, checks what came, and puts it in place in one step. */
async function receive(
  parts: AsyncIterable<CreateBackupResponse>,
  file: string,
  onBytes: (count: number) => void,
): Promise<BackupSummary> {
  const partial = `${file}.partial`;
  let summary: BackupSummary | undefined;
  const hash = createHash("sha256");
  let descriptor: number | undefined;
  try {
    for await (const { part } of parts) {
      if (part.case === "summary") summary = part.value;
      if (part.case !== "chunk") continue;
      if (descriptor === undefined) {
        rmSync(partial, { force: true });
        descriptor = openSync(partial, "wx", 0o600);
      }
      hash.update(part.value);
      onBytes(part.value.length);
      for (let start = 0; start < part.value.length; ) start += writeSync(descriptor, part.value, start);
    }
    if (descriptor === undefined || summary === undefined || hash.digest("hex") !== summary.sha256) {
      throw new CommandFailure(exitCodes.failed, "the backup did not arrive whole: nothing was written");
    }
    fsyncSync(descriptor);
    renameSync(partial, file);
    syncFolder(dirname(file));
    return summary;
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
    rmSync(partial, { force: true });
  }
}

function syncFolder(folder: string): void {
  const descriptor = openSync(folder, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function isFileError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && typeof (error as NodeJS.ErrnoException).syscall === "string";
}

function formatSummary(file: string, summary: BackupSummary): string {
  const unreadable = summary.unreadableRecords;
  return formatFields([
    ["backup", file],
    ["bytes", summary.bytes.toString()],
    ["sha256", summary.sha256],
    ["made", formatTime(summary.createdAt)],
    ["providers", summary.providers.toString()],
    ["connections", summary.connections.toString()],
    ["verified", `${summary.verifiedRecords} sealed records were opened`],
    ["unreadable", unreadable === 0n ? "" : `${unreadable} sealed records do not open`],
    ["keys", `${summary.keyIds.join(", ")}: not in the backup; keep them as long as the backup`],
  ]);
}
