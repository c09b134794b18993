import { decodeWrites, encodeWrites } from "../../../src/ext/fleet/replication/batch_codec.js";
import type { AppendVerdict, CommitLog, LogBatch } from "../../../src/ext/fleet/replication/log.js";
import { decodeCount } from "../../../src/store/lmdb/databases.js";

/** A log in memory with the rules of the one in PostgreSQL: append only, in one order, idempotent by the id of a batch. */
export class MemoryLog implements CommitLog {
  /** What is appended, as the database would have it. */
  readonly #rows: { readonly id: string; readonly position: bigint; readonly writes: Uint8Array }[] = [];
  /** What the next batches are told instead of the truth. */
  readonly verdicts: AppendVerdict[] = [];
  /** The newest revision of a change that the log has. */
  revision = 0n;
  /** Batches that were asked for; appended or not. */
  asked = 0;
  #held: Promise<void> | undefined;
  #release: () => void = () => undefined;
  #onAsked: () => void = () => undefined;

  async append(batch: LogBatch): Promise<AppendVerdict> {
    this.asked++;
    this.#onAsked();
    await this.#held;
    const verdict = this.verdicts.shift();
    if (verdict !== undefined) return verdict;
    const last = this.#rows.at(-1);
    if (last?.id === batch.id) return "ok";
    if ((last?.position ?? 0n) !== batch.after) return "diverged";
    for (const { database, key, value } of batch.writes) {
      if (database !== "changes" || value === undefined) continue;
      const revision = decodeCount(key);
      if (revision > this.revision) this.revision = revision;
    }
    this.#rows.push({ id: batch.id, position: batch.position, writes: encodeWrites(batch.writes) });
    return "ok";
  }

  get position(): bigint {
    return this.#rows.at(-1)?.position ?? 0n;
  }

  /** The batches after a position, as they come back from the database. */
  after(position: bigint): LogBatch[] {
    return this.#rows
      .filter((row) => row.position > position)
      .map((row) => ({
        id: row.id,
        after: row.position - 1n,
        position: row.position,
        writes: decodeWrites(row.writes),
      }));
  }

  /** Nobody gets an answer until `release`. */
  hold(): void {
    this.#held = new Promise((resolve) => {
      this.#release = resolve;
    });
  }

  release(): void {
    this.#held = undefined;
    this.#release();
  }

  /** Resolves when the next batch is asked for. */
  nextAsked(): Promise<void> {
    return new Promise((resolve) => {
      this.#onAsked = resolve;
    });
  }
}
