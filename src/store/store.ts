import { chmodSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Applied } from "../ext/fleet/replication/applied.js";
import type { CommitLog, LogBatch, ReplicaPosition } from "../ext/fleet/replication/log.js";
import type { Outbox } from "../ext/fleet/replication/outbox.js";
import type { Recording } from "../ext/fleet/replication/outbox_codec.js";
import { type FirstCopy, writeCopy } from "../ext/fleet/replication/raw_entries.js";
import { Announcements } from "./announcements.js";
import { defaultAuditRetention } from "./audit/audit_log.js";
import { CommitQueue } from "./commit_queue.js";
import { ChangeRunner, type CommitParts, type Commits } from "./commits.js";
import { daemonIdOf } from "./files/daemon_id.js";
import { syncFolder } from "./files/sync_folder.js";
import { ClientKeyReads } from "./indexes/client_keys.js";
import { NotificationPlanReads } from "./indexes/notification_plans.js";
import { NotificationReads } from "./indexes/notification_queue.js";
import { PendingRevocationReads } from "./indexes/pending_revocations.js";
import { type Databases, openDatabases } from "./lmdb/databases.js";
import { checkStoreFile } from "./lmdb/file_check.js";
import { StoreFailure } from "./lmdb/store_failure.js";
import type { CommittedChange } from "./records/log_codec.js";
import { openReplication, type ReplicaCommits, type StoreRole } from "./replica_commits.js";
import type { StoreOptions } from "./store_options.js";
import { loadStoreRecord, storeRecordOf } from "./store_record.js";
import type { Transaction, WriteObserver } from "./transaction.js";
import { WholeReads } from "./whole_reads.js";

export type { DueEntry } from "./reads.js";
export type { Change } from "./records/log_codec.js";
export type { StoreOptions } from "./store_options.js";

/**
 * Name of the store's file in the data folder. LMDB keeps its reader table beside it, with `-lock` appended.
 */
export const storeFileName = "nexus.mdb";

/**
 * Everything that outlives the process, in one LMDB file.
 *
 * Reads are synchronous and see durable commits only. Found with lmdb 3.5.6 and `overlappingSync: false`: a
 * commit writes its pages, calls `fdatasync`, writes the meta page through an `O_DSYNC` descriptor, and
 * publishes its transaction number to readers after that write returned (with every sync slowed to 150 ms the
 * main thread read the commit first after 300 ms, as its promise resolved; with the default option after 150
 * ms, before it was on disk). Between that moment and the call of the listener a commit can be read that was
 * not announced yet, which is what `settledRevision` is for. Reads in one synchronous stretch see one
 * snapshot. Inside the callback of a commit they see what it wrote so far: use the transaction there.
 */
export class Store extends WholeReads {
  readonly databaseId: string;
  /** Id of the daemon whose data folder this is: marks of intent say whose they are. */
  readonly owner: string;
  /** What receivers have not taken yet. */
  readonly notifications: NotificationReads;
  readonly notificationPlans: NotificationPlanReads;
  readonly clientKeys: ClientKeyReads;
  readonly revocations: PendingRevocationReads;
  protected readonly databases: Databases;
  readonly #parts: CommitParts;
  readonly #commits: Commits;
  readonly #replication: ReplicaCommits | undefined;
  readonly #path: string;
  #epoch: string;
  #closed: Promise<void> | undefined;

  private constructor(databases: Databases, path: string, options: StoreOptions) {
    super();
    const record = loadStoreRecord(databases, path, options.nowMs);
    this.databaseId = record.databaseId;
    this.#epoch = record.epoch;
    this.databases = databases;
    this.owner = daemonIdOf(options.folder);
    this.notifications = new NotificationReads(databases);
    this.notificationPlans = new NotificationPlanReads(databases);
    this.clientKeys = new ClientKeyReads(databases);
    this.revocations = new PendingRevocationReads(databases);
    this.#path = path;
    this.#parts = {
      databases,
      runner: new ChangeRunner(options.audit ?? defaultAuditRetention),
      announcements: new Announcements(this.revision),
      failure: new StoreFailure(options.onFatal),
      timing: options.timing,
    };
    this.#replication = openReplication(this.#parts, path, options);
    this.#commits = this.#replication ?? new CommitQueue(this.#parts);
    if (this.#replication) this.onApplied(() => undefined);
  }

  /**
   * @throws StoreDamaged when the file is damaged or was made by a newer version
   */
  static open(options: StoreOptions): Store {
    const path = join(options.folder, storeFileName);
    checkStoreFile(path);
    const databases = openDatabases(path);
    try {
      const store = new Store(databases, path, options);
      syncFolder(options.folder);
      return store;
    } catch (error) {
      void databases.root.close();
      throw error;
    }
  }

  /**
   * Makes the file of a replica in `folder`, in place of what is there: as a whole, or not at all.
   *
   * @param folder this process holds its lock, and has no store open in it
   */
  static async copyInto(folder: string, copy: FirstCopy): Promise<void> {
    await writeCopy(folder, storeFileName, copy);
  }

  /** Identifies the history that watch positions count in. */
  get epoch(): string {
    return this.#epoch;
  }

