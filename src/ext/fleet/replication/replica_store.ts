import { dirname } from "node:path";
import {
  type Databases,
  type ExtensionTable,
  type Recording,
  Store,
  type StoreOptions,
  type StoreRole,
  storeFileName,
} from "../../../store/store.js";
import type { Applied } from "./applied.js";
import { FollowerCommits } from "./follower_commits.js";
import { LeaderCommits } from "./leader_commits.js";
import type { CommitLog, LogBatch, ReplicaPosition } from "./log.js";
import { Outbox } from "./outbox.js";
import { encodeRecordedEvent, encodeRecordedUse, importOutbox } from "./outbox_codec.js";
import { type CopiedEntries, writeCopy } from "./raw_entries.js";
import { Replica, replicaPositionOf } from "./replica.js";

/** Entries of the outbox in one commit. */
const maxShipped = 256;

/** A copy of the log of a fleet, which follows until it is asked to lead. */
export class ReplicaStore extends Store {
  /** What this replica has put on record and the leader has not committed. */
  readonly outbox: Outbox;
  readonly #replica: Replica;
  #onApplied: (applied: Applied) => void = () => undefined;
  #onRecorded: () => void = () => undefined;
  #shipping: Promise<void> | undefined;

  private constructor(databases: Databases, path: string, options: StoreOptions) {
    super(databases, path, options, true);
    this.#replica = new Replica(databases, replicaPositionOf(databases, path));
    this.outbox = new Outbox(dirname(path), this.parts.failure);
    this.outbox.onAdded = () => this.#ship();
    this.commits = this.#follower();
  }

  /** @throws StoreDamaged when the file is damaged, is no replica, or was made by a newer version */
  static override open(options: StoreOptions): ReplicaStore {
    return Store.opened(options, (databases, path) => new ReplicaStore(databases, path, options));
  }

  /**
   * Makes the file of a replica in `folder`, replacing what is there: as a whole, or not at all.
   *
   * @param folder this process holds its lock, and has no store open in it
   * @param tables of the extensions
   */
  static async copyInto(
    folder: string,
    copy: CopiedEntries,
    tables: readonly ExtensionTable[] = [],
  ): Promise<void> {
    await writeCopy(folder, storeFileName, copy, tables);
  }

  override get role(): StoreRole {
    return this.commits instanceof LeaderCommits ? "leader" : "follower";
  }

  /** The newest batch of the log that is durable here and was announced. */
  get position(): ReplicaPosition {
    return this.#replica.position;
  }

  /** With `position` where it was, it is the same ones. */
  override get isWritingBatches(): boolean {
    return this.#replica.isWriting;
  }

  /** Resolves when the batch of this position is durable here and was announced. @throws the reason of `signal` */
  waitFor(position: bigint, signal?: AbortSignal): Promise<void> {
    return this.#replica.waitFor(position, signal);
  }

  /**
   * Commits become durable in `log` first from now on. A follower has every batch of the log by then. When the log refuses one, the store
   * has failed: its cause is a `LogRefused`.
   *
   * @throws Error when it leads already
   */
  lead(log: CommitLog): void {
    if (this.commits instanceof LeaderCommits) throw new Error("this store leads already");
    void this.commits.close();
    this.commits = new LeaderCommits({ ...this.parts, replica: this.#replica, log });
    this.#ship();
  }

  /** Commits are refused with `NotLeader` from now on; waits for those under way. */
  async follow(): Promise<void> {
    const { commits } = this;
    if (!(commits instanceof LeaderCommits)) return;
    await commits.close();
    await this.#shipping;
    this.commits = this.#follower();
  }

  /**
   * Takes batches of the log, the oldest first, in one transaction with their position; those that are here already are left out.
   * Resolves when they are durable and were announced.
   *
   * @throws LogDiverged when they do not follow what is here: nothing was written
   * @throws StoreFailed when they could not be made durable
   */
  async apply(batches: readonly LogBatch[]): Promise<void> {
    if (!(this.commits instanceof FollowerCommits)) throw new Error("only a follower takes what the log has");
    await this.commits.apply(batches);
  }

  override onApplied(listener: (applied: Applied) => void): void {
    this.#onApplied = listener;
  }

  /** Durable in the outbox, whether it leads or follows, from where it comes into the log. It needs no leader and no log. */
  override async record(change: (recording: Recording) => void): Promise<void> {
    const { failure } = this.parts;
    if (failure.error !== undefined) throw failure.error;
    const records: Uint8Array[] = [];
    change({
      appendAudit: (event) => void records.push(encodeRecordedEvent(event)),
      useApiKey: (id, lastUsedAtMs) => void records.push(encodeRecordedUse(id, lastUsedAtMs)),
      getConnection: (id) => this.getConnection(id),
    });
    await this.outbox.add(records);
  }

  /** Sets the one listener for what a follower puts on record: a hub that knows the leader takes it from the outbox. */
  onRecorded(listener: () => void): void {
    this.#onRecorded = listener;
  }

  /** Begins another history, which watchers learn of when they come again. @param epoch UUID @throws StoreFailed as `commit` */
  async beginEpoch(epoch: string): Promise<void> {
    await this.commit((tx) => tx.beginEpoch(epoch));
    this.reloadEpoch();
  }

  /** Of both files: commits, batches that are applied, and the outbox. */
  override async settled(): Promise<void> {
    do {
      await super.settled();
      await this.#shipping;
      await this.outbox.settled();
    } while (this.#shipping !== undefined || !this.outbox.isSettled);
    await super.settled();
  }

  /** Writes nothing more, neither commits nor batches nor records, so that it stays as `settled` finds it. */
  end(): void {
    this.outbox.end();
    const why = "the process ends: its store takes no more writes";
    void this.parts.failure.fail(new Error("the process ends"), why);
  }

  protected override async closeCommits(): Promise<void> {
    await super.closeCommits();
    await this.#shipping;
    await this.outbox.close();
  }

  /** A leader commits by itself what it put on record; a follower's is fetched by a hub that knows the leader. */
  #ship(): void {
    if (this.commits instanceof LeaderCommits) this.#shipping ??= this.#shipAll(this.commits);
    else this.#onRecorded();
  }

  /** Never rejects: a commit that failed has ended the store, and what was not committed waits for the next leader. */
  async #shipAll(commits: LeaderCommits): Promise<void> {
    const { outbox } = this;
    // It is known that this runs, before it can be over.
    await Promise.resolve();
    try {
      for (;;) {
        const { source, entries } = outbox.take(maxShipped);
        if (entries.length === 0) break;
        await commits.commit((tx) => importOutbox(tx, source, entries));
        await outbox.drop(entries.at(-1)?.sequence ?? 0n);
      }
    } catch {
      // The store takes no more commits.
    }
    this.#shipping = undefined;
  }

  #follower(): FollowerCommits {
    const onApplied = (applied: Applied): void => {
      if (applied.storeRecord) this.reloadEpoch();
      this.#onApplied(applied);
    };
    return new FollowerCommits({ ...this.parts, replica: this.#replica, onApplied });
  }
}
