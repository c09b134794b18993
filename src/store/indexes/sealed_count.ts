import type { SealedRecord } from "../../model/credentials/credential.js";
import type { Databases } from "../lmdb/databases.js";
import { unlessUnreadable } from "../records/unreadable.js";
import { addToNumber, readNumber, writeNumber } from "./numbers.js";
import { sealedKinds, walkSealed } from "./sealed_walk.js";

/** An id as the vault makes it is shorter; another one is no key's. */
const maxKeyIdLength = 64;
const page = 1_000;

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

/**
 * Counts the records of an older version, which knew one key only. Inside a transaction; does nothing the second time.
 *
 * @param keyId of that key; undefined in a new store
 */
export function countOldSealed(databases: Databases, keyId: string | undefined): void {
  if (readNumber(databases, ["sealed_counted"]) > 0n) return;
  for (const kind of sealedKinds) {
    let after: string | undefined;
    for (;;) {
      const entries = walkSealed(databases, kind, after, page);
      for (const { sealed } of entries) {
        if (sealed?.keyId === keyId) countSealed(databases, () => undefined, sealed);
      }
      after = entries.at(-1)?.key;
      if (entries.length < page) break;
    }
  }
  writeNumber(databases, ["sealed_counted"], 1n);
}

function isKeyId(keyId: string | undefined): keyId is string {
  return keyId !== undefined && keyId !== "" && keyId.length <= maxKeyIdLength;
}
