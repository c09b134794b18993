import {
  ABORT,
  type Key,
  keyValueToBuffer,
  open,
  type RootDatabase,
  type RootDatabaseOptionsWithPath,
} from "lmdb";
import type { ConnectionStatus } from "../../model/connections/connection.js";
import { DataLoss } from "../../model/errors.js";
import { isReadDamage } from "./store_error.js";
import type { ExtensionTable, ExtensionTables, Table } from "./table.js";

/** For commits of another kind: only this layer imports lmdb. */
export { ABORT, keyValueToBuffer };

/** Names the numbers that commits keep up to date, so that nobody has to count. */
export type NumberKey =
  | ["status", ConnectionStatus]
  | ["provider", string]
  /** Connections of a user id, see `nameInKey`. */
  | ["user", string]
  /** Pending authorizations of a principal, see `nameInKey`. */
  | ["pending", string]
  | ["tombstones"]
  /** The newest revision whose tombstone was pruned. */
  | ["floor"]
  /** Sealed records that need this key. */
  | ["sealed", string];

type Bytes = Uint8Array;

/**
 * The LMDB databases of one store. Layouts of the values: `nexus/store/v1/records.proto`; index entries have
 * empty values.
 */
export interface Databases {
  readonly root: RootDatabase<Bytes, string>;
  readonly meta: Table<string>;
  readonly providers: Table<string>;
  /** Name to id. */
  readonly providerNames: Table<string>;
  readonly connections: Table<string>;
  readonly connectionsByProvider: Table<[providerId: string, connectionId: string]>;
  /** The first key of a name is the connection that it names; see `name_index.ts`. */
  readonly connectionsByName: Table<[name: string, rank: number, order: number, connectionId: string]>;
  readonly credentials: Table<string>;
  /** Key: SHA-256 of `state`. */
  readonly authorizations: Table<Buffer>;
  readonly discovery: Table<string>;
  /** Key: id of the provider profile. */
  readonly suspensions: Table<string>;
  readonly due: Table<[dueAtMs: number, connectionId: string]>;
  /** Key: see `encodeCount`. */
  readonly changes: Table<Buffer>;
  /** The revisions of those changes that are removals. */
  readonly tombstones: Table<Buffer>;
  readonly numbers: Table<NumberKey>;
  /** Key: see `encodeCount`. */
  readonly audit: Table<Buffer>;
  readonly auditByConnection: Table<[connectionId: string, sequence: number]>;
  readonly revocations: Table<string>;
  readonly revocationsDue: Table<[providerId: string, nextAttemptMs: number, id: string]>;
  /** Key: hash of the imported token, in hexadecimal. */
  readonly imports: Table<string>;
  /** Key: `kid`. */
  readonly clientKeys: Table<string>;
  readonly apiKeys: Table<string>;
  /** See `ExtensionTable.of`. */
  readonly extensions: ExtensionTables;
}

/** One of the databases of the core, by its name here. */
export type TableName = Exclude<keyof Databases, "root" | "extensions">;

/** What LMDB calls each. */
export const lmdbNames: Readonly<Record<TableName, string>> = {
  meta: "meta",
  providers: "providers",
  providerNames: "provider_names",
  connections: "connections",
  connectionsByProvider: "connections_by_provider",
  connectionsByName: "connections_by_name",
  credentials: "credentials",
  authorizations: "authorizations",
  discovery: "discovery",
  suspensions: "suspensions",
  due: "due",
  changes: "changes",
  tombstones: "tombstones",
  numbers: "numbers",
  audit: "audit",
  auditByConnection: "audit_by_connection",
  revocations: "revocations",
  revocationsDue: "revocations_due",
  imports: "imports",
  clientKeys: "client_keys",
  apiKeys: "api_keys",
};

/** Those whose keys are bytes; the keys of the others are ordered by lmdb's encoding. */
const keyedByBytes: ReadonlySet<TableName> = new Set(["authorizations", "changes", "tombstones", "audit"]);

const tableNames = Object.keys(lmdbNames) as readonly TableName[];

/** Value of an index entry. */
export const nothing: Bytes = new Uint8Array(0);

/** Revisions, sequences and numbers as bytes that sort as they count. */
export function encodeCount(count: bigint): Buffer {
  const bytes = Buffer.allocUnsafe(8);
  bytes.writeBigUInt64BE(count);
  return bytes;
}

export function decodeCount(bytes: Uint8Array): bigint {
  return new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0);
}

