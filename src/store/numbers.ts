import { type Databases, decodeCount, encodeCount, type NumberKey } from "./databases.js";

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
