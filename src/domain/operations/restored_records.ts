import type { Connection } from "../../model/connections/connection.js";
import { isUnattended } from "../../model/providers/grant_type.js";
import { isRefreshableToCheck } from "../../model/refresh/refresh_policy.js";
import { unlessUnreadable } from "../../store/records/unreadable.js";
import type { Store } from "../../store/store.js";
import { type ConnectionChange, changeConnection, consentEnded } from "../connections/connections.js";
import { sealedPages } from "./sealed_records.js";

/** Connections of one commit. */
const page = 200;

/** What was done to a store that went back in time. */
export interface RestoredCounts {
  /** Connections whose refresh token may have been used since. */
  readonly marked: number;
  /** Consents that were under way; their links must not work twice. */
  readonly endedRequests: number;
}

/**
 * Marks what a store has that went back in time. Done again, it changes nothing more.
 *
 * - It has no pending authorization, because each is good for one use.
 * - Each refresh token is marked, because it may have been used since. The mark changes nothing before the next refresh: it only shows what
 *   a refusal means.
 *
 * @throws StoreFailed
 */
export async function markRestored(store: Store, nowMs: number): Promise<RestoredCounts> {
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
      // A minted token uses nothing up, whichever daemon mints it.
      const mayBeUsed = isRefreshableToCheck(connection) && !(profile && isUnattended(profile));
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
  return { marked, endedRequests };
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
