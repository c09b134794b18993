import type { SpooledTokenSet, SpoolOutcome } from "../../model/connections/spooled_token_set.js";
import type { Timer } from "../../runtime/clock.js";
import type { Log } from "../../runtime/log.js";
import type { SpoolFile } from "../../store/files/spool_file.js";
import { StoreFailed } from "../../store/lmdb/store_error.js";
import { decodeSpooled, encodeSpooled } from "../../store/records/spool_codec.js";
import type { Store } from "../../store/store.js";
import type { Transaction } from "../../store/transaction.js";
import { type SpoolRecoveryDeps, storeSpooled } from "./spool_recovery.js";

/** Token sets of one request: a few hundred kilobytes at most. */
const maxHandedOver = 100;
/** What is held at two of them is written: after a second at most. */
const roundMs = 500;

/**
 * The last resort of token sets that a provider has issued and the store does not take. While one is not durable it is held here; when
 * the process must end it is written, sealed, to the spool file, and the next start recovers it.
 */
export class TokenSpool {
  readonly #onSpooled: (outcome: SpoolOutcome) => void;
  readonly #held = new Map<string, () => SpooledTokenSet>();
  /** What was held at the last round. */
  #waiting: ReadonlyMap<string, unknown> = new Map();
  /** Held, and in the file as well. */
  readonly #written = new Map<string, () => SpooledTokenSet>();
  #round: Timer | undefined;
  #saving = false;

  constructor(
    private readonly deps: SpoolRecoveryDeps & {
      /** Undefined where none could be opened: what is not durable then dies with the process. */
      readonly file: SpoolFile | undefined;
      readonly store: Store;
      readonly log: Log;
      /** Notified of each token set that `recover` finds. */
      readonly onSpooled?: (outcome: SpoolOutcome) => void;
    },
  ) {
    this.#onSpooled = deps.onSpooled ?? (() => undefined);
  }

  /** Token sets that came and are not durable. */
  get heldCount(): number {
    return this.#held.size;
  }

  /** Keeps the newest token set of a connection until it is durable: to be called before its commit begins. */
  hold(connectionId: string, compose: () => SpooledTokenSet): void {
    this.#held.set(connectionId, compose);
    if (this.#saving) this.save();
    else if (this.deps.store.role === "leader") this.#lookLater();
  }

  /** It is of no use any more. */
  release(connectionId: string): void {
    this.#held.delete(connectionId);
    if (this.#written.delete(connectionId) && this.#written.size === 0 && !this.#saving) this.#clear();
  }

  /** Commits what is held of a connection. When that fails it stays held, for `settle` or the next start. */
  async commit<T>(connectionId: string, change: (tx: Transaction) => T): Promise<T> {
    try {
      const result = await this.deps.store.commit(change);
      this.release(connectionId);
      return result;
    } catch (error) {
      if (!(error instanceof StoreFailed))
        this.deps.log.error({ connectionId, error }, "a new token set is not written yet");
      throw error;
    }
  }

  /**
   * Stores what is held of a connection, whose commit failed: to be called before another request for it. The caller holds the mutex of
   * the connection.
   *
   * @returns what became of it; undefined where nothing is held
   */
  async settle(connectionId: string): Promise<SpoolOutcome | undefined> {
    const compose = this.#held.get(connectionId);
    if (!compose) return undefined;
    const outcome = await this.commit(connectionId, (tx) => storeSpooled(tx, compose(), this.deps));
    this.deps.log.warn({ connectionId, outcome }, "a token set whose commit had failed was looked at again");
    return outcome;
  }

  /**
   * Writes what is held to the file, at once; what is held from now on is written as it comes. One that becomes durable anyway
   * does no harm: the next start finds its revision in the store.
   */
  save(): void {
    this.#saving = true;
    const held = this.#unwritten();
    this.#held.clear();
    if (held.length === 0) return;
    const connectionIds = held.map(([connectionId]) => connectionId);
    try {
      if (this.deps.file === undefined) throw new Error("there is no spool file");
      this.deps.file.append(held.map(([, compose]) => compose()));
      this.deps.log.warn(
        { connectionIds },
        "token sets that are not in the store were put into the spool file",
      );
    } catch (error) {
      this.deps.log.error({ connectionIds, error }, "token sets that are not in the store are lost");
    }
  }

  /**
   * Stores what the last process left, each only against the revision that it was made with, and empties the file. A crash in
   * between is made good by the next start. Before anything else may refresh or answer.
   *
   * @throws StoreFailed when the store still cannot be written: the file keeps what it holds
   */
  async recover(): Promise<void> {
    if (this.deps.file === undefined) return;
    const { entries, damaged } = this.deps.file.read();
    for (const entry of newestOfEach(entries))
      await this.#take(entry, "a token set was found in the spool file");
    if (damaged) this.deps.log.error({}, "the spool file holds what cannot be read: a write was cut off");
    this.#clear();
  }

  #clear(): void {
    try {
      this.deps.file?.clear();
    } catch (error) {
      this.deps.log.error({ error }, "the spool file was not emptied; what it holds is stored already");
    }
  }

  #unwritten(): (readonly [string, () => SpooledTokenSet])[] {
    return [...this.#held].filter(([id, compose]) => this.#written.get(id) !== compose);
  }

  #lookLater(): void {
    this.#round ??= this.deps.clock.setTimer(roundMs, () => {
      this.#round = undefined;
      if (this.#saving) return;
      this.#writeWaiting();
      this.#waiting = new Map(this.#held);
      if (this.#held.size > 0) this.#lookLater();
    });
  }

