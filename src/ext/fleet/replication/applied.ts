import {
  type CommittedChange,
  type Databases,
  decodeChange,
  decodeConnection,
  decodeCount,
  lmdbNames,
  unlessUnreadable,
} from "../../../store/store.js";
import type { LogBatch, RawWrite } from "./log.js";

/** What batches of the log changed here, for those who hold some of it in memory. */
export interface Applied {
  /** As a commit reports them: each connection once, in the order of the revisions. */
  readonly changes: readonly CommittedChange[];
  /** Ids of profiles that were made, changed or deleted. */
  readonly providerIds: readonly string[];
  /** Ids of API keys that were made, revoked or used. */
  readonly apiKeyIds: readonly string[];
  /** Whether the record of the store itself changed: its epoch, or the key that it names. */
  readonly storeRecord: boolean;
}

/** @param batches are in the databases already */
export function appliedOf(databases: Databases, batches: readonly LogBatch[]): Applied {
  const changes = new Map<bigint, RawWrite>();
  const providerIds = new Set<string>();
  const apiKeyIds = new Set<string>();
  let storeRecord = false;
  for (const write of batches.flatMap(({ writes }) => writes)) {
    const { database, key } = write;
    if (database === lmdbNames.changes) changes.set(decodeCount(key), write);
    else if (database === lmdbNames.providers) providerIds.add(Buffer.from(key).toString("utf8"));
    else if (database === lmdbNames.apiKeys) apiKeyIds.add(Buffer.from(key).toString("utf8"));
    else if (database === lmdbNames.meta) storeRecord ||= Buffer.from(key).toString("utf8") === "store";
  }
  return {
    changes: [...changes]
      .sort(([one], [other]) => (one < other ? -1 : 1))
      .flatMap(([revision, { value }]) =>
        value === undefined ? [] : [changeOf(databases, revision, value)],
      ),
    providerIds: [...providerIds],
    apiKeyIds: [...apiKeyIds],
    storeRecord,
  };
}

function changeOf(databases: Databases, revision: bigint, value: Uint8Array): CommittedChange {
  const change = decodeChange(revision, value);
  const bytes = change.removed ? undefined : databases.connections.getBinary(change.connectionId);
  const stored = bytes && unlessUnreadable(() => decodeConnection(bytes));
  return { ...change, dueAtMs: stored?.connection.dueAtMs };
}
