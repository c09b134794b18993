import { dirname } from "node:path";
import type { Databases } from "../../../store/lmdb/databases.js";
import type { Recording } from "../../../store/recording.js";
import { Store, type StoreOptions, type StoreRole, storeFileName } from "../../../store/store.js";
import type { Applied } from "./applied.js";
import type { CommitLog, LogBatch, ReplicaPosition } from "./log.js";
import type { Outbox } from "./outbox.js";
import { type FirstCopy, writeCopy } from "./raw_entries.js";
import { replicaPositionOf } from "./replica.js";
import { ReplicaCommits } from "./replica_commits.js";

/** A copy of the log of a fleet, which follows until it is told to lead. */
export class ReplicaStore extends Store {
  readonly #commits: ReplicaCommits;

  private constructor(databases: Databases, path: string, options: StoreOptions) {
    let commits: ReplicaCommits | undefined;
    super(databases, path, options, (parts) => {
      commits = new ReplicaCommits(parts, replicaPositionOf(databases, path), dirname(path));
      return commits;
    });
    this.#commits = commits as unknown as ReplicaCommits;
    this.onApplied(() => undefined);
  }

  /** @throws StoreDamaged when the file is damaged, is no replica, or was made by a newer version */
  static override open(options: StoreOptions): ReplicaStore {
    return Store.opened(options, (databases, path) => new ReplicaStore(databases, path, options));
  }

  /**
   * Makes the file of a replica in `folder`, in place of what is there: as a whole, or not at all.
   *
   * @param folder this process holds its lock, and has no store open in it
   */
  static async copyInto(folder: string, copy: FirstCopy): Promise<void> {
    await writeCopy(folder, storeFileName, copy);
  }

  override get role(): StoreRole {
    return this.#commits.role;
  }

  /** The newest batch of the log that is durable here and was announced. */
  get position(): ReplicaPosition {
    return this.#commits.replica.position;
  }

  /** With `position` where it was, it is the same ones. */
  override get isWritingBatches(): boolean {
    return this.#commits.replica.isWriting;
  }

  /** Resolves when the batch of this position is durable here and was announced. @throws the reason of `signal` */
  async waitFor(position: bigint, signal?: AbortSignal): Promise<void> {
    await this.#commits.replica.waitFor(position, signal);
  }

  /**
   * Commits become durable in `log` first from now on. A follower has every batch of the log by then. When the log refuses one, the store
   * has failed: its cause is a `LogRefused`.
   */
  lead(log: CommitLog): void {
    this.#commits.lead(log);
  }

  /** Commits are refused with `NotLeader` from now on; waits for those under way. */
  async follow(): Promise<void> {
    await this.#commits.follow();
  }

  /**
   * Takes batches of the log, the oldest first, in one transaction with their position; those that are here already are left out.
   * Resolves when they are durable and were announced.
   *
   * @throws LogDiverged when they do not follow what is here: nothing was written
   * @throws StoreFailed when they could not be made durable
   */
  async apply(batches: readonly LogBatch[]): Promise<void> {
    await this.#commits.apply(batches);
  }

  /** Sets the one listener for what batches of the log changed, called before the listener of commits. It must not throw. */
  override onApplied(listener: (applied: Applied) => void): void {
    this.#commits.onApplied = (applied) => {
      if (applied.storeRecord) this.reloadEpoch();
      listener(applied);
    };
  }

  /** Durable in the outbox, whether it leads or follows, from where it comes into the log. It needs no leader and no log. */
  override async record(change: (recording: Recording) => void): Promise<void> {
    await this.#commits.record(change, (id) => this.getConnection(id));
  }

  /** What this replica has put on record and the leader has not committed. */
  get outbox(): Outbox {
    return this.#commits.outbox;
  }

  /** Sets the one listener for what a follower puts on record: whoever knows the leader takes it from the outbox. */
  onRecorded(listener: () => void): void {
    this.#commits.onRecorded = listener;
  }

  /** Begins another history, which watchers hear of when they come again. @param epoch UUID @throws StoreFailed as `commit` */
  async beginEpoch(epoch: string): Promise<void> {
    await this.commit((tx) => tx.beginEpoch(epoch));
    this.reloadEpoch();
  }

  /** Writes nothing more, neither commits nor batches nor records, so that it stays as `settled` finds it. */
  end(): void {
    this.#commits.end();
  }
}
