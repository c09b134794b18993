/** What a store that is one of many shares with the others: raw writes in batches, in one order. Types only. */

/**
 * One write as LMDB gets it.
 *
 * `database` is the LMDB name, `key` the bytes on disk; `value` undefined: the entry is removed. Of each (database, key) a batch holds the
 * last write only.
 */
export interface RawWrite {
  readonly database: string;
  readonly key: Uint8Array;
  readonly value: Uint8Array | undefined;
}

/** What one round trip makes durable. */
export interface LogBatch {
  /** UUID; the same when the batch is asked for again. */
  readonly id: string;
  /** Position of the batch before it; 0 for the first. */
  readonly after: bigint;
  /** `after` + 1. */
  readonly position: bigint;
  readonly writes: readonly RawWrite[];
}

/**
 * What the log says to a batch.
 *
 * - `ok`: it is durable; asked again, it still is.
 * - `fenced`: another process leads.
 * - `epoch`: the log started again.
 * - `diverged`: the log holds another batch at this position, or ends before it.
 */
export type AppendVerdict = "ok" | "fenced" | "epoch" | "diverged";

/** Where a leader's commits become durable before they do here. */
export interface CommitLog {
  /** Waits through outages; the batch is asked for again until there is a verdict. Rejects only when the log is closed. */
  append(batch: LogBatch): Promise<AppendVerdict>;
}

/** What a replica has of the log: its newest batch. Kept in the transaction of the writes, and never replicated itself. */
export interface ReplicaPosition {
  readonly position: bigint;
  readonly batchId: string;
}
