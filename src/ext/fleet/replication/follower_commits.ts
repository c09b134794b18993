import { NotLeader } from "../../../model/model.js";
import type { CommitParts, Commits } from "../../../store/store.js";
import { type Applied, appliedOf } from "./applied.js";
import type { LogBatch } from "./log.js";
import { LogDiverged } from "./log_error.js";
import type { Replica } from "./replica.js";

/** A follower's commits are refused: what it has comes from the log. */
export class FollowerCommits implements Commits {
  /** Batches are applied one call after the other. */
  #last: Promise<unknown> = Promise.resolve();
  #isClosed = false;

  constructor(
    private readonly parts: CommitParts & {
      readonly replica: Replica;
      /** Notified of what a batch wrote beside connections, before those. */
      readonly onApplied: (applied: Applied) => void;
    },
  ) {}

  commit<T>(): Promise<T> {
    return Promise.reject(this.parts.failure.error ?? new NotLeader());
  }

  /** See `Store.apply`. */
  apply(batches: readonly LogBatch[]): Promise<void> {
    if (this.#isClosed) return Promise.reject(new Error("the store follows no more"));
    const applied = this.#last.then(() => this.#apply(batches));
    this.#last = applied.catch(() => undefined);
    return applied;
  }

  async #apply(batches: readonly LogBatch[]): Promise<void> {
    const { replica, failure, announcements } = this.parts;
    if (failure.error !== undefined) throw failure.error;
    const fresh = replica.newOf(batches);
    const last = fresh.at(-1);
    if (last === undefined) return;
    try {
      await replica.write(fresh);
    } catch (error) {
      if (error instanceof LogDiverged) throw error;
      throw await failure.fail(error);
    }
    const applied = appliedOf(this.parts.databases, fresh);
    announcements.durable(applied.changes);
    this.parts.onApplied(applied);
    announcements.announce({ changes: applied.changes, onDurable: [] });
    replica.advance(last);
  }

  async settled(): Promise<void> {
    await this.#last;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#last;
  }
}
