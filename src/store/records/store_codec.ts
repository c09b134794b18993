import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { StoreRecordSchema } from "../../gen/nexus/store/v1/records_pb.js";
import type { SealedRecord } from "../../model/credentials/credential.js";
import { fromSealedMessage, toSealedMessage } from "./sealed_codec.js";

/** The one record about the store itself. */
export interface StoreRecord {
  readonly schemaVersion: number;
  readonly databaseId: string;
  readonly epoch: string;
  readonly createdAtMs: number;
  readonly keyCheck: SealedRecord | undefined;
}

export function encodeStoreRecord(store: StoreRecord): Uint8Array {
  const record = create(StoreRecordSchema, {
    schemaVersion: store.schemaVersion,
    databaseId: store.databaseId,
    epoch: store.epoch,
    createdAtMs: BigInt(store.createdAtMs),
  });
  if (store.keyCheck !== undefined) record.keyCheck = toSealedMessage(store.keyCheck);
  return toBinary(StoreRecordSchema, record);
}

export function decodeStoreRecord(bytes: Uint8Array): StoreRecord {
  const record = fromBinary(StoreRecordSchema, bytes);
  return {
    schemaVersion: record.schemaVersion,
    databaseId: record.databaseId,
    epoch: record.epoch,
    createdAtMs: Number(record.createdAtMs),
    keyCheck: record.keyCheck && fromSealedMessage(record.keyCheck),
  };
}