  get role(): StoreRole {
    return this.#replication?.role ?? "single";
  }

  /** The newest batch of the log that is durable here and was announced; undefined where this store is the only one. */
  get position(): ReplicaPosition | undefined {
    return this.#replication?.replica.position;
  }

  /** Whether batches of the log are on their way to this disk: with `position` where it was, it is the same ones. */
  get isWritingBatches(): boolean {
    return this.#replication?.replica.isWriting === true;
  }

  /** Resolves when the batch of this position is durable here and was announced. @throws the reason of `signal` */
  async waitFor(position: bigint, signal?: AbortSignal): Promise<void> {
    await this.#replica.replica.waitFor(position, signal);
  }

  /**
   * Commits become durable in `log` first from now on. A follower has every batch of the log by then. When the log refuses one, the store
   * has failed: its cause is a `LogRefused`.
   */
  lead(log: CommitLog): void {
    this.#replica.lead(log);
  }

  /** Commits are refused with `NotLeader` from now on; waits for those under way. */
  async follow(): Promise<void> {
    await this.#replica.follow();
  }

  /**
   * Takes batches of the log, the oldest first, in one transaction with their position; those that are here already are left out.
   * Resolves when they are durable and were announced.
   *
   * @throws LogDiverged when they do not follow what is here: nothing was written
   * @throws StoreFailed when they could not be made durable
   */
  async apply(batches: readonly LogBatch[]): Promise<void> {
    await this.#replica.apply(batches);
  }

  /** Sets the one listener for what batches of the log changed, called before the listener of commits. It must not throw. */
  onApplied(listener: (applied: Applied) => void): void {
    this.#replica.onApplied = (applied) => {
      if (applied.storeRecord) this.#epoch = storeRecordOf(this.databases).epoch;
      listener(applied);
    };
  }

  /**
   * As `commit`, for what is only put on record: the only store commits it; a replica, leader or follower, makes it durable in its outbox,
   * from where it comes into the log. It needs no leader and no log.
   *
   * @param change synchronous
   * @throws StoreFailed as `commit`
   */
  async record(change: (recording: Recording) => void): Promise<void> {
    const replication = this.#replication;
    if (replication === undefined) await this.commit(change);
    else await replication.record(change, (id) => this.getConnection(id));
  }

  /** What this replica has put on record and the leader has not committed; undefined where this store is the only one. */
  get outbox(): Outbox | undefined {
    return this.#replication?.outbox;
  }

  /** Sets the one listener for what a follower puts on record: whoever knows the leader takes it from the outbox. */
  onRecorded(listener: () => void): void {
    this.#replica.onRecorded = listener;
  }

  /** Begins another history, which watchers hear of when they come again. @param epoch UUID @throws StoreFailed as `commit` */
  async beginEpoch(epoch: string): Promise<void> {
    await this.commit((tx) => tx.beginEpoch(epoch));
    this.#epoch = epoch;
  }

  get #replica(): ReplicaCommits {
    if (this.#replication === undefined) throw new Error("this store is the only one: it has no log");
    return this.#replication;
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
    return this.#parts.failure.error !== undefined;
  }

  /** Size of the file, which never shrinks. */
  get fileBytes(): number {
    return statSync(this.#path, { throwIfNoEntry: false })?.size ?? 0;
  }

  /** Every change up to here is durable and was announced to the listener. */
  get settledRevision(): bigint {
    return this.#parts.announcements.settledRevision;
  }

  /**
   * Runs `change` in a transaction and resolves with what it returned once that is on disk and was announced.
   * Commits that are asked for together share one flush; each is rolled back alone when its `change` throws,
   * and rejects with what was thrown.
   *
   * @param change synchronous
   * @throws StoreFailed when the flush failed, now or in any commit before
   */
  commit<T>(change: (tx: Transaction) => T): Promise<T> {
    return this.#commits.commit(change);
  }

  /**
   * Sets the one listener: called once per commit that changed connections, when it is durable, in the order
   * of the revisions, before the commit's promise resolves. Each connection is named once, with its newest
   * change. It must not throw.
   */
  onCommitted(listener: (changes: readonly CommittedChange[]) => void): void {
    this.#parts.announcements.listener = listener;
  }

  /** Adds an observer of what transactions write, called inside of them in the order in which observers came. */
  observe(observer: WriteObserver): void {
    this.#parts.runner.observers.push(observer);
  }

  /**
   * Resolves when no commit is under way; of a replica, nothing in its outbox either. A process must not call `exit` before: that joins
   * lmdb's writer thread, which waits for the callback of its transaction, which this thread would have to run (seen with lmdb 3.5.6
   * after a failed `fdatasync` while other commits were queued, and in the middle of `record`).
   */
  async settled(): Promise<void> {
    await this.#commits.settled();
  }

  /** Of a replica: writes nothing more, neither commits nor batches nor records, so that it stays as `settled` finds it. */
  end(): void {
    this.#replica.end();
  }

  /** Waits for the commits under way. Idempotent; nothing may be read afterwards. */
  async close(): Promise<void> {
    this.#closed ??= this.#commits.close().then(() => this.databases.root.close());
    await this.#closed;
  }
}
