import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { LogBatchSchema } from "../../../gen/nexus/store/v1/replication_pb.js";
import type { RawWrite } from "./log.js";

/** The writes of a batch as one `nexus.store.v1.LogBatch`. */
export function encodeWrites(writes: readonly RawWrite[]): Uint8Array {
  const databases = new Map<string, RawWrite[]>();
  for (const write of writes) {
    const others = databases.get(write.database);
    if (others) others.push(write);
    else databases.set(write.database, [write]);
  }
  return toBinary(
    LogBatchSchema,
    create(LogBatchSchema, {
      databases: Array.from(databases, ([database, ofOne]) => ({
        database,
        writes: ofOne.map(({ key, value }) => ({
          key: bytesOf(key),
          ...(value && { value: bytesOf(value) }),
        })),
      })),
    }),
  );
}

/** @throws Error when the bytes are no such message */
export function decodeWrites(bytes: Uint8Array): RawWrite[] {
  return fromBinary(LogBatchSchema, bytes).databases.flatMap(({ database, writes }) =>
    writes.map(({ key, value }) => ({ database, key, value })),
  );
}

/** A message wants bytes that no other thread shares. */
function bytesOf(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return bytes.buffer instanceof ArrayBuffer ? (bytes as Uint8Array<ArrayBuffer>) : new Uint8Array(bytes);
}
