import { existsSync } from "node:fs";
import { join } from "node:path";
import { DataFolderUnusable } from "../lmdb/store_error.js";

/** In the folder of a spoke: up to where it has the changes of its hubs. */
export const copyFileName = "upstream.json";

/** A daemon that took the copies of a spoke for connections of its own would ask people to consent. @throws DataFolderUnusable */
export function refuseCopies(folder: string): void {
  if (!existsSync(join(folder, copyFileName))) return;
  throw new DataFolderUnusable(
    `the data folder ${folder} is that of a spoke: set NEXUS_UPSTREAM, or give this daemon another one (NEXUS_DATA_DIR)`,
  );
}
