import {
  type ConnectionChange,
  changeConnection,
  consentEnded,
} from "../../domain/connections/state/connection_change.js";
import { sealedPages } from "../../domain/operations/sealed_records.js";
import type { Connection } from "../../model/connections/connection.js";
import { isUnattended } from "../../model/providers/grant_type.js";
import { isRefreshable } from "../../model/refresh/refresh_policy.js";
import { countNotification } from "../../store/indexes/numbers.js";
import { unlessUnreadable } from "../../store/records/unreadable.js";
import type { Store } from "../../store/store.js";
import type { Transaction } from "../../store/transaction.js";

/** Connections of one commit. */
const page = 200;

/** What was done to a store that comes from a backup. */
export interface RestoredCounts {
  /** Connections whose refresh token may have been used since the backup. */
  readonly marked: number;
  /** Consents that were under way; their links must not work twice. */
  readonly endedRequests: number;
}

/**
 * Makes a copy that comes from a backup fit to be served:
 *
 * - It gets another epoch, so that watchers start again.
 * - It has no pending authorization, because each is good for one use.
 * - It has no notification, because the original store may have sent it.
 * - Each refresh token is marked, because the original store may have used it meanwhile. The mark changes nothing before the next refresh:
 *   it only shows what a refusal means.
 *
 * The copy is not in use yet, and is thrown away when this fails.
 */
export async function beginRestored(store: Store, nowMs: number, principal: string): Promise<RestoredCounts> {
  let endedRequests = 0;
  for await (const { kind, entries } of sealedPages(store)) {
    if (kind !== "authorization") continue;
    endedRequests += entries.length;
    await store.commit((tx) => {
      for (const { key } of entries) tx.takeAuthorization(key);
    });
  }
  let marked = 0;
  let afterId: string | undefined;
  for (;;) {
    const connections = store.listConnections({ afterId, limit: page });
    const changes = connections.map((connection) => {
      const profile = unlessUnreadable(() => store.getProvider(connection.providerId));
      // What is minted uses nothing up, here or elsewhere.
      const mayBeUsed = isRefreshable(connection) && !(profile && isUnattended(profile));
      return { connection, change: restored(connection, mayBeUsed, nowMs) };
    });
    await store.commit((tx) => {
      for (const { connection, change } of changes) {
        if (change) tx.putConnection(changeConnection(connection, change, nowMs));
      }
    });
    marked += changes.filter(({ change }) => change?.refreshIntent).length;
    afterId = connections.at(-1)?.id;
    if (connections.length < page) break;
  }
  while (await store.commit((tx) => clearNotifications(tx)));
  await store.commit((tx) => {
    tx.beginEpoch();
    tx.appendAudit({ timeMs: nowMs, principal, type: "store.restored", count: marked });
  });
  return { marked, endedRequests };
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

function restored(connection: Connection, mayBeUsed: boolean, nowMs: number): ConnectionChange | undefined {
  const isPending = connection.pendingStateHash !== undefined;
  if (!isPending && !mayBeUsed) return undefined;
  return {
    ...(isPending ? consentEnded(connection, "expired", "consent_expired", nowMs) : {}),
    ...(mayBeUsed ? marked(connection, nowMs) : {}),
  };
}

function marked(connection: Connection, nowMs: number): ConnectionChange {
  const { refreshIntent, credentialRevision, problem } = connection;
  const earlier = refreshIntent?.credentialRevision === credentialRevision ? refreshIntent : undefined;
  return {
    refreshIntent: { credentialRevision, startedAtMs: nowMs, sends: 0, ...earlier, restored: true },
    problem: problem ?? { reason: "restored", sinceMs: nowMs, retryAtMs: undefined },
  };
}
