import { StoreFailed } from "../../model/errors.js";

export { NotLeader, StoreFailed } from "../../model/errors.js";

/** The files of the store cannot be used: a person must restore a backup or move them away. */
export class StoreDamaged extends Error {
  override readonly name = "StoreDamaged";
}

/** LMDB found a page that is not what it should be, or no file of its own. */
const damageCodes: ReadonlySet<unknown> = new Set([-30_797, -30_796, -30_794, -30_793]);

const badTransactionCode = -30_782;

/** Whether LMDB reported that its file is damaged. */
export function isDamage(error: unknown): boolean {
  return error instanceof Error && "code" in error && damageCodes.has(error.code);
}

/** As `isDamage`, of a read: the one transaction of all reads of a turn fails with the first of them. */
export function isReadDamage(error: unknown): boolean {
  return isDamage(error) || (error instanceof Error && "code" in error && error.code === badTransactionCode);
}

/** @param violation end of a sentence about the file at `path` */
export function damaged(path: string, violation: string, cause?: unknown): StoreDamaged {
  return new StoreDamaged(
    `the store ${path} ${violation}: restore it from a backup, or move it away to start with an empty store; ` +
      "`nexusd restore FILE --force` puts the backup in its place and keeps it",
    { cause },
  );
}

/** The data folder cannot be made or written, or others can read it: the settings name the wrong one. */
export class DataFolderUnusable extends Error {
  override readonly name = "DataFolderUnusable";
}

/** Another process holds the data folder. */
export class DataFolderInUse extends Error {
  override readonly name = "DataFolderInUse";

  /**
   * @param sentence who holds it, and what to do
   * @param instead what a daemon can do instead, which helps nobody who needs this folder
   */
  constructor(
    readonly sentence: string,
    instead: string,
  ) {
    super(`${sentence}${instead}`);
  }
}

/** As `StoreFailed`, with commits that were never answered: the process cannot exit in order. */
export class StoreHangs extends StoreFailed {}
