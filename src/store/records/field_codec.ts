import type { Message } from "@bufbuild/protobuf";

/** The fields of a record, without what makes it a message. */
export function fieldsOf<Record extends Message>(record: Record): Omit<Record, keyof Message> {
  const { $typeName: _, $unknown: __, ...fields } = record;
  return fields;
}

/** Times as they lie in records: 0 is unset. */
export function encodeTime(timeMs: number | undefined): bigint {
  if (timeMs === undefined) return 0n;
  if (!Number.isSafeInteger(timeMs) || timeMs <= 0) {
    throw new RangeError(`a time must be a whole number of milliseconds above 0, not ${timeMs}`);
  }
  return BigInt(timeMs);
}

export function decodeTime(timeMs: bigint): number | undefined {
  return timeMs === 0n ? undefined : Number(timeMs);
}

/** Texts as they lie in records: empty is unset. */
export function decodeText(text: string): string | undefined {
  return text === "" ? undefined : text;
}

/**
 * Key of a pending authorization.
 *
 * @param stateHash SHA-256 in hexadecimal
 * @throws RangeError unless it is 64 hexadecimal digits
 */
export function encodeStateHash(stateHash: string): Buffer {
  if (!/^[0-9a-f]{64}$/i.test(stateHash)) throw new RangeError("a state hash is 64 hexadecimal digits");
  return Buffer.from(stateHash, "hex");
}

/** Position in a list of words, from 1. */
export function encodeWord<W extends string>(words: readonly W[], word: W): number {
  const index = words.indexOf(word);
  if (index < 0) throw new RangeError(`${word} is not one of ${words.join(", ")}`);
  return index + 1;
}

/** @throws RangeError on a number that this version does not know */
export function decodeWord<W extends string>(words: readonly W[], number: number): W {
  const word = words[number - 1];
  if (word === undefined) throw new RangeError(`number ${number} stands for none of ${words.join(", ")}`);
  return word;
}