/** Opens the store's file at `path`. @param own the tables of extensions @throws Error when two tables have one name */
export function openDatabases(path: string, own: readonly ExtensionTable[] = []): Databases {
  const names = [...Object.values(lmdbNames), ...own.map(({ name }) => name)];
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new Error(`two tables of the store are called ${twice}`);
  const root = openRoot(path);
  return databasesOf(root, own, (lmdbName, isKeyedByBytes) => openTable(root, lmdbName, isKeyedByBytes));
}

/**
 * Databases whose tables `make` gives.
 *
 * @param own the tables of extensions
 * @param make gets the name that LMDB has for a table, and what finds that table in other databases
 */
export function databasesOf(
  root: Databases["root"],
  own: Iterable<ExtensionTable>,
  make: (lmdbName: string, isKeyedByBytes: boolean, of: (databases: Databases) => Table<Key>) => Table<Key>,
): Databases {
  const tables = tableNames.map((name) => {
    const of = (databases: Databases) => databases[name] as Table<Key>;
    return [name, make(lmdbNames[name], keyedByBytes.has(name), of)] as const;
  });
  const extensions: ExtensionTables = new Map(
    [...own].map((table) => {
      const isKeyedByBytes = table.options.isKeyedByBytes === true;
      return [table, make(table.name, isKeyedByBytes, (databases) => table.of(databases))];
    }),
  );
  return { root, ...Object.fromEntries(tables), extensions } as Databases;
}

/**
 * Opens the file at `path`, made if absent (0600). `overlappingSync` must stay off: with it a commit that
 * failed to sync can be read and comes back after a restart.
 */
export function openRoot(path: string): RootDatabase<Bytes, string> {
  // The type of lmdb lacks `permissionsMode`.
  const options: RootDatabaseOptionsWithPath & { readonly permissionsMode: number } = {
    path,
    noSubdir: true,
    overlappingSync: false,
    permissionsMode: 0o600,
    maxDbs: 32,
    encoding: "binary",
    cache: false,
    compression: false,
    // With it lmdb makes a promise that nobody can reach: when a flush fails its rejection ends the process.
    eventTurnBatching: false,
  };
  return open<Bytes, string>(options);
}

/** Every database by the name that LMDB has for it, with its keys as they lie on disk. */
export function openRawTables(databases: Databases): ReadonlyMap<string, Table<Buffer>> {
  const { root, extensions } = databases;
  const raw = (lmdbName: string, isKeyedByBytes: boolean): [string, Table<Buffer>] => {
    if (isKeyedByBytes) return [lmdbName, openTable<Buffer>(root, lmdbName, true)];
    return [lmdbName, root.openDB<Bytes, Buffer>(lmdbName, { encoding: "binary", keyEncoder: padded })];
  };
  return new Map([
    ...tableNames.map((name) => raw(lmdbNames[name], keyedByBytes.has(name))),
    ...[...extensions.keys()].map(({ name, options }) => raw(name, options.isKeyedByBytes === true)),
  ]);
}

/** lmdb compares keys of its own encoding four bytes at a time, and reads beyond their end: zeros must follow. */
const padded = {
  writeKey(key: Buffer, target: Buffer, start: number): number {
    target.set(key, start);
    const end = start + key.length;
    target.fill(0, end, end + 8);
    return end;
  },
  readKey: (source: Buffer, start: number, end: number): Buffer => Buffer.from(source.subarray(start, end)),
  /** With it lmdb takes the keys for its own. */
  enableNullTermination: (): void => undefined,
};

export function openTable<K extends Key>(
  root: RootDatabase<Bytes, string>,
  lmdbName: string,
  isKeyedByBytes: boolean,
): Table<K> {
  return guarded(
    root.openDB<Bytes, K>(lmdbName, {
      encoding: "binary",
      ...(isKeyedByBytes && { keyEncoding: "binary" as const }),
    }),
  );
}

/** What lies on a page that was damaged while the store is open cannot be read; all else can. */
function guarded<K extends Key>(table: Table<K>): Table<K> {
  return {
    getBinary(key) {
      try {
        return table.getBinary(key);
      } catch (error) {
        if (!isReadDamage(error)) throw error;
        throw new DataLoss("the store is damaged: stop nexusd, and restore a backup", error);
      }
    },
    doesExist: table.doesExist.bind(table),
    getRange: table.getRange.bind(table),
    getKeys: table.getKeys.bind(table),
    putSync: table.putSync.bind(table),
    removeSync: table.removeSync.bind(table),
  };
}
