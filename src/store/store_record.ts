import { StoreRecordSchema } from "../gen/nexus/store/v1/records_pb.js";
import type { ApiKeyRecord } from "../model/access/api_key.js";
import type { SealedRecord } from "../model/credentials/credential.js";
import { newId } from "../model/ids.js";
import type { Databases } from "./lmdb/databases.js";
import { StoreDamaged } from "./lmdb/store_error.js";
import { recordForm, time } from "./records/record_form.js";
import { optionalSealed } from "./records/sealed_codec.js";
import { readable } from "./records/unreadable.js";

/**
 * The forms of a store. A newer one has records that a nexusd which knows only older forms would ignore, and so must not open.
 *
 * A store begins with the first form. It gets a newer one in the commit that first writes what needs it, so an older nexusd can go on
 * with a store that has nothing of it.
 */
export const forms = {
  first: 1,
  /** Limits of API keys by label, method, path or lease, and stopped principals. */
  accessLimits: 2,
  /** Limits of uses of API keys. */
  useLimits: 3,
} as const;
export type StoreForm = (typeof forms)[keyof typeof forms];

/** Every form up to this one is known. */
const newestForm = forms.useLimits;
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
    schemaVersion: forms.first,
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
 * @throws StoreDamaged on a form that this version does not know
 */
export function loadStoreRecord(databases: Databases, path: string, nowMs: number): StoreRecord {
  const record = readUndamaged(databases, path) ?? createStoreRecord(databases, nowMs);
  if (record.schemaVersion < forms.first || record.schemaVersion > newestForm) {
    throw new StoreDamaged(
      `the store ${path} was written by a newer nexusd (form ${record.schemaVersion}, this one knows up to ${newestForm}): ` +
        "run that version, restore a backup, or move the file away to start with an empty store",
    );
  }
  return record;
}

/** Inside a transaction that writes what needs this form: an older nexusd refuses the store from this commit on. */
export function needForm(databases: Databases, form: StoreForm): void {
  const record = storeRecordOf(databases);
  if (record.schemaVersion < form) writeStoreRecord(databases, { ...record, schemaVersion: form });
}

/** The form that the record of a key needs. */
export function formOf({ restriction, lease, uses }: ApiKeyRecord): StoreForm {
  if (uses) return forms.useLimits;
  const isLimited = lease ?? restriction?.labels ?? restriction?.methods ?? restriction?.paths;
  return isLimited === undefined ? forms.first : forms.accessLimits;
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
