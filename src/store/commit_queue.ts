import type { Written } from "./announcements.js";
import type { CommitParts, Commits } from "./commits.js";
import type { Transaction } from "./transaction.js";

const nothingWritten: Written = { changes: [], onDurable: [] };

/**
 * The commits of a store that is the only one. LMDB runs one transaction at a time: what is durable is durable with everything
 * before it.
 */
export class CommitQueue implements Commits {
  /** What was written and not announced, in the order of the transactions. */
  readonly #unannounced: Written[] = [];
  readonly #underWay = new Set<Promise<unknown>>();
  #isClosed = false;

  constructor(private readonly parts: CommitParts) {}

  commit<T>(change: (tx: Transaction) => T): Promise<T> {
    const { failure, runner } = this.parts;
    if (failure.error !== undefined) return Promise.reject(failure.error);
    if (this.#isClosed) return Promise.reject(new Error("the store is closed"));
    if (runner.isInside) return Promise.reject(new Error("a commit cannot begin inside another"));
    const commit = this.#commit(change);
    this.#underWay.add(commit);
    const forget = (): void => void this.#underWay.delete(commit);
    commit.then(forget, forget);
    return commit;
  }

  async #commit<T>(change: (tx: Transaction) => T): Promise<T> {
    const { databases, runner, failure, announcements, timing } = this.parts;
    const startedMs = timing?.clock.monotonicMs() ?? 0;
    let written: Written = nothingWritten;
    let thrown: { readonly error: unknown } | undefined;
    let result: T;
    try {
      // `transaction()` would keep what was written before a throw.
      result = await databases.root.childTransaction(() => {
        try {
          // A commit before it in the same batch may have failed its own transaction only.
          if (failure.error !== undefined) throw failure.error;
          const outcome = runner.run(databases, change);
          written = outcome.written;
          this.#unannounced.push(written);
          return outcome.result;
        } catch (error) {
          thrown = { error };
          throw error;
        }
      });
    } catch (error) {
      if (thrown !== undefined && thrown.error === error) throw error;
      throw await failure.fail(error);
    }
    announcements.durable(written.changes);
    timing?.metrics.committed(timing.clock.monotonicMs() - startedMs);
    this.#announceThrough(written);
    return result;
  }

  #announceThrough(written: Written): void {
    const due = this.#unannounced.splice(0, this.#unannounced.indexOf(written) + 1);
    for (const each of due) this.parts.announcements.announce(each);
  }

  async settled(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.allSettled(this.#underWay);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.allSettled(this.#underWay);
  }
}
