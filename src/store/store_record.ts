import { StoreRecordSchema } from "../gen/nexus/store/v1/records_pb.js";
import type { SealedRecord } from "../model/credentials/credential.js";
import { newId } from "../model/ids.js";
import type { Databases } from "./lmdb/databases.js";
import { StoreDamaged } from "./lmdb/store_error.js";
import { recordForm, time } from "./records/record_form.js";
import { optionalSealed } from "./records/sealed_codec.js";
import { readable } from "./records/unreadable.js";

/** Layout of the file as a whole. */
const schemaVersion = 1;
const key = "store";

export function readStoreRecord(databases: Databases): StoreRecord | undefined {
  const bytes = databases.meta.getBinary(key);
  return bytes && decodeStoreRecord(bytes);
}

/** @throws Error when there is none: an error of this program */
export function storeRecordOf(databases: Databases): StoreRecord {
  const record = readStoreRecord(databases);
  if (record === undefined) throw new Error("the store has no record of itself");
  return record;
}

/** Inside a transaction. */
export function writeStoreRecord(databases: Databases, record: StoreRecord): void {
  databases.meta.putSync(key, encode(record));
}

/** Durable on return. */
function createStoreRecord(databases: Databases, nowMs: number): StoreRecord {
  const record: StoreRecord = {
    schemaVersion,
    databaseId: newId(),
    epoch: newId(),
    createdAtMs: nowMs,
    keyCheck: undefined,
  };
  // The callback must not return the promise of a put: lmdb then blocks for ever.
  databases.root.transactionSync(() => {
    writeStoreRecord(databases, record);
  });
  return record;
}

/**
 * The record of this store, made on first use.
 *
 * @throws StoreDamaged on a layout that this version does not know
 */
export function loadStoreRecord(databases: Databases, path: string, nowMs: number): StoreRecord {
  const record = readUndamaged(databases, path) ?? createStoreRecord(databases, nowMs);
  if (record.schemaVersion !== schemaVersion) {
    throw new StoreDamaged(
      `the store ${path} was made by another nexusd (layout ${record.schemaVersion}, this one knows ${schemaVersion}): ` +
        "use that version, restore a backup, or move the file away to start with an empty store",
    );
  }
  return record;
}

function readUndamaged(databases: Databases, path: string): StoreRecord | undefined {
  try {
    return readable("store record", () => readStoreRecord(databases));
  } catch {
    throw new StoreDamaged(
      `the record that the store ${path} keeps of itself cannot be read: restore a backup`,
    );
  }
}

/** The one record about the store itself. */
interface StoreRecord {
  readonly schemaVersion: number;
  readonly databaseId: string;
  readonly epoch: string;
  readonly createdAtMs: number;
  readonly keyCheck: SealedRecord | undefined;
}

const { encode, decode } = recordForm<StoreRecord, typeof StoreRecordSchema>(StoreRecordSchema, {
  createdAtMs: time,
  keyCheck: optionalSealed,
});
export const decodeStoreRecord = decode;
