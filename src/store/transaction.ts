import type { ApiKeyRecord } from "../model/access/api_key.js";
import type { AuditEvent } from "../model/access/audit_event.js";
import type { PendingAuthorization } from "../model/connections/authorization.js";
import type { Connection } from "../model/connections/connection.js";
import type { PendingImport } from "../model/connections/pending_import.js";
import type { SealedCredential, SealedRecord } from "../model/credentials/credential.js";
import { newId } from "../model/ids.js";
import type { ProviderProfile } from "../model/providers/provider_profile.js";
import type { Suspension } from "../model/providers/suspension.js";
import type { Written } from "./announcements.js";
import { AuditLog, type AuditRetention } from "./audit/audit_log.js";
import { ChangeLog } from "./indexes/change_log.js";
import { ClientKeyRecords } from "./indexes/client_keys.js";
import { moveInIndexes } from "./indexes/connection_index.js";
import { addToNumber, nameInKey } from "./indexes/numbers.js";
import { PendingRevocations } from "./indexes/pending_revocations.js";
import { countSealed, writeSealedCount } from "./indexes/sealed_count.js";
import type { Databases } from "./lmdb/databases.js";
import { Reads } from "./reads.js";
import type { Recording } from "./recording.js";
import { encodeApiKey } from "./records/api_key_codec.js";
import { connectionEncoder, keepWritten, type StoredConnection } from "./records/connection_codec.js";
import { encodeStateHash } from "./records/field_codec.js";
import { encodeImport } from "./records/journal_codec.js";
import { encodeDiscovery, type StoredDiscovery } from "./records/log_codec.js";
import { encodeProvider } from "./records/provider_codec.js";
import { encodeAuthorization, encodeSealedCredential } from "./records/sealed_codec.js";
import { encodeSuspension } from "./records/suspension_codec.js";
import { formOf, needForm, type StoreForm, storeRecordOf, writeStoreRecord } from "./store_record.js";

/** Notified inside a transaction of what it writes: what follows from it is in the same commit. Must not throw. */
export interface WriteObserver {
  /** Undefined stands for a connection that is not there. */
  connection(tx: Transaction, before: Connection | undefined, after: Connection | undefined): void;
  /** Undefined stands for a provider that is not suspended. */
  suspension(tx: Transaction, before: Suspension | undefined, after: Suspension | undefined): void;
}

/** One change of the store: all of it becomes durable, or none. Every method throws once the callback has returned. */
export class Transaction extends Reads implements Recording {
  readonly #databases: Databases;
  readonly #log: ChangeLog;
  readonly #audit: AuditLog;
  /** What was read and not written since: most changes of a connection have just read it. */
  readonly #connections = new Map<string, StoredConnection | undefined>();
  readonly #onDurable: (() => void)[] = [];
  #ended = false;

  constructor(
    databases: Databases,
    retention: AuditRetention,
    private readonly observers: readonly WriteObserver[] = [],
  ) {
    super();
    this.#databases = databases;
    this.#log = new ChangeLog(databases);
    this.#audit = new AuditLog(databases, retention);
  }

