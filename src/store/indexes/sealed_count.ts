import type { SealedRecord } from "../../model/credentials/credential.js";
import type { Databases } from "../lmdb/databases.js";
import { unlessUnreadable } from "../records/unreadable.js";
import { addToNumber, readNumber, writeNumber } from "./numbers.js";

/** An id as the vault makes it is shorter; another one is no key's. */
const maxKeyIdLength = 64;

/** Sealed records that need each key, by its id. */
export type SealedCounts = ReadonlyMap<string, bigint>;

/**
 * Counts one write inside a transaction.
 *
 * @param before reads what the record held until now; what cannot be read was no key's
 */
export function countSealed(
  databases: Databases,
  before: () => SealedRecord | undefined,
  after: SealedRecord | undefined,
): void {
  const beforeId = unlessUnreadable(before)?.keyId;
  if (beforeId === after?.keyId) return;
  if (isKeyId(beforeId)) addToNumber(databases, ["sealed", beforeId], -1n);
  if (isKeyId(after?.keyId)) addToNumber(databases, ["sealed", after.keyId], 1n);
}

export function readSealedCounts(databases: Databases): SealedCounts {
  const counts = new Map<string, bigint>();
  for (const key of databases.numbers.getKeys({ start: ["sealed", ""] })) {
    if (key[0] !== "sealed") break;
    counts.set(key[1], readNumber(databases, key));
  }
  return counts;
}

/** Inside a transaction. */
export function writeSealedCount(databases: Databases, keyId: string, count: bigint): void {
  writeNumber(databases, ["sealed", keyId], count);
}

function isKeyId(keyId: string | undefined): keyId is string {
  return keyId !== undefined && keyId !== "" && keyId.length <= maxKeyIdLength;
}
