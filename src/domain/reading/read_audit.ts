import { by } from "../../model/access/audit_event.js";
import type { Principal } from "../../model/access/principal.js";
import { NexusError, NotLeader, Unavailable } from "../../model/errors.js";
import type { Use } from "../../model/tracing.js";
import { BoundedMap } from "../../runtime/bounded_map.js";
import type { Clock } from "../../runtime/clock.js";
import type { Log } from "../../runtime/log.js";
import type { Recording } from "../../store/recording.js";
import type { Store } from "../../store/store.js";
import type { Transaction } from "../../store/transaction.js";
import { CountedAudit } from "../access/access.js";

/** Readers and connections remembered: some 12 MiB at most. One that is forgotten is recorded again, never less. */
const maxEntries = 50_000;

/** What one reader has read of one connection. */
interface ReadEntry {
  readonly principal: Principal;
  readonly connectionId: string;
  /** The target of a downscoped token; undefined of the connection's own. */
  readonly reason: string | undefined;
  /** With the trace of the last read. */
  use: Use;
  revision: bigint;
  /** Set until the first read of `revision` is durable. */
  recorded: Promise<void> | undefined;
  /** Reads of `revision` after the first that no event reports yet; -1 while the first is announced and has not happened. */
  reads: number;
}

/** A read whose caller the rules have admitted. */
interface AdmittedRead extends Pick<ReadEntry, "principal" | "connectionId"> {
  readonly use: Use | undefined;
  readonly reason?: string;
}

/** The first read of a revision, and whose count is written with it. */
interface First {
  readonly key: string;
  readonly entry: ReadEntry;
  readonly forgotten: ReadEntry | undefined;
}

interface Batch {
  readonly firsts: First[];
  /** Forgotten with reads that no event reports. */
  readonly counts: ReadEntry[];
  /** When all of them are durable. */
  readonly recorded: Promise<void>;
}

export interface ReadAuditDeps {
  readonly store: Pick<Store, "record">;
  readonly clock: Clock;
  readonly log: Log;
  /** 50 000 by default. */
  readonly maxEntries?: number;
}

/**
 * Who read which token. The first read of a revision by a reader (a principal at an address) is a `token_retrieved` event, durable before
 * the token leaves. That of a watcher is in the commit of the revision itself. Later reads of the same revision are counted in memory. A
 * count is written as `token_reads_counted` with the first read of the next revision, when its reader is forgotten, and at shutdown.
 *
 * A crash loses counts since then, never the fact that a revision was read. After a restart the first read is recorded again.
 */
export class ReadAudit {
  readonly #entries: BoundedMap<string, ReadEntry>;
  readonly #refusals: CountedAudit;
  #batch: Batch | undefined;

  constructor(private readonly deps: ReadAuditDeps) {
    const maxKinds = deps.maxEntries ?? maxEntries;
    this.#entries = new BoundedMap(maxKinds);
    this.#refusals = new CountedAudit({ ...deps, maxKinds });
  }

  get size(): number {
    return this.#entries.size;
  }

  /**
   * Puts a read on record, before the token leaves. The first reads of one turn share a commit.
   *
   * @param times how often it is read at this moment
   * @param use what it is read under; another rule, rule in shadow, approver, or session makes another reader
   * @param reason the target of a downscoped token: it is another token than the connection's own, and one for each caller of a caller
   * @returns undefined if that read was not the first. Else a promise that resolves when it is durable, and rejects with Unavailable if it
   * cannot be written: then the token must not leave.
   */
  read(
    principal: Principal,
    connectionId: string,
    revision: bigint,
    times: number = 1,
    use: Use = {},
    reason?: string,
  ): Promise<void> | undefined {
    const suffix = reason === undefined ? "" : ` ${JSON.stringify([reason, principal.onBehalfOf?.name])}`;
    const key = keyOf(principal, connectionId, use) + suffix;
    const before = this.#entries.get(key);
    if (before?.revision === revision) {
      before.reads += times;
      if (before.recorded === undefined) before.use = use;
      return before.recorded;
    }
    return this.#first(key, before, { principal, connectionId, reason, use, revision, reads: times - 1 });
  }

  /**
   * Begins to put a read on record that will be made at once.
   *
   * @returns as `read`: undefined when it is on record already
   */
  announce(principal: Principal, connectionId: string, revision: bigint): Promise<void> | undefined {
    const key = keyOf(principal, connectionId);
    const before = this.#entries.get(key);
    if (before?.revision === revision) return before.recorded;
    const read = { principal, connectionId, reason: undefined, use: {}, revision };
    return this.#first(key, before, { ...read, reads: -1 });
  }

  /**
   * Puts reads that follow as soon as a revision is durable on record in the transaction that writes it: once that is durable, `announce`
   * finds them there. A reader that leaves between has an event and no token.
   */
  recordWithin(tx: Transaction, readers: Iterable<Principal>, connectionId: string, revision: bigint): void {
    const keys = new Map<string, Principal>();
    for (const principal of readers) keys.set(keyOf(principal, connectionId), principal);
    for (const [key, principal] of keys) {
      const before = this.#entries.get(key);
      if (before?.revision === revision) continue;
      const read = { principal, connectionId, reason: undefined, use: {}, revision };
      const entry: ReadEntry = { ...read, reads: -1, recorded: undefined };
      const counted = Math.max(0, before?.reads ?? 0);
      this.#append(tx, { key, entry, forgotten: before });
      tx.whenDurable(() => {
        if (before) before.reads -= counted;
        this.#recordedWithin(key, entry);
      });
    }
  }

