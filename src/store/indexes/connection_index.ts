import type { Connection } from "../../model/connections/connection.js";
import { type Databases, nothing } from "../lmdb/databases.js";
import { decodeConnection } from "../records/connection_codec.js";
import { addToNumber, nameInKey, writeNumber } from "./numbers.js";

/** What the indexes and counters know of a connection. */
export type IndexedConnection = Pick<Connection, "userId" | "providerId" | "status" | "dueAtMs">;

/** Moves a connection in every index and counter, inside a transaction; undefined stands for a connection that is not there. */
export function moveInIndexes(
  databases: Databases,
  id: string,
  before: IndexedConnection | undefined,
  after: IndexedConnection | undefined,
): void {
  if (before?.providerId !== after?.providerId) {
    if (before) {
      databases.connectionsByProvider.removeSync([before.providerId, id]);
      addToNumber(databases, ["provider", before.providerId], -1n);
    }
    if (after) {
      databases.connectionsByProvider.putSync([after.providerId, id], nothing);
      addToNumber(databases, ["provider", after.providerId], 1n);
    }
  }
  if (before?.userId !== after?.userId) {
    if (before) addToNumber(databases, ["user", nameInKey(before.userId)], -1n);
    if (after) addToNumber(databases, ["user", nameInKey(after.userId)], 1n);
  }
  if (before?.status !== after?.status) {
    if (before) addToNumber(databases, ["status", before.status], -1n);
    if (after) addToNumber(databases, ["status", after.status], 1n);
  }
  if (before?.dueAtMs !== after?.dueAtMs) {
    if (before?.dueAtMs !== undefined) databases.due.removeSync([before.dueAtMs, id]);
    if (after?.dueAtMs !== undefined) databases.due.putSync([after.dueAtMs, id], nothing);
  }
}

/** Key in database `meta` of the mark that connections are counted by user id. */
const countedKey = "counted_users";

/** Counts the connections of each user id in a store that was made before they were counted: once, inside a transaction. */
export function countOldUsers(databases: Databases): void {
  if (databases.meta.doesExist(countedKey)) return;
  const counts = new Map<string, bigint>();
  for (const { value } of databases.connections.getRange({})) {
    const name = nameInKey(decodeConnection(value).connection.userId);
    counts.set(name, (counts.get(name) ?? 0n) + 1n);
  }
  for (const [name, count] of counts) writeNumber(databases, ["user", name], count);
  databases.meta.putSync(countedKey, nothing);
}
