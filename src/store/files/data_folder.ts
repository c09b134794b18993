import {
  accessSync,
  chmodSync,
  closeSync,
  constants,
  existsSync,
  fchmodSync,
  fstatSync,
  ftruncateSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  statSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { tryLock } from "fs-native-extensions";
import { DataFolderInUse, DataFolderUnusable, StoreFailed } from "../lmdb/store_error.js";

/** Held for the life of the process. The kernel releases it when the process dies, however it dies. */
export interface DataFolderLock {
  /** Idempotent. */
  release(): void;
}

const lockFileName = "nexusd.lock";
const othersMask = 0o077;
/** LMDB crashes on a lock that it cannot open, and a FIFO is waited for without end. `checkStoreFile` looks at the store. */
const writtenFiles = [
  lockFileName,
  "nexus.mdb-lock",
  "nexus.mdb-open",
  "outbox.mdb",
  "outbox.mdb-lock",
  "outbox.mdb-open",
  "daemon-id",
  "spool.bin",
];
const readFiles = ["upstream.json", "lead-given-back.json", "encryption.key", "admin.key"];

/** What the holder wrote into the lock file; information for a person, never a decision. */
function readHolder(path: string): string {
  const text = readFileSync(path, "utf8").trim();
  return /^\d+$/.test(text) ? `process ${text}` : "another process";
}

/**
 * Makes the folder and those around it, one by one: `mkdirSync` with `recursive` does not return for a folder below /proc.
 *
 * @throws Error of the system
 */
function makeFolders(folder: string): void {
  const missing: string[] = [];
  for (let path = folder; !existsSync(path); path = dirname(path)) missing.unshift(path);
  for (const path of missing) {
    try {
      mkdirSync(path, { mode: 0o700 });
    } catch (error) {
      // Somebody else has just made it.
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
  }
}

/** @throws DataFolderUnusable when the folder is open to others and not ours to close; Error of the system */
function makePrivateFolder(folder: string): void {
  makeFolders(folder);
  const stat = statSync(folder);
  if (!stat.isDirectory()) throw new DataFolderUnusable(`the data folder ${folder} is not a folder`);
  if ((stat.mode & othersMask) === 0) return;
  if (process.getuid !== undefined && stat.uid !== process.getuid()) {
    const mode = (stat.mode & 0o777).toString(8);
    throw new DataFolderUnusable(
      `the data folder ${folder} is accessible to other users (mode ${mode}) and belongs to user ${stat.uid}: ` +
        `run "chmod 700" on it as its owner, or choose another folder`,
    );
  }
  chmodSync(folder, 0o700);
}

/** @throws DataFolderUnusable for a file of ours that is none, or belongs to somebody else */
function refuseOddFiles(folder: string): void {
  for (const name of [...writtenFiles, ...readFiles]) {
    const path = join(folder, name);
    if (!lstatSync(path, { throwIfNoEntry: false })) continue;
    const why = oddityOf(path, writtenFiles.includes(name) ? constants.O_RDWR : constants.O_RDONLY);
    if (why === undefined) continue;
    const remedy =
      why === "EACCES"
        ? 'let this user read and write it with "chmod 600" and "chown"'
        : "make it a regular file of this user, or move it away";
    throw new DataFolderUnusable(`the file ${path} cannot be used (${why}): ${remedy}`);
  }
}

function oddityOf(path: string, access: number): string | undefined {
  let descriptor: number | undefined;
  try {
    descriptor = openSync(path, access | constants.O_NONBLOCK);
    return fstatSync(descriptor).isFile() ? undefined : "no regular file";
  } catch (error) {
    return (error as NodeJS.ErrnoException).code;
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

/** @throws DataFolderInUse; Error of the system */
function openLockFile(folder: string): number {
  const path = join(folder, lockFileName);
  const descriptor = openSync(path, "a+", 0o600);
  try {
    fchmodSync(descriptor, 0o600);
    if (!tryLock(descriptor)) {
      throw new DataFolderInUse(
        `the data folder ${folder} is in use by ${readHolder(path)}: stop that nexusd first`,
        `, or choose another folder; \`nexusd serve --port-base 9100\` runs a second daemon with a folder and ports of its own`,
      );
    }
    ftruncateSync(descriptor, 0);
    writeSync(descriptor, `${process.pid}\n`);
    return descriptor;
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
}

/**
 * Makes `folder` (0700, with its parents) and takes it for this process. LMDB itself lets two processes in.
 *
 * @throws DataFolderInUse when another process, or an earlier call in this one, holds it
 * @throws StoreFailed on a file system that is mounted read-only, which an operator may mend under a daemon that is started again
 * @throws DataFolderUnusable when the folder or a file in it cannot be made or used, or it is open to others and owned by someone else
 */
export function lockDataFolder(folder: string): DataFolderLock {
  let descriptor: number;
  try {
    makePrivateFolder(folder);
    accessSync(folder, constants.W_OK | constants.X_OK);
    refuseOddFiles(folder);
    descriptor = openLockFile(folder);
  } catch (error) {
    const { code, syscall } = error as NodeJS.ErrnoException;
    if (code === undefined || syscall === undefined) throw error;
    if (code === "EROFS")
      throw new StoreFailed(
        `the data folder ${folder} is on a file system that is mounted read-only: mount it writable (a disk with errors is remounted so; the kernel's log has them), or choose another folder with --data-dir (NEXUS_DATA_DIR)`,
        { cause: error },
      );
    throw new DataFolderUnusable(
      `the data folder ${folder} cannot be made or written (${code}): choose another one with --data-dir (NEXUS_DATA_DIR), or let this user write there`,
    );
  }
  let held = true;
  return {
    release() {
      if (!held) return;
      held = false;
      closeSync(descriptor);
    },
  };
}
