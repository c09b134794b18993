import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { StoreRecordSchema } from "../../gen/nexus/store/v1/records_pb.js";
import type { SealedRecord } from "../../model/credentials/credential.js";
import { fieldsOf } from "./field_codec.js";
import { fromSealedMessage, toSealedMessage } from "./sealed_codec.js";

/** The one record about the store itself. */
export interface StoreRecord {
  readonly schemaVersion: number;
  readonly databaseId: string;
  readonly epoch: string;
  readonly createdAtMs: number;
  readonly keyCheck: SealedRecord | undefined;
}

export function encodeStoreRecord({ keyCheck, ...store }: StoreRecord): Uint8Array {
  const record = create(StoreRecordSchema, {
    ...store,
    createdAtMs: BigInt(store.createdAtMs),
    ...(keyCheck && { keyCheck: toSealedMessage(keyCheck) }),
  });
  return toBinary(StoreRecordSchema, record);
}

export function decodeStoreRecord(bytes: Uint8Array): StoreRecord {
  const { createdAtMs, keyCheck, ...fields } = fieldsOf(fromBinary(StoreRecordSchema, bytes));
  return {
    ...fields,
    createdAtMs: Number(createdAtMs),
    keyCheck: keyCheck && fromSealedMessage(keyCheck),
  };
}
