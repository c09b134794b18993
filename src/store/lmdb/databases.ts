import { type Database, open, type RootDatabase, type RootDatabaseOptionsWithPath } from "lmdb";
import type { ConnectionStatus } from "../../model/connections/connection.js";

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
  /** Notifications that wait. */
  | ["notifications"]
  /** Sealed records that need this key. */
  | ["sealed", string];

type Bytes = Uint8Array;

/**
 * The LMDB databases of one store. Layouts of the values: `nexus/store/v1/records.proto`; index entries have
 * empty values.
 */
export interface Databases {
  readonly root: RootDatabase<Bytes, string>;
  readonly meta: Database<Bytes, string>;
  readonly providers: Database<Bytes, string>;
  /** Name to id. */
  readonly providerNames: Database<Bytes, string>;
  readonly connections: Database<Bytes, string>;
  readonly connectionsByProvider: Database<Bytes, [providerId: string, connectionId: string]>;
  /** The first key of a name is the connection that it names; see `name_index.ts`. */
  readonly connectionsByName: Database<
    Bytes,
    [name: string, rank: number, order: number, connectionId: string]
  >;
  readonly credentials: Database<Bytes, string>;
  /** Key: SHA-256 of `state`. */
  readonly authorizations: Database<Bytes, Buffer>;
  readonly discovery: Database<Bytes, string>;
  /** Key: id of the provider profile. */
  readonly suspensions: Database<Bytes, string>;
  readonly due: Database<Bytes, [dueAtMs: number, connectionId: string]>;
  /** Key: see `encodeCount`. */
  readonly changes: Database<Bytes, Buffer>;
  /** The revisions of those changes that are removals. */
  readonly tombstones: Database<Bytes, Buffer>;
  readonly numbers: Database<Bytes, NumberKey>;
  /** Key: see `encodeCount`. */
  readonly audit: Database<Bytes, Buffer>;
  readonly auditByConnection: Database<Bytes, [connectionId: string, sequence: number]>;
  readonly revocations: Database<Bytes, string>;
  readonly revocationsDue: Database<Bytes, [nextAttemptMs: number, id: string]>;
  /** Key: hash of the imported token, in hexadecimal. */
  readonly imports: Database<Bytes, string>;
  /** Key: `kid`. */
  readonly clientKeys: Database<Bytes, string>;
  readonly apiKeys: Database<Bytes, string>;
  /** In order per receiver and subject; see `notification_queue.ts`. */
  readonly notifications: Database<Bytes, [receiver: string, subject: string, number: number]>;
  readonly notificationsDue: Database<Bytes, [receiver: string, nextAttemptMs: number, subject: string]>;
  /** When a connection is looked at for a consent that ends soon; see `encodeCount`. */
  readonly expiries: Database<Bytes, string>;
  readonly expiriesDue: Database<Bytes, [atMs: number, connectionId: string]>;
  readonly consentLinks: Database<Bytes, [expiresAtMs: number, codeHash: string]>;
}

/** Value of an index entry. */
export const nothing: Bytes = new Uint8Array(0);

/** Revisions, sequences and numbers as bytes that sort as they count. */
export function encodeCount(count: bigint): Buffer {
  const bytes = Buffer.allocUnsafeSlow(8);
  bytes.writeBigUInt64BE(count);
  return bytes;
}

export function decodeCount(bytes: Uint8Array): bigint {
  return new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0);
}

/**
 * Opens the file at `path`, made if absent (0600). `overlappingSync` must stay off: with it a commit that
 * failed to sync can be read and comes back after a restart.
 */
export function openDatabases(path: string): Databases {
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
  const root = open<Bytes, string>(options);
  const text = (name: string): Database<Bytes, string> =>
    root.openDB<Bytes, string>(name, { encoding: "binary" });
  const binary = (name: string): Database<Bytes, Buffer> =>
    root.openDB<Bytes, Buffer>(name, { encoding: "binary", keyEncoding: "binary" });
  return {
    root,
    meta: text("meta"),
    providers: text("providers"),
    providerNames: text("provider_names"),
    connections: text("connections"),
    connectionsByProvider: root.openDB("connections_by_provider", { encoding: "binary" }),
    connectionsByName: root.openDB("connections_by_name", { encoding: "binary" }),
    credentials: text("credentials"),
    authorizations: binary("authorizations"),
    discovery: text("discovery"),
    suspensions: text("suspensions"),
    due: root.openDB("due", { encoding: "binary" }),
    changes: binary("changes"),
    tombstones: binary("tombstones"),
    numbers: root.openDB("numbers", { encoding: "binary" }),
    audit: binary("audit"),
    auditByConnection: root.openDB("audit_by_connection", { encoding: "binary" }),
    revocations: text("revocations"),
    revocationsDue: root.openDB("revocations_due", { encoding: "binary" }),
    imports: text("imports"),
    clientKeys: text("client_keys"),
    apiKeys: text("api_keys"),
    notifications: root.openDB("notifications", { encoding: "binary" }),
    notificationsDue: root.openDB("notifications_due", { encoding: "binary" }),
    expiries: text("expiries"),
    expiriesDue: root.openDB("expiries_due", { encoding: "binary" }),
    consentLinks: root.openDB("consent_links", { encoding: "binary" }),
  };
}
