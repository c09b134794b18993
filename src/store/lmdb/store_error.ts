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
}

/**
 * A commit could not be made durable. What it wrote is lost, nothing more is written: the process must end.
 */
export class StoreFailed extends Error {
  override readonly name = "StoreFailed";
}

/** As `StoreFailed`, with commits that were never answered: the process cannot exit in order. */
export class StoreHangs extends StoreFailed {}
