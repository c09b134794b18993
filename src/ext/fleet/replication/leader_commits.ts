import { NotLeader, newId } from "../../../model/model.js";
import { ABORT, type CommitParts, type Commits, type Ran, type Transaction } from "../../../store/store.js";
import type { CommitLog, LogBatch } from "./log.js";
import { LogRefused } from "./log_error.js";
import { Recorder } from "./recorder.js";
import type { Replica } from "./replica.js";

/** Commits that share a batch, at most: one that is asked for next waits for two of them, not for all. */
const maxShared = 256;

/** A commit that was asked for. */
interface QueuedCommit {
  readonly change: (tx: Transaction) => unknown;
  readonly startedMs: number;
  readonly resolve: (result: never) => void;
  readonly reject: (error: unknown) => void;
}

type CommitOutcome = { readonly asked: QueuedCommit } & (
  | { readonly ran: Ran<unknown> }
  | { readonly thrown: { readonly error: unknown } }
);

/**
 * The commits of a leader: durable in the log first, then here. Callbacks run in a transaction that is rolled back, so that nobody reads
 * what the log does not have; what they wrote is a batch. One batch is under way at a time, and commits that are asked for meanwhile share
 * the next one. LMDB's write transaction never waits for the log: this thread would read what it holds.
 */
export class LeaderCommits implements Commits {
  readonly #asked: QueuedCommit[] = [];
  readonly #recorder: Recorder;
  #working: Promise<void> | undefined;
  #isClosed = false;

  constructor(private readonly parts: CommitParts & { readonly replica: Replica; readonly log: CommitLog }) {
    this.#recorder = new Recorder(parts.databases);
  }

  commit<T>(change: (tx: Transaction) => T): Promise<T> {
    const { failure, runner, timing } = this.parts;
    if (failure.error !== undefined) return Promise.reject(failure.error);
    if (this.#isClosed) return Promise.reject(new NotLeader());
    if (runner.isInside) return Promise.reject(new Error("a commit cannot begin inside another"));
    return new Promise<T>((resolve, reject) => {
      this.#asked.push({ change, resolve, reject, startedMs: timing?.clock.monotonicMs() ?? 0 });
      this.#working ??= this.#work();
    });
  }

  async settled(): Promise<void> {
    while (this.#working !== undefined) await this.#working;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.settled();
  }

  async #work(): Promise<void> {
    // What is asked for in this turn shares the first batch.
    await Promise.resolve();
    while (this.#asked.length > 0) {
      const asked = this.#asked.splice(0, maxShared);
      try {
        await this.#round(asked);
      } catch (error) {
        const failure = await this.parts.failure.fail(error, messageOf(error));
        for (const { reject } of [...asked, ...this.#asked.splice(0)]) reject(failure);
      }
    }
    this.#working = undefined;
  }

  /** @throws LogRefused, and what the log or LMDB throw: no commit of the round was answered then */
  async #round(asked: readonly QueuedCommit[]): Promise<void> {
    const { replica, log } = this.parts;
    const outcomes = this.#capture(asked);
    const writes = this.#recorder.take();
    if (writes.length === 0) return this.#answer(outcomes);
    const after = replica.position.position;
    const batch: LogBatch = { id: newId(), after, position: after + 1n, writes };
    const verdict = await log.append(batch);
    if (verdict !== "ok") throw new LogRefused(verdict);
    await replica.write([batch]);
    this.#answer(outcomes, batch);
  }

  #capture(asked: readonly QueuedCommit[]): readonly CommitOutcome[] {
    const { databases } = this.parts;
    const outcomes: CommitOutcome[] = [];
    databases.root.transactionSync(() => {
      for (const each of asked) outcomes.push(this.#run(each));
      return ABORT;
    });
    return outcomes;
  }

  /** A callback that throws is rolled back alone. */
  #run(asked: QueuedCommit): CommitOutcome {
    const { databases, runner } = this.parts;
    let ran: Ran<unknown> | undefined;
    try {
      void databases.root.childTransaction(() => {
        ran = runner.run(this.#recorder.databases, asked.change);
      });
    } catch (error) {
      this.#recorder.drop();
      return { asked, thrown: { error } };
    }
    this.#recorder.keep();
    return ran === undefined
      ? { asked, thrown: { error: new Error("the callback did not run") } }
      : { asked, ran };
  }

  /** In the order in which they were asked for: announced, then answered. */
  #answer(outcomes: readonly CommitOutcome[], batch?: LogBatch): void {
    const { announcements, replica, timing } = this.parts;
    for (const outcome of outcomes) {
      if (!("ran" in outcome)) continue;
      announcements.durable(outcome.ran.written.changes);
      announcements.announce(outcome.ran.written);
    }
    if (batch !== undefined) replica.advance(batch);
    for (const outcome of outcomes) {
      const { asked } = outcome;
      timing?.metrics.committed(timing.clock.monotonicMs() - asked.startedMs);
      if ("ran" in outcome) asked.resolve(outcome.ran.result as never);
      else asked.reject(outcome.thrown.error);
    }
  }
}

function messageOf(error: unknown): string {
  return error instanceof LogRefused
    ? "the log of the fleet refused a commit: the store takes no more writes"
    : "a commit could not be made durable: the store takes no more writes";
}
