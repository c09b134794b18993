import type { Connection } from "../../model/connections/connection.js";
import { type Databases, nothing } from "../lmdb/databases.js";
import { moveInNames } from "./name_index.js";
import { addToNumber, nameInKey } from "./numbers.js";

/** Moves a connection in every index and counter, inside a transaction; undefined stands for a connection that is not there. */
export function moveInIndexes(
  databases: Databases,
  id: string,
  before: Connection | undefined,
  after: Connection | undefined,
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
  moveInNames(databases, id, before, after);
  if (before?.status !== after?.status) {
    if (before) addToNumber(databases, ["status", before.status], -1n);
    if (after) addToNumber(databases, ["status", after.status], 1n);
  }
  if (before?.dueAtMs !== after?.dueAtMs) {
    if (before?.dueAtMs !== undefined) databases.due.removeSync([before.dueAtMs, id]);
    if (after?.dueAtMs !== undefined) databases.due.putSync([after.dueAtMs, id], nothing);
  }
}