  end(): Written {
    this.#ended = true;
    return { changes: this.#log.changes, onDurable: this.#onDurable };
  }

  /** Calls `callback` when this transaction is durable, before anybody learns of its changes; never when it is rolled back. It must not throw. */
  whenDurable(callback: () => void): void {
    this.#onDurable.push(callback);
  }

  /** Guards every method: outside of its callback a write would become a transaction of its own. */
  protected override get databases(): Databases {
    if (this.#ended) throw new Error("this transaction has ended: it is only valid inside its callback");
    return this.#databases;
  }

  override getStoredConnection(id: string): StoredConnection | undefined {
    void this.databases;
    if (this.#connections.has(id)) return this.#connections.get(id);
    const stored = super.getStoredConnection(id);
    this.#connections.set(id, stored);
    return stored;
  }

  /** All connections of a profile, in the order of their ids. */
  connectionsOf(providerId: string): readonly Connection[] {
    return this.listConnections({ providerId, limit: Number.POSITIVE_INFINITY });
  }

  /** @throws Error when another profile has the name */
  putProvider(profile: ProviderProfile): void {
    const { providers, providerNames } = this.databases;
    const holder = this.findProviderIdByName(profile.name);
    if (holder !== undefined && holder !== profile.id) {
      throw new Error(`the provider name ${profile.name} belongs to ${holder}`);
    }
    const before = this.getProvider(profile.id);
    if (before !== undefined && before.name !== profile.name) providerNames.removeSync(before.name);
    countSealed(this.databases, () => before?.clientSecret, profile.clientSecret);
    countSealed(this.databases, () => before?.registration?.accessToken, profile.registration?.accessToken);
    providerNames.putSync(profile.name, Buffer.from(profile.id));
    providers.putSync(profile.id, encodeProvider(profile));
  }

  /** Its connections stay. */
  deleteProvider(id: string): void {
    const { providers, providerNames } = this.databases;
    const before = this.getProvider(id);
    if (before === undefined) return;
    providerNames.removeSync(before.name);
    countSealed(this.databases, () => before.clientSecret, undefined);
    countSealed(this.databases, () => before.registration?.accessToken, undefined);
    providers.removeSync(id);
  }

  /**
   * Moves its one entry in the due queue to `dueAtMs` and counts as a change of the connection.
   *
   * @throws RangeError on an optional time that is not a whole number above 0
   */
  putConnection(connection: Connection): void {
    const databases = this.databases;
    const encode = connectionEncoder(connection);
    const { id } = connection;
    const before = this.getStoredConnection(id);
    moveInIndexes(databases, id, before?.connection, connection);
    const revision = this.#log.record(connection, false, before?.changeRevision ?? 0n);
    this.#connections.delete(id);
    const bytes = encode(revision);
    databases.connections.putSync(id, bytes);
    keepWritten(bytes, { connection, changeRevision: revision });
    for (const observer of this.observers) observer.connection(this, before?.connection, connection);
  }

  /**
   * Writes the connection without counting it as a change: for what callers do not see. The due time stays as
   * it is stored.
   *
   * @throws Error when the connection is not stored
   */
  putUnannounced(connection: Connection): void {
    const databases = this.databases;
    const before = this.getStoredConnection(connection.id);
    if (before === undefined) throw new Error("only a stored connection can be written unannounced");
    const { status, providerId, userId, label, dueAtMs } = before.connection;
    const written = { ...connection, status, providerId, userId, label, dueAtMs };
    const bytes = connectionEncoder(written)(before.changeRevision);
    this.#connections.delete(connection.id);
    databases.connections.putSync(connection.id, bytes);
    keepWritten(bytes, { connection: written, changeRevision: before.changeRevision });
  }

  /** With its credential, its entry in the due queue and its pending authorization. Unknown ids are ignored. */
  deleteConnection(id: string): void {
    const databases = this.databases;
    const before = this.getStoredConnection(id);
    if (before === undefined) return;
    const { connection, changeRevision } = before;
    moveInIndexes(databases, id, connection, undefined);
    this.#connections.delete(id);
    databases.connections.removeSync(id);
    this.deleteCredential(id);
    if (connection.pendingStateHash !== undefined) this.takeAuthorization(connection.pendingStateHash);
    this.#log.record(connection, true, changeRevision);
    for (const observer of this.observers) observer.connection(this, connection, undefined);
  }

  putCredential(connectionId: string, credential: SealedCredential): void {
    const databases = this.databases;
    countSealed(databases, () => this.getCredential(connectionId)?.sealed, credential.sealed);
    databases.credentials.putSync(connectionId, encodeSealedCredential(credential));
  }

  deleteCredential(connectionId: string): void {
    const databases = this.databases;
    countSealed(databases, () => this.getCredential(connectionId)?.sealed, undefined);
    databases.credentials.removeSync(connectionId);
  }

  /** @param stateHash hexadecimal SHA-256 of `state` */
  putAuthorization(stateHash: string, pending: PendingAuthorization): void {
    this.takeAuthorization(stateHash);
    const databases = this.databases;
    countSealed(databases, () => undefined, pending.sealed);
    databases.authorizations.putSync(encodeStateHash(stateHash), encodeAuthorization(pending));
    if (pending.requestedBy !== "") addToNumber(databases, ["pending", nameInKey(pending.requestedBy)], 1n);
  }

  /** Reads and deletes: of any number of callers one gets it. */
  takeAuthorization(stateHash: string): PendingAuthorization | undefined {
    const databases = this.databases;
    const pending = this.getAuthorization(stateHash);
    if (pending === undefined) return undefined;
    countSealed(databases, () => pending.sealed, undefined);
    databases.authorizations.removeSync(encodeStateHash(stateHash));
    if (pending.requestedBy !== "") addToNumber(databases, ["pending", nameInKey(pending.requestedBy)], -1n);
    return pending;
  }

  putDiscovery(issuer: string, discovery: StoredDiscovery): void {
    this.databases.discovery.putSync(nameInKey(issuer), encodeDiscovery(discovery));
  }

  putSuspension(suspension: Suspension): void {
    this.#suspensionWritten(suspension.providerId, suspension);
    this.databases.suspensions.putSync(suspension.providerId, encodeSuspension(suspension));
  }

  deleteSuspension(providerId: string): void {
    this.#suspensionWritten(providerId, undefined);
    this.databases.suspensions.removeSync(providerId);
  }

  #suspensionWritten(providerId: string, after: Suspension | undefined): void {
    if (this.observers.length === 0) return;
    const before = this.getSuspension(providerId);
    for (const observer of this.observers) observer.suspension(this, before, after);
  }

  /** Sealed with the primary key: from this commit on it is the one that this key check names. */
  setKeyCheck(sealed: SealedRecord): void {
    const databases = this.databases;
    writeStoreRecord(databases, { ...storeRecordOf(databases), keyCheck: sealed });
  }

  /** Chains the event to the one before it, and prunes a few that are older than the retention. */
  appendAudit(event: AuditEvent): void {
    void this.databases;
    this.#audit.append(event);
  }

  putImport(key: string, pending: PendingImport): void {
    const databases = this.databases;
    countSealed(databases, () => this.getImport(key)?.sealed, pending.sealed);
    databases.imports.putSync(key, encodeImport(pending));
  }

  deleteImport(key: string): void {
    const databases = this.databases;
    countSealed(databases, () => this.getImport(key)?.sealed, undefined);
    databases.imports.removeSync(key);
  }

  get clientKeys(): ClientKeyRecords {
    return new ClientKeyRecords(this.databases);
  }

  get revocations(): PendingRevocations {
    return new PendingRevocations(this.databases);
  }

  /** Puts right how many records need a key; 0 forgets it. */
  setSealedCount(keyId: string, count: bigint): void {
    writeSealedCount(this.databases, keyId, count);
  }

  /** Another history: no watcher can resume a position of the one before. @param epoch UUID; that of a fleet is its database's */
  beginEpoch(epoch = newId()): void {
    const databases = this.databases;
    writeStoreRecord(databases, { ...storeRecordOf(databases), epoch });
  }

  /** Notes when it was used last; unknown ids are ignored. */
  useApiKey(id: string, lastUsedAtMs: number): void {
    const before = this.getApiKey(id);
    if (before && lastUsedAtMs > (before.lastUsedAtMs ?? 0)) this.putApiKey({ ...before, lastUsedAtMs });
  }

  /** For what an extension keeps in the databases itself. */
  raw<T>(work: (databases: Databases) => T): T {
    return work(this.databases);
  }

  putApiKey(key: ApiKeyRecord): void {
    this.needForm(formOf(key));
    this.databases.apiKeys.putSync(key.id, encodeApiKey(key));
  }

  /** For what an extension writes that an older nexusd must not ignore. */
  needForm(form: StoreForm): void {
    needForm(this.databases, form);
  }
}
