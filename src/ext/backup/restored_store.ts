import { markRestored, type RestoredCounts } from "../../domain/operations/restored_records.js";
import { countNotification } from "../../store/indexes/numbers.js";
import type { Store } from "../../store/store.js";
import type { Transaction } from "../../store/transaction.js";

export type { RestoredCounts };

/** Notifications of one commit. */
const page = 200;

/**
 * Makes a copy that comes from a backup fit to be served, beyond `markRestored`:
 *
 * - It gets another epoch, so that watchers start again.
 * - It has no notification, because the original store may have sent it.
 *
 * The copy is not in use yet, and is thrown away when this fails.
 */
export async function beginRestored(store: Store, nowMs: number, principal: string): Promise<RestoredCounts> {
  const counts = await markRestored(store, nowMs);
  while (await store.commit((tx) => clearNotifications(tx)));
  await store.commit((tx) => {
    tx.beginEpoch();
    tx.appendAudit({ timeMs: nowMs, principal, type: "store.restored", count: counts.marked });
  });
  return counts;
}

/** Receivers are not notified of what the original may have reported. @returns whether there are more */
function clearNotifications(tx: Transaction): boolean {
  return tx.raw((databases) => {
    const { notifications, notificationsDue } = databases;
    const keys = [...notifications.getKeys({ limit: page })];
    for (const key of keys) {
      notifications.removeSync(key);
      countNotification(databases, key[0], -1n);
    }
    for (const key of [...notificationsDue.getKeys({ limit: page })]) notificationsDue.removeSync(key);
    return keys.length === page;
  });
}
