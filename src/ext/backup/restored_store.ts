import { markRestored, type RestoredCounts } from "../../domain/operations/operations.js";
import { forgetCounts, type Store, type Transaction } from "../../store/store.js";

export type { RestoredCounts };

/** Entries of one commit. */
const page = 200;

/**
 * Makes a copy that comes from a backup fit to be served, beyond `markRestored`:
 *
 * - It gets another epoch, so that watchers start again.
 * - It has nothing of what belongs to the original store alone: a notification, for example, may have been sent there.
 *
 * The copy is not in use yet, and is thrown away when this fails.
 */
export async function beginRestored(store: Store, nowMs: number, principal: string): Promise<RestoredCounts> {
  const counts = await markRestored(store, nowMs);
  while (await store.commit((tx) => emptyTables(tx)));
  await store.commit((tx) => {
    tx.beginEpoch();
    tx.appendAudit({ timeMs: nowMs, principal, type: "store.restored", count: counts.marked });
  });
  return counts;
}

/** What stays with the daemon that wrote it. @returns whether there is more */
function emptyTables(tx: Transaction): boolean {
  return tx.raw((databases) => {
    let left = page;
    for (const [table, entries] of databases.extensions) {
      if (!table.options.isEmptyAfterRestore) continue;
      const keys = [...entries.getKeys({ limit: left })];
      for (const key of keys) entries.removeSync(key);
      left -= keys.length;
      if (left === 0) return true;
      forgetCounts(databases, table);
    }
    return false;
  });
}
