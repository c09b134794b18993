import { createHash } from "node:crypto";
import { type Databases, decodeCount, encodeCount, type NumberKey } from "../lmdb/databases.js";
import type { ExtensionTable } from "../lmdb/table.js";

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

/** Entries of an extension's table, of those that it counts; those of a group, or all. */
export function countOf(databases: Databases, table: ExtensionTable, group?: string): bigint {
  return readNumber(databases, numberOf(table, group));
}

/** Inside a transaction. One entry of the group more, or less. */
export function countEntry(
  databases: Databases,
  table: ExtensionTable,
  group: string,
  difference: 1n | -1n,
): void {
  addToNumber(databases, numberOf(table), difference);
  addToNumber(databases, numberOf(table, group), difference);
}

/** Inside a transaction: the table is empty now. */
export function forgetCounts(databases: Databases, table: ExtensionTable): void {
  for (const key of [...databases.numbers.getKeys({ start: numberOf(table) })]) {
    // A key of one part is read as that part.
    if ([key].flat()[0] !== table.name) return;
    writeNumber(databases, key, 0n);
  }
}

/** No number of the core begins with the name of a table. */
function numberOf({ name }: ExtensionTable, group?: string): NumberKey {
  return (group === undefined ? [name] : [name, group]) as unknown as NumberKey;
}