  /** What waits for the database of a fleet may wait for minutes. Not while the disk is at it: this thread would wait for that, too. */
  #writeWaiting(): void {
    const { file, store, log } = this.deps;
    const waiting = this.#unwritten().filter(([id, compose]) => this.#waiting.get(id) === compose);
    if (file === undefined || waiting.length === 0 || store.isWritingBatches) return;
    const connectionIds = waiting.map(([id]) => id);
    try {
      file.append(waiting.map(([, compose]) => compose()));
      for (const [id, compose] of waiting) this.#written.set(id, compose);
      log.warn({ connectionIds }, "token sets wait for the database: they are in the spool file meanwhile");
    } catch (error) {
      log.error({ connectionIds, error }, "token sets that wait for the database are in memory alone");
    }
  }

  /**
   * Leaves what is held and in no file, and what is in the file, for the hub that leads, and empties it; nothing where there is nothing. A
   * file to which something was added meanwhile is kept whole: the leader knows what it gets again.
   *
   * @param leave takes at most a hundred, and resolves when they are durable; when it rejects, file and memory keep what they hold
   */
  async flushToLeader(leave: (tokenSets: readonly Uint8Array[]) => Promise<void>): Promise<void> {
    await this.#flushHeldToLeader(leave);
    const entries = this.deps.file?.read().entries ?? [];
    const left = newestOfEach(entries);
    for (let from = 0; from < left.length; from += maxHandedOver)
      await leave(left.slice(from, from + maxHandedOver).map(encodeSpooled));
    if (left.length === 0) return;
    const connectionIds = left.map(({ connection }) => connection.id);
    this.deps.log.warn({ connectionIds }, "token sets of the spool file are left for the hub that leads");
    if (this.deps.file?.read().entries.length !== entries.length) return;
    this.deps.file.clear();
    this.#written.clear();
  }

  async #flushHeldToLeader(leave: (tokenSets: readonly Uint8Array[]) => Promise<void>): Promise<void> {
    const held = [...this.#held];
    for (let from = 0; from < held.length; from += maxHandedOver) {
      const some = held.slice(from, from + maxHandedOver);
      await leave(some.map(([, compose]) => encodeSpooled(compose())));
      const connectionIds = some.map(([connectionId]) => connectionId);
      this.deps.log.warn(
        { connectionIds },
        "token sets that are not in the store are left for the hub that leads",
      );
      for (const [connectionId, compose] of some)
        if (this.#held.get(connectionId) === compose) this.#held.delete(connectionId);
    }
  }

  /** Stores a token set that another hub left. @returns what became of it; undefined: this version cannot read it */
  async importTokenSet(tokenSet: Uint8Array): Promise<SpoolOutcome | undefined> {
    let entry: SpooledTokenSet;
    try {
      entry = decodeSpooled(tokenSet);
    } catch (error) {
      this.deps.log.error({ err: error }, "what another hub left is no token set that this version can read");
      return undefined;
    }
    return await this.#take(entry, "took in a token set that another hub left");
  }

  async #take(entry: SpooledTokenSet, message: string): Promise<SpoolOutcome> {
    const outcome = await this.deps.store.commit((tx) => storeSpooled(tx, entry, this.deps));
    this.#onSpooled(outcome);
    this.deps.log.warn({ connectionId: entry.connection.id, outcome }, message);
    return outcome;
  }
}

/** What was written while it waited may have been replaced. */
function newestOfEach(entries: readonly SpooledTokenSet[]): readonly SpooledTokenSet[] {
  return [...new Map(entries.map((entry) => [entry.connection.id, entry])).values()];
}
