import type { CommitParts, Commits } from "../../../store/commits.js";
import type { Recording } from "../../../store/recording.js";
import type { StoreRole } from "../../../store/store.js";
import type { Transaction } from "../../../store/transaction.js";
import type { Applied } from "./applied.js";
import { FollowerCommits } from "./follower_commits.js";
import { LeaderCommits } from "./leader_commits.js";
import type { CommitLog, LogBatch, ReplicaPosition } from "./log.js";
import { Outbox } from "./outbox.js";
import { encodeRecordedEvent, encodeRecordedUse, importOutbox } from "./outbox_codec.js";
import { Replica } from "./replica.js";

/** Entries of the outbox in one commit. */
const maxShipped = 256;

/** The commits of a store that is one of many: a follower's, until it leads. */
export class ReplicaCommits implements Commits {
  readonly replica: Replica;
  readonly outbox: Outbox;
  onApplied: (applied: Applied) => void = () => undefined;
  /** Called when a follower has put something on record. */
  onRecorded: () => void = () => undefined;
  #commits: FollowerCommits | LeaderCommits;
  #shipping: Promise<void> | undefined;

  constructor(
    private readonly parts: CommitParts,
    position: ReplicaPosition,
    folder: string,
  ) {
    this.outbox = new Outbox(folder, parts.failure);
    this.outbox.onAdded = () => this.#ship();
    this.replica = new Replica(parts.databases, position);
    this.#commits = this.#follower();
  }

  get role(): StoreRole {
    return this.#commits instanceof LeaderCommits ? "leader" : "follower";
  }

  /** @throws Error when it leads already */
  lead(log: CommitLog): void {
    if (this.#commits instanceof LeaderCommits) throw new Error("this store leads already");
    void this.#commits.close();
    this.#commits = new LeaderCommits({ ...this.parts, replica: this.replica, log });
    this.#ship();
  }

  /** Waits for the commits under way. */
  async follow(): Promise<void> {
    const commits = this.#commits;
    if (!(commits instanceof LeaderCommits)) return;
    await commits.close();
    await this.#shipping;
    this.#commits = this.#follower();
  }

  /** Durable here when it resolves; the leader commits it later. @param change synchronous */
  async record(
    change: (recording: Recording) => void,
    getConnection: Recording["getConnection"],
  ): Promise<void> {
    const { failure } = this.parts;
    if (failure.error !== undefined) throw failure.error;
    const records: Uint8Array[] = [];
    change({
      appendAudit: (event) => void records.push(encodeRecordedEvent(event)),
      useApiKey: (id, lastUsedAtMs) => void records.push(encodeRecordedUse(id, lastUsedAtMs)),
      getConnection,
    });
    await this.outbox.add(records);
  }

  commit<T>(change: (tx: Transaction) => T): Promise<T> {
    return this.#commits.commit(change);
  }

  async apply(batches: readonly LogBatch[]): Promise<void> {
    if (!(this.#commits instanceof FollowerCommits))
      throw new Error("only a follower takes what the log has");
    await this.#commits.apply(batches);
  }

  /** Of both files: commits, batches that are applied, and the outbox. */
  async settled(): Promise<void> {
    do {
      await this.#commits.settled();
      await this.#shipping;
      await this.outbox.settled();
    } while (this.#shipping !== undefined || !this.outbox.isSettled);
    await this.#commits.settled();
  }

  /** Begins nothing more, in either file; what is under way goes on. */
  end(): void {
    this.outbox.end();
    void this.parts.failure.fail(
      new Error("the process ends"),
      "the process ends: its store takes no more writes",
    );
  }

  async close(): Promise<void> {
    await this.#commits.close();
    await this.#shipping;
    await this.outbox.close();
  }

  /** A leader commits by itself what it put on record; a follower's is fetched by whoever knows the leader. */
  #ship(): void {
    if (this.#commits instanceof LeaderCommits) this.#shipping ??= this.#shipAll(this.#commits);
    else this.onRecorded();
  }

  /** Never rejects: a commit that failed has ended the store, and what was not committed waits for the next leader. */
  async #shipAll(commits: LeaderCommits): Promise<void> {
    const { outbox } = this;
    // It is known that this runs, before it can be over.
    await Promise.resolve();
    try {
      for (let entries = outbox.take(maxShipped); entries.length > 0; entries = outbox.take(maxShipped)) {
        const shipped = entries;
        await commits.commit((tx) => importOutbox(tx, outbox.source, shipped));
        await outbox.drop(shipped.at(-1)?.sequence ?? 0n);
      }
    } catch {
      // The store takes no more commits.
    }
    this.#shipping = undefined;
  }

  #follower(): FollowerCommits {
    const onApplied = (applied: Applied): void => this.onApplied(applied);
    return new FollowerCommits({ ...this.parts, replica: this.replica, onApplied });
  }
}
