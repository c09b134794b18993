import { dirname } from "node:path";
import type { Applied } from "../ext/fleet/replication/applied.js";
import type { CommitLog, LogBatch, ReplicaPosition } from "../ext/fleet/replication/log.js";
import { Outbox } from "../ext/fleet/replication/outbox.js";
import {
  encodeRecordedEvent,
  encodeRecordedUse,
  type Recording,
} from "../ext/fleet/replication/outbox_codec.js";
import { eraseLocal, Replica, readPosition } from "../ext/fleet/replication/replica.js";
import type { CommitParts, Commits } from "./commits.js";
import { FollowerCommits } from "./follower_commits.js";
import { LeaderCommits } from "./leader_commits.js";
import { StoreDamaged } from "./lmdb/store_error.js";
import type { Transaction } from "./transaction.js";

/** Entries of the outbox in one commit. */
const maxShipped = 256;

/** `single`: it is the only one of its history. `leader`: it alone writes the log. `follower`: it has what the log has. */
export type StoreRole = "single" | "follower" | "leader";

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
        await commits.commit((tx) => tx.importTokenSet(outbox.source, shipped));
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

/**
 * Undefined for a store that is the only one.
 *
 * @throws StoreDamaged when the file is a replica and shall be none, or the other way round
 */
export function openReplication(
  parts: CommitParts,
  path: string,
  options: { readonly replica?: boolean; readonly leavesFleet?: boolean },
): ReplicaCommits | undefined {
  const position = readPosition(parts.databases);
  if (options.replica) {
    if (position) return new ReplicaCommits(parts, position, dirname(path));
    throw new StoreDamaged(
      `the store ${path} is no replica of a fleet: take it into the fleet with \`nexusd fleet init --from\`, or move it away, so that this daemon copies the fleet's`,
    );
  }
  if (position === undefined) return undefined;
  if (options.leavesFleet) {
    eraseLocal(parts.databases);
    return undefined;
  }
  throw new StoreDamaged(
    `the store ${path} is a replica of a fleet: set NEXUS_STORE to the fleet's database, or restore a backup of it to make it a store of its own`,
  );
}
