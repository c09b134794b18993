import { existsSync } from "node:fs";
import { join } from "node:path";
import { DataFolderUnusable } from "../lmdb/store_error.js";

/** In a folder with copies of connections: up to where it has the changes of its hubs. */
export const copyFileName = "upstream.json";

/** A daemon that took such copies for connections of its own would ask people to consent. @throws DataFolderUnusable */
export function refuseCopies(folder: string): void {
  if (!existsSync(join(folder, copyFileName))) return;
  throw new DataFolderUnusable(
    `the data folder ${folder} holds copies of connections of a hub: set NEXUS_UPSTREAM to that hub, or give this daemon another one (NEXUS_DATA_DIR)`,
  );
}