  #recordedWithin(key: string, entry: ReadEntry): void {
    const before = this.#entries.get(key);
    // Read in the instant since the store showed it, which has its own record.
    if (before?.revision === entry.revision) return;
    const forgotten = this.#entries.set(key, entry) ?? before;
    // Read again while the revision behind it became durable, or the one that makes room.
    if (forgotten && forgotten.reads > 0) this.#nextBatch().counts.push(forgotten);
  }

  /**
   * The token that `obtain` brings, when its read is on record.
   *
   * @throws what `obtain` throws, when that is on record; Unavailable when the read cannot be recorded
   */
  async obtained<T extends { readonly revision: bigint }>(
    { principal, connectionId, use = {}, reason }: AdmittedRead,
    obtain: () => Promise<T>,
  ): Promise<T> {
    let token: T;
    try {
      token = await obtain();
    } catch (error) {
      await this.refused(principal, connectionId, error);
      throw error instanceof NotLeader ? new NotLeader(error.waitedFor, use) : error;
    }
    await this.read(principal, connectionId, token.revision, 1, use, reason);
    return token;
  }

  /** Records that a token was refused. Never rejects: the caller gets the refusal either way. */
  async refused(principal: Principal, connectionId: string, error: unknown): Promise<void> {
    // Reads that the leader answers then are on record there.
    if (!(error instanceof NexusError) || error instanceof NotLeader) return;
    const reason = "reason" in error && typeof error.reason === "string" ? error.reason : error.kind;
    // A caller can make up ids without end, so those that are not found share one entry.
    const { use } = error;
    const key = `${principal.name} ${error.kind === "not_found" ? "" : connectionId} ${reason} ${use?.rule}`;
    await this.#refusals.record(key, (tx) => ({
      type: "token_retrieval_failed",
      ...by(principal),
      connectionId,
      ...ownersOf(tx, connectionId),
      ...use,
      reason: reason.toLowerCase(),
    }));
  }

  /** Writes every count. */
  async flush(): Promise<void> {
    await this.#refusals.flush();
    const counts = [...this.#entries.values()]
      .map((entry) => ({ entry, reads: entry.reads }))
      .filter(({ reads }) => reads > 0);
    if (counts.length === 0) return;
    await this.deps.store.record((tx) => {
      for (const { entry, reads } of counts) this.#appendCount(tx, entry, reads);
    });
    for (const { entry, reads } of counts) entry.reads -= reads;
  }

  #first(key: string, before: ReadEntry | undefined, read: Omit<ReadEntry, "recorded">): Promise<void> {
    const entry: ReadEntry = { ...read, recorded: undefined };
    const forgotten = this.#entries.set(key, entry) ?? before;
    const { firsts, recorded } = this.#nextBatch();
    firsts.push({ key, entry, forgotten });
    entry.recorded = recorded;
    return recorded;
  }

  #nextBatch(): Batch {
    this.#batch ??= this.#openBatch();
    return this.#batch;
  }

  /** What is read first in this turn goes into one commit. */
  #openBatch(): Batch {
    const firsts: First[] = [];
    const counts: ReadEntry[] = [];
    const recorded = Promise.resolve()
      .then(() => {
        this.#batch = undefined;
        return this.deps.store.record((tx) => {
          for (const first of firsts) this.#append(tx, first);
          for (const entry of counts) this.#appendCount(tx, entry, entry.reads);
        });
      })
      .then(
        () => {
          for (const { entry } of firsts) entry.recorded = undefined;
        },
        (error: unknown) => {
          for (const { key, entry } of firsts) {
            if (this.#entries.get(key) === entry) this.#entries.delete(key);
          }
          throw new Unavailable("the read of the token cannot be recorded", undefined, error);
        },
      );
    // No caller waits for an announced read yet.
    recorded.catch(() => undefined);
    return { firsts, counts, recorded };
  }

  #append(tx: Recording, { entry, forgotten }: First): void {
    if (forgotten && forgotten.reads > 0) this.#appendCount(tx, forgotten, forgotten.reads);
    tx.appendAudit({ type: "token_retrieved", ...this.#readOf(tx, entry) });
  }

  #appendCount(tx: Recording, entry: ReadEntry, count: number): void {
    tx.appendAudit({ type: "token_reads_counted", ...this.#readOf(tx, entry), count });
  }

  #readOf(tx: Recording, { principal, connectionId, use, reason, revision }: ReadEntry) {
    const own = { timeMs: this.deps.clock.nowMs(), ...by(principal), connectionId, revision, reason };
    return { ...own, ...ownersOf(tx, connectionId), ...use };
  }
}

function keyOf(
  principal: Principal,
  connectionId: string,
  { rule = "", shadow = "", approver = "", session = "" }: Use = {},
): string {
  const reader = `${readerOf(principal)} ${connectionId}`;
  const used = [rule, shadow, approver, session];
  return rule + shadow + session === "" ? reader : `${reader} ${JSON.stringify(used)}`;
}

/** Who counts as one reader: a principal at an address. */
export function readerOf({ name, origin }: Principal): string {
  return `${name} ${hostOf(origin)}`;
}

function ownersOf(tx: Recording, connectionId: string) {
  const { providerId, userId } = tx.getConnection(connectionId) ?? {};
  return { providerId, userId };
}

/**
 * The address without its port, which differs between the connections of one caller, and without the name it says that it calls for. A
 * caller that names somebody else each time would write an event each time.
 */
function hostOf(origin: string | undefined): string {
  if (origin === undefined) return "";
  const [address = ""] = origin.split(" for ", 1);
  return /^(\[.*\]|[^:]*):\d+$/.exec(address)?.[1] ?? address;
}
