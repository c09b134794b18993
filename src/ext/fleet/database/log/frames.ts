import type { RawWrite } from "../../replication/log.js";

/**
 * A page of a first copy, as the server makes it. Each entry is the name of its database, its key and its value, each behind its length as
 * a big-endian `int4`.
 *
 * @throws Error when the bytes are not whole frames
 */
export function decodeFrames(bytes: Buffer): RawWrite[] {
  const writes: RawWrite[] = [];
  let at = 0;
  const field = (): Buffer => {
    const length = at + 4 <= bytes.length ? bytes.readInt32BE(at) : -1;
    at += 4;
    if (length < 0 || at + length > bytes.length) throw new Error("a page of the first copy is cut off");
    at += length;
    return bytes.subarray(at - length, at);
  };
  while (at < bytes.length) {
    writes.push({ database: field().toString("utf8"), key: field(), value: field() });
  }
  return writes;
}

/** OIDs of element types (pg_type). */
const elementTypes = { bytea: 17, text: 25 } as const;

/** The binary form of an array of PostgreSQL with one dimension: half as long as its text, and not escaped. */
export function encodeArray(
  type: keyof typeof elementTypes,
  elements: readonly (Uint8Array | undefined)[],
): Buffer {
  const size = elements.reduce((sum, element) => sum + 4 + (element?.length ?? 0), 20);
  const bytes = Buffer.allocUnsafe(size);
  const hasNull = elements.includes(undefined) ? 1 : 0;
  let at = 0;
  for (const number of [1, hasNull, elementTypes[type], elements.length, 1])
    at = bytes.writeInt32BE(number, at);
  for (const element of elements) at = putField(bytes, at, element);
  return bytes;
}

function putField(bytes: Buffer, at: number, field: Uint8Array | undefined): number {
  const begin = bytes.writeInt32BE(field === undefined ? -1 : field.length, at);
  if (field === undefined) return begin;
  bytes.set(field, begin);
  return begin + field.length;
}
