import { createHash } from "node:crypto";
import { type Databases, decodeCount, encodeCount, type NumberKey } from "../lmdb/databases.js";

/** Longer names are kept under their hash: keys of LMDB are bounded. */
const maxNameBytes = 1024;

/** A name that somebody else chose, as a key or a part of one. */
export function nameInKey(name: string): string {
  const isPlain = Buffer.byteLength(name) <= maxNameBytes && /^[^\p{Cc}]*$/u.test(name);
  return isPlain ? name : `sha256:${createHash("sha256").update(name).digest("hex")}`;
}

export function readNumber(databases: Databases, key: NumberKey): bigint {
  const bytes = databases.numbers.getBinary(key);
  return bytes === undefined ? 0n : decodeCount(bytes);
}

/** Inside a transaction. A number that reaches 0 is erased. */
export function writeNumber(databases: Databases, key: NumberKey, value: bigint): void {
  if (value === 0n) databases.numbers.removeSync(key);
  else databases.numbers.putSync(key, encodeCount(value));
}

/** Inside a transaction. Never below 0: what a damaged record was counted as is not known any more. */
export function addToNumber(databases: Databases, key: NumberKey, difference: bigint): void {
  const value = readNumber(databases, key) + difference;
  writeNumber(databases, key, value < 0n ? 0n : value);
}

/** Notifications that a receiver has not taken yet; without one, those of all receivers. */
export function waitingNotifications(databases: Databases, receiver?: string): bigint {
  return readNumber(databases, receiver === undefined ? ["notifications"] : ["notifications", receiver]);
}

/** Inside a transaction. One notification of a receiver more, or less. */
export function countNotification(databases: Databases, receiver: string, difference: 1n | -1n): void {
  addToNumber(databases, ["notifications"], difference);
  addToNumber(databases, ["notifications", receiver], difference);
}
