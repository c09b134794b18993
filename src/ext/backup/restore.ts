import { createHash } from "node:crypto";
import {
  closeSync,
  copyFileSync,
  existsSync,
  fsyncSync,
  linkSync,
  mkdtempSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import type { Config } from "../../config/config.js";
import { withoutVariablesOf } from "../../document/document.js";
import { CredentialVault } from "../../domain/connections/connections.js";
import { openKeyCheck } from "../../domain/operations/operations.js";
import { owner } from "../../model/access/access.js";
import { DataLoss } from "../../model/model.js";
import type { Clock } from "../../runtime/runtime.js";
import { lockDataFolder, Store, type StoreOptions, storeFileName, syncFolder } from "../../store/store.js";
import { KeyError, KeyRingSource, Vault } from "../../vault/vault.js";
import {
  BackupDamaged,
  type BackupHeader,
  type BackupManifest,
  backupHeaderBytes,
  decodeBackupHeader,
  fileChunks,
  manifestText,
} from "./backup_file.js";
import { backupPlace, restoreFolderPrefix } from "./backup_maker.js";
import { beginRestored, type RestoredCounts } from "./restored_store.js";
import { verifySealed } from "./sealed_verdict.js";

/** Puts a backup into the data folder of the settings, whose daemon does not run. @throws as `restoreStore` */
export function restoreFromSettings(options: {
  readonly config: Config;
  readonly file: string;
  readonly force: boolean;
  readonly environment: NodeJS.ProcessEnv;
  readonly clock: Clock;
  readonly tables: StoreOptions["tables"];
}): Promise<RestoreReport> {
  const { config, file, force, clock, tables } = options;
  const environment = withoutVariablesOf(config.providersFile, options.environment);
  process.umask(0o077);
  const keys = new KeyRingSource({ source: config.encryptionKey, environment, clock });
  return restoreStore({ dataDir: config.dataDir, keys, file, force, clock, tables });
}

/** The data folder holds a store, which would be lost. */
export class StoreInTheWay extends Error {
  override readonly name = "StoreInTheWay";
}

export interface RestoreOptions {
  readonly dataDir: string;
  /** The keys of the settings. */
  readonly keys: Pick<KeyRingSource, "read">;
  readonly file: string;
  /** Replace a store, which is kept under another name, with the backup. */
  readonly force: boolean;
  readonly clock: Clock;
  /** Of the extensions. */
  readonly tables: StoreOptions["tables"];
}

export interface RestoreReport {
  readonly manifest: BackupManifest;
  /** Connections whose refresh token may have been used since the backup. */
  readonly marked: number;
  /** Consents that were under way. */
  readonly endedRequests: number;
  /** The store that was there before; undefined when none was. */
  readonly kept: string | undefined;
}

/**
 * Puts a backup into the data folder of a daemon that does not run. Everything is judged on a copy beside the store: until the one rename
 * at the end nothing has changed.
 *
 * @throws DataFolderInUse, StoreInTheWay, KeyError, BackupDamaged, StoreDamaged, and errors of the file system
 */
export async function restoreStore(options: RestoreOptions): Promise<RestoreReport> {
  const { dataDir, file, force, clock, tables } = options;
  const lock = lockDataFolder(dataDir);
  try {
    const path = join(dataDir, storeFileName);
    if (existsSync(path) && !force) {
      throw new StoreInTheWay(
        `the data folder ${dataDir} holds a store: with --force it is kept under another name`,
      );
    }
    const header = readHeader(file);
    const vault = await openRing(options, header);
    const folder = mkdtempSync(join(dataDir, restoreFolderPrefix));
    try {
      await extract(file, header.manifest, join(folder, storeFileName));
      const counts = await prepare(
        { folder, nowMs: clock.nowMs(), tables, leavesLog: true },
        header.manifest,
        vault,
      );
      const kept = put(join(folder, storeFileName), path, clock.nowMs());
      return { manifest: header.manifest, ...counts, kept };
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  } finally {
    lock.release();
  }
}

function readHeader(file: string): BackupHeader {
  const descriptor = openSync(file, "r");
  try {
    const bytes = Buffer.alloc(backupHeaderBytes);
    const length = readSync(descriptor, bytes, 0, backupHeaderBytes, 0);
    return decodeBackupHeader(bytes.subarray(0, length));
  } finally {
    closeSync(descriptor);
  }
}

/** The keys of the settings, which must be those of the backup: its seal proves both. */
async function openRing(options: RestoreOptions, { manifest, seal }: BackupHeader): Promise<Vault> {
  const keys = await options.keys.read().catch((error: unknown) => {
    if (!(error instanceof KeyError)) throw error;
    throw new KeyError(
      `${error.message}; a backup holds no key: put back key ${manifest.keyIds.join(", ")} first`,
    );
  });
  const vault = new Vault(keys);
  for (const key of keys) key.fill(0);
  const missing = [seal.keyId, ...manifest.keyIds].filter((keyId) => !vault.has(keyId));
  if (missing.length > 0)
    throw new KeyError(
      `the encryption key is not the one of the backup, which needs key ${[...new Set(missing)].join(", ")}`,
    );
  try {
    const text = vault.open(seal, backupPlace(manifest.databaseId)).toString("utf8");
    if (text === manifestText(manifest)) return vault;
  } catch (error) {
    if (!(error instanceof DataLoss)) throw error;
  }
  throw new BackupDamaged("has a header that was altered");
}

async function extract(file: string, manifest: BackupManifest, path: string): Promise<void> {
  const hash = createHash("sha256");
  const descriptor = openSync(path, "wx", 0o600);
  let bytes = 0;
  try {
    for await (const chunk of fileChunks(file, backupHeaderBytes)) {
      hash.update(chunk);
      bytes += chunk.length;
      for (let start = 0; start < chunk.length; ) start += writeSync(descriptor, chunk, start);
    }
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
  if (bytes !== manifest.bytes)
    throw new BackupDamaged(`holds ${bytes} bytes of the store, its header says ${manifest.bytes}`);
  if (hash.digest("hex") !== manifest.sha256)
    throw new BackupDamaged("is not as it was written: its checksum differs");
}

/** Opens every record, and makes the copy fit to be served. */
async function prepare(
  options: StoreOptions,
  manifest: BackupManifest,
  ring: Vault,
): Promise<RestoredCounts> {
  const store = Store.open(options);
  try {
    if (store.databaseId !== manifest.databaseId)
      throw new BackupDamaged("holds another store than its header says");
    await openKeyCheck(store, ring);
    const vault = new CredentialVault({ vault: ring, databaseId: store.databaseId });
    const { unreadable } = await verifySealed(store, vault);
    if (unreadable.length > manifest.unreadableRecords)
      throw new BackupDamaged(`holds ${unreadable.length} sealed records that do not open`);
    return await beginRestored(store, options.nowMs, owner.name);
  } finally {
    await store.close();
  }
}

/** @returns where the store that was there before is kept */
function put(fresh: string, path: string, nowMs: number): string | undefined {
  let kept: string | undefined;
  if (existsSync(path)) {
    kept = `${path}.before-restore-${new Date(nowMs).toISOString().replace(/[:.]/g, "-")}`;
    keep(path, kept);
  }
  renameSync(fresh, path);
  rmSync(`${path}-lock`, { force: true });
  syncFolder(join(path, ".."));
  return kept;
}

/** The old file stays in place too, so that a crash never leaves the folder without a store. */
function keep(path: string, kept: string): void {
  try {
    linkSync(path, kept);
  } catch {
    copyFileSync(path, kept);
  }
}
