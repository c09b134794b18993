import type { ApiKeyRecord } from "../model/access/api_key.js";
import type { AuditEvent } from "../model/access/audit_event.js";
import type { PendingAuthorization } from "../model/connections/authorization.js";
import type { Connection } from "../model/connections/connection.js";
import type { PendingImport } from "../model/connections/pending_import.js";
import type { PendingRevocation } from "../model/connections/revocation.js";
import type { SealedCredential, SealedRecord } from "../model/credentials/credential.js";
import { newId } from "../model/ids.js";
import type { ProviderProfile } from "../model/providers/provider_profile.js";
import type { Suspension } from "../model/providers/suspension.js";
import { AuditLog, type AuditRetention } from "./audit_log.js";
import { ChangeLog } from "./indexes/change_log.js";
import { moveInIndexes } from "./indexes/connection_index.js";
import { addToNumber, nameInKey } from "./indexes/numbers.js";
import { countSealed, writeSealedCount } from "./indexes/sealed_count.js";
import { type Databases, nothing } from "./lmdb/databases.js";
import { issuerKey, Reads } from "./reads.js";
import { encodeApiKey } from "./records/api_key_codec.js";
import { connectionEncoder } from "./records/connection_codec.js";
import { encodeStateHash } from "./records/field_codec.js";
import { encodeImport, encodeRevocation } from "./records/journal_codec.js";
import { type Change, encodeDiscovery, type StoredDiscovery } from "./records/log_codec.js";
import { encodeProvider } from "./records/provider_codec.js";
import { encodeAuthorization, encodeSealedCredential } from "./records/sealed_codec.js";
import { encodeSuspension } from "./records/suspension_codec.js";
import { storeRecordOf, writeStoreRecord } from "./store_record.js";

/**
 * One change of the store: all of it becomes durable, or none. Every method throws once the callback has
 * returned.
 */
export interface Transaction {
  getProvider(id: string): ProviderProfile | undefined;
  findProviderByName(name: string): ProviderProfile | undefined;
  getConnection(id: string): Connection | undefined;
  getCredential(connectionId: string): SealedCredential | undefined;
  getAuthorization(stateHash: string): PendingAuthorization | undefined;
  countConnections(providerId: string): number;
  /** All connections of a profile, in the order of their ids. */
  connectionsOf(providerId: string): readonly Connection[];
  countConnectionsOfUser(userId: string): number;
  /** @param principal name of who asked for consent */
  countAuthorizations(principal: string): number;
  /** @throws Error when another profile has the name */
  putProvider(profile: ProviderProfile): void;
  /** Its connections stay. */
  deleteProvider(id: string): void;
  /**
   * Moves its one entry in the due queue to `dueAtMs` and counts as a change of the connection.
   *
   * @throws RangeError on an optional time that is not a whole number above 0
   */
  putConnection(connection: Connection): void;
  /**
   * Writes the connection without counting it as a change: for what callers do not see. The due time stays as
   * it is stored.
   *
   * @throws Error when the connection is not stored
   */
  putUnannounced(connection: Connection): void;
  /**
   * With its credential, its entry in the due queue and its pending authorization. Unknown ids are ignored.
   */
  deleteConnection(id: string): void;
  putCredential(connectionId: string, credential: SealedCredential): void;
  deleteCredential(connectionId: string): void;
  /** @param stateHash hexadecimal SHA-256 of `state` */
  putAuthorization(stateHash: string, pending: PendingAuthorization): void;
  /** Reads and deletes: of any number of callers one gets it. */
  takeAuthorization(stateHash: string): PendingAuthorization | undefined;
  putDiscovery(issuer: string, discovery: StoredDiscovery): void;
  getSuspension(providerId: string): Suspension | undefined;
  putSuspension(suspension: Suspension): void;
  deleteSuspension(providerId: string): void;
  /** Sealed with the primary key: from this commit on it is the one that this key check names. */
  setKeyCheck(sealed: SealedRecord): void;
  /** Puts right how many records need a key; 0 forgets it. */
  setSealedCount(keyId: string, count: bigint): void;
  /** Another history: no watcher can resume a position of the one before. */
  beginEpoch(): void;
  /** Chains the event to the one before it, and prunes a few that are older than the retention. */
  appendAudit(event: AuditEvent): void;
  getRevocation(id: string): PendingRevocation | undefined;
  /** Moves its one entry in the queue of revocations to `nextAttemptMs`. */
  putRevocation(revocation: PendingRevocation): void;
  deleteRevocation(id: string): void;
  /** @param key hash of the imported token */
  getImport(key: string): PendingImport | undefined;
  putImport(key: string, pending: PendingImport): void;
  deleteImport(key: string): void;
  getApiKey(id: string): ApiKeyRecord | undefined;
  listApiKeys(): ApiKeyRecord[];
  putApiKey(key: ApiKeyRecord): void;
}

