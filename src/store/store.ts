import {
  chmodSync,
  closeSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readFileSync,
  statSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import type { SealedRecord } from "../model/credentials/credential.js";
import { isId, newId } from "../model/ids.js";
import type { FollowedRecords } from "../runtime/changes.js";
import { Announcements } from "./announcements.js";
import { type AuditRetention, defaultAuditRetention } from "./audit/audit_log.js";
import { type AuditPage, type AuditPageResult, listAuditEvents } from "./audit/audit_reads.js";
import { type AuditCheckpoint, AuditVerification } from "./audit/audit_verification.js";
import { CommitQueue } from "./commit_queue.js";
import { ChangeRunner, type CommitParts, type Commits, type CommitTiming } from "./commits.js";
import { syncFolder } from "./files/sync_folder.js";
import { ClientKeyReads } from "./indexes/client_keys.js";
import { PendingRevocationReads } from "./indexes/pending_revocations.js";
import { readSealedCounts, type SealedCounts } from "./indexes/sealed_count.js";
import { type SealedEntry, type SealedKind, walkSealed } from "./indexes/sealed_walk.js";
import { type Databases, openDatabases } from "./lmdb/databases.js";
import { checkStoreFile, isMarkedOpen, markClosed, markOpen } from "./lmdb/file_check.js";
import { damaged, isDamage } from "./lmdb/store_error.js";
import { StoreFailure } from "./lmdb/store_failure.js";
import type { ExtensionTable } from "./lmdb/table.js";
import { Reads } from "./reads.js";
import type { Recording } from "./recording.js";
import type { CommittedChange } from "./records/log_codec.js";
import { refuseReplica } from "./replica_mark.js";
import {
  formOf,
  forms,
  loadStoreRecord,
  needForm,
  readStoreRecord,
  type StoreForm,
  storeRecordOf,
} from "./store_record.js";
import type { Transaction, WriteObserver } from "./transaction.js";

export type { CommitParts, Commits, Ran } from "./commits.js";
export { lockDataFolder } from "./files/data_folder.js";
export { copyFileName, refuseCopies } from "./files/refuse_copies.js";
export { syncFolder } from "./files/sync_folder.js";
export { firstOfEach } from "./indexes/due_keys.js";
export { countEntry, countOf, forgetCounts } from "./indexes/numbers.js";
export { type SealedEntry, type SealedKind, sealedKinds } from "./indexes/sealed_walk.js";
export {
  ABORT,
  type Databases,
  databasesOf,
  decodeCount,
  encodeCount,
  keyValueToBuffer,
  lmdbNames,
  nothing,
  openDatabases,
  openRawTables,
  openRoot,
  openTable,
} from "./lmdb/databases.js";
export { checkStoreFile, markClosed, markOpen } from "./lmdb/file_check.js";
export { DataFolderUnusable, StoreDamaged } from "./lmdb/store_error.js";
export { StoreFailure } from "./lmdb/store_failure.js";
export { ExtensionTable, type Key, type Table } from "./lmdb/table.js";
export type { Recording } from "./recording.js";
export { decodeAuditRecord, eventOf, toAuditRecord } from "./records/audit_codec.js";
export { connectionEncoder, decodeConnection } from "./records/connection_codec.js";
export { encodeTime, fieldsOf } from "./records/field_codec.js";
export { type CommittedChange, decodeChange } from "./records/log_codec.js";
export { fromSealedMessage, toSealedMessage } from "./records/sealed_codec.js";
export { encodeSpooled } from "./records/spool_codec.js";
export { unlessUnreadable } from "./records/unreadable.js";
export { replicaKey } from "./replica_mark.js";
export { forms } from "./store_record.js";
export { Transaction, type WriteObserver } from "./transaction.js";

const fileName = "daemon-id";

/**
 * The id of the daemon whose data folder this is: it outlives the process, and no copy of the folder has it. The file says its own inode, which
 * a copy of it has not; a copy of the whole disk cannot be distinguished from the original.
 *
 * @param folder this process holds its lock
 * @returns a UUID
 * @throws Error of the system
 */
export function daemonIdOf(folder: string): string {
  const descriptor = openSync(join(folder, fileName), "a+", 0o600);
  try {
    const inode = fstatSync(descriptor).ino.toString();
    const [id = "", itsInode] = readFileSync(descriptor, "utf8").trim().split(" ");
    if (isId(id) && itsInode === inode) return id;
    const made = newId();
    ftruncateSync(descriptor, 0);
    writeSync(descriptor, `${made} ${inode}\n`);
    return made;
  } finally {
    closeSync(descriptor);
  }
}

/** `single`: it is the only one of its history. `leader`: it alone writes the log of its fleet. `follower`: it has what that log has. */
export type StoreRole = "single" | "follower" | "leader";

export type { DueEntry } from "./reads.js";
export type { Change } from "./records/log_codec.js";

/**
 * Name of the store's file in the data folder. LMDB keeps its reader table beside it, with `-lock` appended.
 */
export const storeFileName = "nexus.mdb";

/**
 * Everything that outlives the process, in one LMDB file.
 *
 * Reads are synchronous and see durable commits only. Found with lmdb 3.5.6 and `overlappingSync: false`: a commit writes its pages, calls
 * `fdatasync`, and writes the meta page through an `O_DSYNC` descriptor. It publishes its transaction number to readers after that write
 * returned. With every sync slowed to 150 ms the main thread first read the commit after 300 ms, as its promise resolved. With the default
 * option it did so after 150 ms, before the commit was on disk. Between that moment and the call of the listener, a commit can be read that
 * was not announced yet: see `settledRevision`. Reads in one synchronous stretch see one snapshot. Inside the callback of a commit they see
 * what it wrote so far: use the transaction there.
 */
export class Store extends Reads {
  readonly databaseId: string;
  /** Id of the daemon whose data folder this is: marks of intent say whose they are. */
  readonly owner: string;
  readonly clientKeys: ClientKeyReads;
  readonly revocations: PendingRevocationReads;
  protected readonly databases: Databases;
  protected readonly parts: CommitParts;
  protected commits: Commits;
  readonly #path: string;
  #epoch: string;
  #closed: Promise<void> | undefined;

  /** @param isReplica it is one of many, whose commits are made another way */
  protected constructor(databases: Databases, path: string, options: StoreOptions, isReplica = false) {
    super();
    const record = loadStoreRecord(databases, path, options.nowMs);
    this.databaseId = record.databaseId;
    this.#epoch = record.epoch;
    this.databases = databases;
    this.owner = daemonIdOf(options.folder);
    this.clientKeys = new ClientKeyReads(databases);
    this.revocations = new PendingRevocationReads(databases);
    this.#path = path;
    this.parts = {
      databases,
      runner: new ChangeRunner(options.audit ?? defaultAuditRetention),
      announcements: new Announcements(this.revision),
      failure: new StoreFailure(options.onFatal),
      timing: options.timing,
    };
    if (!isReplica) {
      refuseReplica(databases, path, options.leavesLog === true);
      this.#markForm();
    }
    this.commits = new CommitQueue(this.parts);
  }

  /**
   * @throws StoreDamaged when the file is damaged, is a replica, or was made by a newer version
   */
  static open(options: StoreOptions): Store {
    return Store.opened(options, (databases, path) => new Store(databases, path, options));
  }

  /** Some builds wrote limits of keys before stores had forms. Durable on return. */
  #markForm(): void {
    const form = Math.max(forms.first, ...this.listApiKeys().map(formOf)) as StoreForm;
    if (storeRecordOf(this.databases).schemaVersion >= form) return;
    this.databases.root.transactionSync(() => {
      needForm(this.databases, form);
    });
  }

  protected static opened<S extends Store>(
    { folder, tables }: StoreOptions,
    make: (databases: Databases, path: string) => S,
  ): S {
    const path = join(folder, storeFileName);
    checkStoreFile(path);
    const wasLeftOpen = isMarkedOpen(path);
    markOpen(path);
    let databases: Databases | undefined;
    try {
      databases = openDatabases(path, tables);
      const store = make(databases, path);
      syncFolder(folder);
      return store;
    } catch (error) {
      void databases?.root.close();
      // A store that is refused stays as it was found.
      if (!wasLeftOpen && !isDamage(error)) markClosed(path);
      throw isDamage(error) ? damaged(path, `is damaged (${(error as Error).message})`, error) : error;
    }
  }

  /** For what an extension keeps or reads in the databases themselves. */
  raw<T>(read: (databases: Databases) => T): T {
    return read(this.databases);
  }

  /** The known text that distinguishes a right key from a wrong one. */
  get keyCheck(): SealedRecord | undefined {
    return readStoreRecord(this.databases)?.keyCheck;
  }

  /** How many sealed records need each key, the check of the key not counted. */
  sealedCounts(): SealedCounts {
    return readSealedCounts(this.databases);
  }

  /** The records of a kind after a key, in the order of the keys. */
  walkSealed(kind: SealedKind, after: string | undefined, limit: number): SealedEntry[] {
    return walkSealed(this.databases, kind, after, limit);
  }

  /** The newest first. A bounded number of events is looked at: a page may hold fewer than `limit` while more follow. */
  listAuditEvents(page: AuditPage): AuditPageResult {
    return listAuditEvents(this.databases, page);
  }

  /** Checks the chain of the audit log, step by step. */
  verifyAudit(checkpoint?: AuditCheckpoint): AuditVerification {
    return new AuditVerification(this.databases, checkpoint);
  }

  /** Identifies the history that watch positions count in. */
  get epoch(): string {
    return this.#epoch;
  }

  get role(): StoreRole {
    return "single";
  }

  /** Whether batches of the log are on their way to this disk. */
  get isWritingBatches(): boolean {
    return false;
  }

  /** As `commit`, for what is only put on record. @param change synchronous @throws StoreFailed as `commit` */
  async record(change: (recording: Recording) => void): Promise<void> {
    await this.commit(change);
  }

  /** Sets the one listener for what the log changed here beside connections. It must not throw. */
  onApplied(_listener: (applied: FollowedRecords) => void): void {}

  protected reloadEpoch(): void {
    this.#epoch = storeRecordOf(this.databases).epoch;
  }

  /** Writes a copy of the newest durable commit, while others go on. @param folder exists; the copy has the name of a store there */
  async copyTo(folder: string): Promise<void> {
    const path = join(folder, storeFileName);
    await this.databases.root.backup(path, false);
    // lmdb makes it readable for everybody, whom the folder must keep out until now.
    chmodSync(path, 0o600);
  }

  /** Whether it takes no more writes. */
  get isFailed(): boolean {
    return this.parts.failure.error !== undefined;
  }

  /** Size of the file, which never shrinks. */
  get fileBytes(): number {
    return statSync(this.#path, { throwIfNoEntry: false })?.size ?? 0;
  }

  /** Every change up to here is durable and was announced to the listener. */
  get settledRevision(): bigint {
    return this.parts.announcements.settledRevision;
  }

  /**
   * Runs `change` in a transaction and resolves with what it returned once that is on disk and was announced.
   * Commits that are requested together share one flush; each is rolled back alone when its `change` throws,
   * and rejects with what was thrown.
   *
   * @param change synchronous
   * @throws StoreFailed when the flush failed, now or in any commit before
   */
  commit<T>(change: (tx: Transaction) => T): Promise<T> {
    return this.commits.commit(change);
  }

  /**
   * Sets the one listener: called once per commit that changed connections, when it is durable, in the order
   * of the revisions, before the commit's promise resolves. Each connection is named once, with its newest
   * change. It must not throw.
   */
  onCommitted(listener: (changes: readonly CommittedChange[]) => void): void {
    this.parts.announcements.listener = listener;
  }

  /** Adds an observer of what transactions write, called inside of them in the order in which observers came. */
  observe(observer: WriteObserver): void {
    this.parts.runner.observers.push(observer);
  }

  /**
   * Resolves when no commit is under way; of a replica, nothing in its outbox either. A process must not call `exit` before. That joins
   * lmdb's writer thread, which waits for the callback of its transaction, which this thread would have to run. It was seen with lmdb 3.5.6
   * after a failed `fdatasync` while other commits were queued, and in the middle of `record`.
   */
  async settled(): Promise<void> {
    await this.commits.settled();
  }

  /** Waits for the commits under way. Idempotent; nothing may be read afterwards. */
  async close(): Promise<void> {
    this.#closed ??= this.closeCommits().then(() => this.#closeFile());
    await this.#closed;
  }

  async #closeFile(): Promise<void> {
    await this.databases.root.close();
    if (!this.isFailed) markClosed(this.#path);
  }

  /** Takes no more, and waits for those under way. */
  protected closeCommits(): Promise<void> {
    return this.commits.close();
  }
}

export interface StoreOptions {
  /** The data folder: it exists, and this process holds its lock. */
  readonly folder: string;
  /** Time of the first opening, kept in the store. */
  readonly nowMs: number;
  /** Called once when a commit could not be made durable: the process must end. */
  readonly onFatal?: (error: unknown) => void;
  /** How much of the audit log is kept. */
  readonly audit?: AuditRetention;
  readonly timing?: CommitTiming;
  /** Those of the extensions of this program: what another one wrote into tables of its own stays as it is. */
  readonly tables?: readonly ExtensionTable[] | undefined;
  /** A replica becomes a store of its own: it has left the fleet, or comes from a backup of a replica. */
  readonly leavesLog?: boolean;
}
