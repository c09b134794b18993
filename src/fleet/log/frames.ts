import type { RawWrite } from "../../store/replication.js";

/**
 * Writes as bytes, as the columns `writes` of `nexus.log` and the pages of a first copy hold them: for each write the name of its
 * database, its key and its value, each behind its length as a big-endian `int4`; the length -1 stands for a removal. These are the
 * fields of PostgreSQL's own binary form, so that the server can make pages of them.
 */
export function encodeFrames(writes: readonly RawWrite[]): Buffer {
  const names = new Map<string, Buffer>();
  const parts = writes.map(({ database, key, value }) => {
    const name = names.get(database) ?? Buffer.from(database, "utf8");
    names.set(database, name);
    return [name, key, value] as const;
  });
  const size = parts.reduce(
    (sum, [name, key, value]) => sum + 12 + name.length + key.length + (value?.length ?? 0),
    0,
  );
  const bytes = Buffer.allocUnsafe(size);
  let at = 0;
  for (const part of parts) {
    for (const field of part) at = putField(bytes, at, field);
  }
  return bytes;
}

/** @throws Error when the bytes are not whole frames */
export function decodeFrames(bytes: Buffer): RawWrite[] {
  const names = new Map<string, string>();
  const writes: RawWrite[] = [];
  let at = 0;
  const field = (): Buffer | undefined => {
    if (at + 4 > bytes.length) throw new Error("a frame of the log is cut off");
    const length = bytes.readInt32BE(at);
    at += 4;
    if (length === -1) return undefined;
    if (length < 0 || at + length > bytes.length) throw new Error("a frame of the log is cut off");
    at += length;
    return bytes.subarray(at - length, at);
  };
  while (at < bytes.length) {
    const [name, key] = [field()?.toString("latin1"), field()];
    if (name === undefined || key === undefined) throw new Error("a frame of the log names no entry");
    if (!names.has(name)) names.set(name, Buffer.from(name, "latin1").toString("utf8"));
    writes.push({ database: names.get(name) ?? name, key, value: field() });
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
