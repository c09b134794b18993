import type { CommitParts, Commits } from "./commits.js";
import { FollowerCommits } from "./follower_commits.js";
import { LeaderCommits } from "./leader_commits.js";
import { StoreDamaged } from "./lmdb/store_error.js";
import type { Applied } from "./replication/applied.js";
import type { CommitLog, LogBatch, ReplicaPosition } from "./replication/log.js";
import { eraseLocal, Replica, readPosition } from "./replication/replica.js";
import type { Transaction } from "./transaction.js";

/** `single`: it is the only one of its history. `leader`: it alone writes the log. `follower`: it has what the log has. */
export type StoreRole = "single" | "follower" | "leader";

/** The commits of a store that is one of many: a follower's, until it leads. */
export class ReplicaCommits implements Commits {
  readonly replica: Replica;
  onApplied: (applied: Applied) => void = () => undefined;
  #commits: FollowerCommits | LeaderCommits;

  constructor(
    private readonly parts: CommitParts,
    position: ReplicaPosition,
  ) {
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
  }

  /** Waits for the commits under way. */
  async follow(): Promise<void> {
    const commits = this.#commits;
    if (!(commits instanceof LeaderCommits)) return;
    await commits.close();
    this.#commits = this.#follower();
  }

  commit<T>(change: (tx: Transaction) => T): Promise<T> {
    return this.#commits.commit(change);
  }

  async apply(batches: readonly LogBatch[]): Promise<void> {
    if (!(this.#commits instanceof FollowerCommits))
      throw new Error("only a follower takes what the log has");
    await this.#commits.apply(batches);
  }

  settled(): Promise<void> {
    return this.#commits.settled();
  }

  close(): Promise<void> {
    return this.#commits.close();
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
    if (position) return new ReplicaCommits(parts, position);
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
