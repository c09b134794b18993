import type { Connection } from "../../model/connections/connection.js";
import { type Databases, decodeCount, encodeCount, nothing } from "../lmdb/databases.js";
import { type CommittedChange, encodeChange } from "../records/log_codec.js";
import { addToNumber, readNumber, writeNumber } from "./numbers.js";

/** Removals are remembered this long, so that a watcher that was away learns of them. */
export const maxTombstones = 10_000n;

/** Revision of the newest change: its entry is never removed, only replaced by a newer one. */
export function lastRevision(databases: Databases): bigint {
  for (const key of databases.changes.getKeys({ reverse: true, limit: 1 })) return decodeCount(key);
  return 0n;
}

/** Writes the changes of one transaction, at most one entry per connection in the store, its newest. */
export class ChangeLog {
  readonly #newest = new Map<string, CommittedChange>();
  #lastRevision: bigint | undefined;

  constructor(private readonly databases: Databases) {}

  /** What this transaction changed, each connection once, in the order of the revisions. */
  get changes(): readonly CommittedChange[] {
    return [...this.#newest.values()];
  }

  /**
   * @param previousRevision of the same connection, 0 when it is new
   * @returns the revision of this change
   */
  record(
    { id: connectionId, userId, providerId, label, dueAtMs }: Connection,
    removed: boolean,
    previousRevision: bigint,
  ): bigint {
    this.#lastRevision ??= lastRevision(this.databases);
    const revision = ++this.#lastRevision;
    const due = removed ? undefined : dueAtMs;
    const owner = { userId, providerId, label };
    const change: CommittedChange = { revision, connectionId, removed, ...owner, dueAtMs: due };
    const { changes, tombstones } = this.databases;
    if (previousRevision > 0n) changes.removeSync(encodeCount(previousRevision));
    changes.putSync(encodeCount(revision), encodeChange(change));
    if (removed) {
      tombstones.putSync(encodeCount(revision), nothing);
      addToNumber(this.databases, ["tombstones"], 1n);
      this.#pruneTombstones();
    }
    // Deleted first, so that the map stays in the order of the revisions.
    this.#newest.delete(connectionId);
    this.#newest.set(connectionId, change);
    return revision;
  }

  #pruneTombstones(): void {
    const { changes, tombstones } = this.databases;
    const excess = readNumber(this.databases, ["tombstones"]) - maxTombstones;
    if (excess <= 0n) return;
    const pruned = [...tombstones.getKeys({ limit: Number(excess) })];
    for (const key of pruned) {
      tombstones.removeSync(key);
      changes.removeSync(key);
      writeNumber(this.databases, ["floor"], decodeCount(key));
    }
    addToNumber(this.databases, ["tombstones"], -BigInt(pruned.length));
  }
}