export class StoreTransaction implements Transaction {
  readonly #databases: Databases;
  readonly #reads: Reads;
  readonly #log: ChangeLog;
  readonly #audit: AuditLog;
  #ended = false;

  constructor(databases: Databases, retention: AuditRetention) {
    this.#databases = databases;
    this.#reads = new Reads(databases);
    this.#log = new ChangeLog(databases);
    this.#audit = new AuditLog(databases, retention);
  }

  /** @returns what changed, each connection once, in the order of the revisions */
  end(): readonly Change[] {
    this.#ended = true;
    return this.#log.changes;
  }

  /** Guards every method: outside of its callback a write would become a transaction of its own. */
  get #open(): Databases {
    if (this.#ended) throw new Error("this transaction has ended: it is only valid inside its callback");
    return this.#databases;
  }

  get #openReads(): Reads {
    void this.#open;
    return this.#reads;
  }

  getProvider(id: string): ProviderProfile | undefined {
    return this.#openReads.getProvider(id);
  }

  findProviderByName(name: string): ProviderProfile | undefined {
    return this.#openReads.findProviderByName(name);
  }

  getConnection(id: string): Connection | undefined {
    return this.#openReads.getConnection(id);
  }

  getCredential(connectionId: string): SealedCredential | undefined {
    return this.#openReads.getCredential(connectionId);
  }

  getAuthorization(stateHash: string): PendingAuthorization | undefined {
    return this.#openReads.getAuthorization(stateHash);
  }

  countConnections(providerId: string): number {
    return this.#openReads.countConnections(providerId);
  }

  connectionsOf(providerId: string): readonly Connection[] {
    return this.#openReads.listConnections({ providerId, limit: Number.POSITIVE_INFINITY });
  }

  countConnectionsOfUser(userId: string): number {
    return this.#openReads.countConnectionsOfUser(userId);
  }

  countAuthorizations(principal: string): number {
    return this.#openReads.countAuthorizations(principal);
  }

  putProvider(profile: ProviderProfile): void {
    const { providers, providerNames } = this.#open;
    const holder = this.#reads.findProviderIdByName(profile.name);
    if (holder !== undefined && holder !== profile.id) {
      throw new Error(`the provider name ${profile.name} belongs to ${holder}`);
    }
    const before = this.#reads.getProvider(profile.id);
    if (before !== undefined && before.name !== profile.name) providerNames.removeSync(before.name);
    countSealed(this.#databases, () => before?.clientSecret, profile.clientSecret);
    providerNames.putSync(profile.name, Buffer.from(profile.id));
    providers.putSync(profile.id, encodeProvider(profile));
  }

  deleteProvider(id: string): void {
    const { providers, providerNames } = this.#open;
    const before = this.#reads.getProvider(id);
    if (before === undefined) return;
    providerNames.removeSync(before.name);
    countSealed(this.#databases, () => before.clientSecret, undefined);
    providers.removeSync(id);
  }

  putConnection(connection: Connection): void {
    const databases = this.#open;
    const encode = connectionEncoder(connection);
    const { id } = connection;
    const before = this.#reads.getStoredConnection(id);
    moveInIndexes(databases, id, before?.connection, connection);
    const revision = this.#log.record(connection, false, before?.changeRevision ?? 0n);
    databases.connections.putSync(id, encode(revision));
  }

  putUnannounced(connection: Connection): void {
    const databases = this.#open;
    const before = this.#reads.getStoredConnection(connection.id);
    if (before === undefined) throw new Error("only a stored connection can be written unannounced");
    const { status, providerId, dueAtMs } = before.connection;
    const encode = connectionEncoder({ ...connection, status, providerId, dueAtMs });
    databases.connections.putSync(connection.id, encode(before.changeRevision));
  }

  deleteConnection(id: string): void {
    const databases = this.#open;
    const before = this.#reads.getStoredConnection(id);
    if (before === undefined) return;
    const { connection, changeRevision } = before;
    moveInIndexes(databases, id, connection, undefined);
    databases.connections.removeSync(id);
    this.deleteCredential(id);
    if (connection.pendingStateHash !== undefined) this.takeAuthorization(connection.pendingStateHash);
    this.#log.record(connection, true, changeRevision);
  }

  putCredential(connectionId: string, credential: SealedCredential): void {
    const databases = this.#open;
    countSealed(databases, () => this.#reads.getCredential(connectionId)?.sealed, credential.sealed);
    databases.credentials.putSync(connectionId, encodeSealedCredential(credential));
  }

  deleteCredential(connectionId: string): void {
    const databases = this.#open;
    countSealed(databases, () => this.#reads.getCredential(connectionId)?.sealed, undefined);
    databases.credentials.removeSync(connectionId);
  }

  putAuthorization(stateHash: string, pending: PendingAuthorization): void {
    this.takeAuthorization(stateHash);
    const databases = this.#open;
    countSealed(databases, () => undefined, pending.sealed);
    databases.authorizations.putSync(encodeStateHash(stateHash), encodeAuthorization(pending));
    if (pending.requestedBy !== "") addToNumber(databases, ["pending", nameInKey(pending.requestedBy)], 1n);
  }

  takeAuthorization(stateHash: string): PendingAuthorization | undefined {
    const databases = this.#open;
    const pending = this.#reads.getAuthorization(stateHash);
    if (pending === undefined) return undefined;
    countSealed(databases, () => pending.sealed, undefined);
    databases.authorizations.removeSync(encodeStateHash(stateHash));
    if (pending.requestedBy !== "") addToNumber(databases, ["pending", nameInKey(pending.requestedBy)], -1n);
    return pending;
  }

  putDiscovery(issuer: string, discovery: StoredDiscovery): void {
    this.#open.discovery.putSync(issuerKey(issuer), encodeDiscovery(discovery));
  }

  getSuspension(providerId: string): Suspension | undefined {
    return this.#openReads.getSuspension(providerId);
  }

  putSuspension(suspension: Suspension): void {
    this.#open.suspensions.putSync(suspension.providerId, encodeSuspension(suspension));
  }

  deleteSuspension(providerId: string): void {
    this.#open.suspensions.removeSync(providerId);
  }

  setKeyCheck(sealed: SealedRecord): void {
    const databases = this.#open;
    writeStoreRecord(databases, { ...storeRecordOf(databases), keyCheck: sealed });
  }

  appendAudit(event: AuditEvent): void {
    void this.#open;
    this.#audit.append(event);
  }

  getRevocation(id: string): PendingRevocation | undefined {
    return this.#openReads.getRevocation(id);
  }

  putRevocation(revocation: PendingRevocation): void {
    this.deleteRevocation(revocation.id);
    const { revocations, revocationsDue } = this.#open;
    countSealed(this.#databases, () => undefined, revocation.sealed);
    revocations.putSync(revocation.id, encodeRevocation(revocation));
    revocationsDue.putSync([revocation.nextAttemptMs, revocation.id], nothing);
  }

  deleteRevocation(id: string): void {
    const before = this.getRevocation(id);
    if (before === undefined) return;
    countSealed(this.#databases, () => before.sealed, undefined);
    this.#open.revocations.removeSync(id);
    this.#open.revocationsDue.removeSync([before.nextAttemptMs, id]);
  }

  getImport(key: string): PendingImport | undefined {
    return this.#openReads.getImport(key);
  }

  putImport(key: string, pending: PendingImport): void {
    const databases = this.#open;
    countSealed(databases, () => this.#reads.getImport(key)?.sealed, pending.sealed);
    databases.imports.putSync(key, encodeImport(pending));
  }

  deleteImport(key: string): void {
    const databases = this.#open;
    countSealed(databases, () => this.#reads.getImport(key)?.sealed, undefined);
    databases.imports.removeSync(key);
  }

  setSealedCount(keyId: string, count: bigint): void {
    writeSealedCount(this.#open, keyId, count);
  }

  beginEpoch(): void {
    const databases = this.#open;
    writeStoreRecord(databases, { ...storeRecordOf(databases), epoch: newId() });
  }

  getApiKey(id: string): ApiKeyRecord | undefined {
    return this.#openReads.getApiKey(id);
  }

  listApiKeys(): ApiKeyRecord[] {
    return this.#openReads.listApiKeys();
  }

  putApiKey(key: ApiKeyRecord): void {
    this.#open.apiKeys.putSync(key.id, encodeApiKey(key));
  }
}
