import type { Databases } from "./lmdb/databases.js";
import { StoreDamaged } from "./lmdb/store_error.js";

/** Key in database `meta` of what a replica has of the log that it follows; the one entry that each replica has for itself. */
export const replicaKey = "replica";

/**
 * For a store that is the only one of its history.
 *
 * @param leavesLog a replica becomes one; durable on return
 * @throws StoreDamaged when the file is a replica
 */
export function refuseReplica({ root, meta }: Databases, path: string, leavesLog: boolean): void {
  if (!meta.doesExist(replicaKey)) return;
  if (!leavesLog)
    throw new StoreDamaged(
      `the store ${path} is a replica of a database: set NEXUS_STORE to it, or restore a backup of it to make it a store of its own`,
    );
  root.transactionSync(() => {
    meta.removeSync(replicaKey);
  });
}
