import { StoreFailed } from "../../model/errors.js";

export { NotLeader, StoreFailed } from "../../model/errors.js";

/** The files of the store cannot be used: a person must restore a backup or move them away. */
export class StoreDamaged extends Error {
  override readonly name = "StoreDamaged";
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
