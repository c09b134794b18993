import type { Clock } from "../runtime/clock.js";
import type { Announcements, Written } from "./announcements.js";
import type { AuditRetention } from "./audit/audit_log.js";
import type { Databases } from "./lmdb/databases.js";
import type { StoreFailure } from "./lmdb/store_failure.js";
import { Transaction, type WriteObserver } from "./transaction.js";

/** Notified how long each commit took to become durable. */
export interface CommitTiming {
  readonly clock: Pick<Clock, "monotonicMs">;
  readonly metrics: { committed(durationMs: number): void };
}

/** The one way to write, for as long as the store has one role. */
export interface Commits {
  /** See `Store.commit`. */
  commit<T>(change: (tx: Transaction) => T): Promise<T>;
  /** Resolves when no commit is under way. */
  settled(): Promise<void>;
  /** Takes no more, and waits for those under way. */
  close(): Promise<void>;
}

/** What every kind of commits is made of. */
export interface CommitParts {
  readonly databases: Databases;
  readonly runner: ChangeRunner;
  readonly announcements: Announcements;
  readonly failure: StoreFailure;
  readonly timing: CommitTiming | undefined;
}

/** What the callback of a commit returned, and what it wrote. */
export interface Ran<T> {
  readonly result: T;
  readonly written: Written;
}

/** Runs the callbacks of commits, one at a time. */
export class ChangeRunner {
  readonly observers: WriteObserver[] = [];
  #isInside = false;

  constructor(private readonly retention: AuditRetention) {}

  /** Whether a callback runs now. */
  get isInside(): boolean {
    return this.#isInside;
  }

  /** @throws TypeError when `change` is not synchronous; whatever it throws */
  run<T>(databases: Databases, change: (tx: Transaction) => T): Ran<T> {
    const tx = new Transaction(databases, this.retention, this.observers);
    this.#isInside = true;
    try {
      const result = change(tx);
      if (isThenable(result)) throw new TypeError("the callback of a commit must be synchronous");
      return { result, written: tx.end() };
    } finally {
      tx.end();
      this.#isInside = false;
    }
  }
}

function isThenable(value: unknown): boolean {
  return typeof value === "object" && value !== null && "then" in value;
}
