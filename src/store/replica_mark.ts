import type { Databases } from "./lmdb/databases.js";
import { StoreDamaged } from "./lmdb/store_error.js";

/** Key in database `meta` of what a replica has of the log of its fleet; the one entry that each replica has for itself. */
export const replicaKey = "replica";

/**
 * For a store that is the only one of its history.
 *
 * @param leavesFleet a replica becomes one; durable on return
 * @throws StoreDamaged when the file is a replica
 */
export function refuseReplica({ root, meta }: Databases, path: string, leavesFleet: boolean): void {
  if (!meta.doesExist(replicaKey)) return;
  if (!leavesFleet)
    throw new StoreDamaged(
      `the store ${path} is a replica of a fleet: set NEXUS_STORE to the fleet's database, or restore a backup of it to make it a store of its own`,
    );
  root.transactionSync(() => {
    meta.removeSync(replicaKey);
  });
}
