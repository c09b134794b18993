import { channel } from "node:diagnostics_channel";
import type { AuditRetention } from "./audit_log.js";
import type { Databases } from "./lmdb/databases.js";
import { StoreFailed } from "./lmdb/store_error.js";
import type { CommittedChange } from "./records/log_codec.js";
import { Transaction, type WriteObserver } from "./transaction.js";

/** Told of each commit when it is durable, before anybody else is: how many connections it changed. For whoever measures. */
const committed = channel("nexus.store.committed");

/**
 * lmdb rejects with a promise of the true cause beside the error; left alone, that promise ends the process.
 */
async function trueCause(error: unknown): Promise<unknown> {
  if (!(error instanceof Error && "commitError" in error && error.commitError instanceof Promise))
    return error;
  const detail: Promise<unknown> = error.commitError.then(
    () => error,
    (cause: unknown) => cause,
  );
  const nextTurn = new Promise<unknown>((resolve) => setImmediate(() => resolve(error)));
  return await Promise.race([detail, nextTurn]);
}

function isThenable(value: unknown): boolean {
  return typeof value === "object" && value !== null && "then" in value;
}

/** Told how long each commit took to become durable. */
export interface CommitTiming {
  /** Milliseconds of a clock that never jumps. */
  monotonicMs(): number;
  committed(durationMs: number): void;
}

/**
 * The one way to write. LMDB runs one transaction at a time: what is durable is durable with everything
 * before it.
 */
export class CommitQueue {
  listener: ((changes: readonly CommittedChange[]) => void) | undefined;
  observer: WriteObserver | undefined;
  /** Changes that were written and not announced, in the order of the transactions. */
  readonly #unannounced: (readonly CommittedChange[])[] = [];
  readonly #underWay = new Set<Promise<unknown>>();
  #settledRevision: bigint;
  #failure: StoreFailed | undefined;
  #failed: Promise<StoreFailed> | undefined;
  #closing: Promise<void> | undefined;
  #insideChange = false;

  constructor(
    private readonly databases: Databases,
    revision: bigint,
    private readonly retention: AuditRetention,
    private readonly onFatal: ((error: unknown) => void) | undefined,
    private readonly timing?: CommitTiming,
  ) {
    this.#settledRevision = revision;
  }

  get settledRevision(): bigint {
    return this.#settledRevision;
  }

  /** Whether a commit could not be made durable. */
  get isFailed(): boolean {
    return this.#failure !== undefined;
  }

  commit<T>(change: (tx: Transaction) => T): Promise<T> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (this.#closing !== undefined) return Promise.reject(new Error("the store is closed"));
    if (this.#insideChange) return Promise.reject(new Error("a commit cannot begin inside another"));
    const commit = this.#commit(change);
    this.#underWay.add(commit);
    const forget = (): void => void this.#underWay.delete(commit);
    commit.then(forget, forget);
    return commit;
  }

  async #commit<T>(change: (tx: Transaction) => T): Promise<T> {
    const { timing } = this;
    const startedMs = timing?.monotonicMs() ?? 0;
    let written: readonly CommittedChange[] = [];
    let thrown: { readonly error: unknown } | undefined;
    let result: T;
    try {
      // `transaction()` would keep what was written before a throw.
      result = await this.databases.root.childTransaction(() => {
        try {
          const outcome = this.#run(change);
          written = outcome.changes;
          this.#unannounced.push(written);
          return outcome.result;
        } catch (error) {
          thrown = { error };
          throw error;
        }
      });
    } catch (error) {
      if (thrown !== undefined && thrown.error === error) throw error;
      throw await this.#fail(error);
    }
    if (committed.hasSubscribers) committed.publish({ changes: written.length });
    timing?.committed(timing.monotonicMs() - startedMs);
    this.#announceThrough(written);
    return result;
  }

  #run<T>(change: (tx: Transaction) => T): { result: T; changes: readonly CommittedChange[] } {
    // A commit before it in the same batch may have failed its own transaction only.
    if (this.#failure !== undefined) throw this.#failure;
    const tx = new Transaction(this.databases, this.retention, this.observer);
    this.#insideChange = true;
    try {
      const result = change(tx);
      if (isThenable(result)) throw new TypeError("the callback of a commit must be synchronous");
      return { result, changes: tx.end() };
    } finally {
      tx.end();
      this.#insideChange = false;
    }
  }

  #announceThrough(written: readonly CommittedChange[]): void {
    const due = this.#unannounced.splice(0, this.#unannounced.indexOf(written) + 1);
    for (const changes of due) {
      const last = changes.at(-1);
      if (last === undefined) continue;
      this.#announce(changes);
      this.#settledRevision = last.revision;
    }
  }

  /** The commit is done whatever its listener does: what that throws is uncaught. */
  #announce(changes: readonly CommittedChange[]): void {
    try {
      this.listener?.(changes);
    } catch (error) {
      queueMicrotask(() => {
        throw error;
      });
    }
  }

  /** The first failure is the one that every later commit gets. */
  #fail(error: unknown): Promise<StoreFailed> {
    const cause = trueCause(error);
    const failure = new StoreFailed("a commit could not be made durable: the store takes no more writes");
    this.#failure ??= failure;
    this.#failed ??= cause.then((known) => {
      failure.cause = known;
      this.onFatal?.(failure);
      return failure;
    });
    return this.#failed;
  }

  async settled(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.allSettled(this.#underWay);
  }

  close(): Promise<void> {
    this.#closing ??= Promise.allSettled(this.#underWay).then(() => this.databases.root.close());
    return this.#closing;
  }
}
