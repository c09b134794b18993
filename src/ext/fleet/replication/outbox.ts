import { join } from "node:path";
import { newId } from "../../../model/model.js";
import {
  checkStoreFile,
  decodeCount,
  encodeCount,
  markClosed,
  markOpen,
  openRoot,
  openTable,
  type StoreFailure,
  type Table,
} from "../../../store/store.js";
import type { OutboxEntry } from "./outbox_codec.js";

/** Name of the outbox's file in the data folder of a replica. */
export const outboxFileName = "outbox.mdb";

const sourceKey = "source";
const droppedKey = "dropped";
const formerKey = "former";

/** A process that had this file before, and the last sequence that it gave. */
interface FormerSource {
  readonly source: string;
  readonly upto: string;
}

/** Entries of one source, the oldest first. */
export interface Taken {
  /** Identifies the process that put them on record: sequences count for it. */
  readonly source: string;
  readonly entries: OutboxEntry[];
}

/**
 * What a replica has recorded and the leader has not committed yet. It has a file of its own, so a replica that is copied again keeps it,
 * and a record waits for no batch of the log.
 */
export class Outbox {
  /** Called when something was added. */
  onAdded: () => void = () => undefined;
  readonly #path: string;
  readonly #root: ReturnType<typeof openRoot>;
  readonly #entries: Table<Buffer>;
  readonly #meta: Table<string>;
  /** Of what this process puts on record: a copy of the folder, or of the disk, numbers its entries as this one does. */
  readonly #source = newId();
  readonly #former: readonly FormerSource[];
  readonly #underWay = new Set<Promise<unknown>>();
  #last: bigint;
  #isEnded = false;

  /**
   * @param failure called when something could not be made durable
   * @throws StoreDamaged when the file cannot be read
   */
  constructor(
    folder: string,
    private readonly failure: StoreFailure,
  ) {
    const path = join(folder, outboxFileName);
    checkStoreFile(path);
    markOpen(path);
    this.#path = path;
    this.#root = openRoot(path);
    this.#entries = openTable<Buffer>(this.#root, "outbox", true);
    this.#meta = openTable<string>(this.#root, "meta", false);
    this.#last = this.#newest();
    this.#former = this.#formerSources();
    this.#root.transactionSync(() => {
      this.#meta.putSync(sourceKey, Buffer.from(this.#source));
      this.#meta.putSync(formerKey, Buffer.from(JSON.stringify(this.#former)));
    });
  }

  /**
   * Resolves when all of them are durable, which happens together.
   *
   * @param records of `nexus.store.v1.OutboxRecord`
   * @throws StoreFailed; Error after `end`
   */
  async add(records: readonly Uint8Array[]): Promise<void> {
    if (records.length === 0) return;
    const entries = records.map((record) => ({ sequence: ++this.#last, record }));
    await this.#write(() => {
      for (const { sequence, record } of entries) this.#entries.putSync(encodeCount(sequence), record);
    });
    this.onAdded();
  }

  /** The oldest entries. */
  take(limit: number): Taken {
    const first = this.#oldest();
    const former = this.#former.find(({ upto }) => first !== undefined && first <= BigInt(upto));
    const range = { limit, ...(former && { end: encodeCount(BigInt(former.upto) + 1n) }) };
    const entries = Array.from(this.#entries.getRange(range), ({ key, value }) => ({
      sequence: decodeCount(key),
      record: new Uint8Array(value),
    }));
    return { source: former?.source ?? this.#source, entries };
  }

  /** The leader has committed everything up to `upto`. @throws StoreFailed; Error after `end` */
  async drop(upto: bigint): Promise<void> {
    await this.#write(() => {
      const keys = [...this.#entries.getKeys({ end: encodeCount(upto + 1n) })];
      for (const key of keys) this.#entries.removeSync(key);
      // A sequence is never given twice, also after a restart with nothing left.
      if (keys.length > 0) this.#meta.putSync(droppedKey, encodeCount(upto));
    });
  }

  /** Entries that wait. */
  get count(): number {
    const oldest = this.#oldest();
    return oldest === undefined ? 0 : Number(this.#last - oldest + 1n);
  }

  /** Nothing more is added or dropped. */
  end(): void {
    this.#isEnded = true;
  }

  get isSettled(): boolean {
    return this.#underWay.size === 0;
  }

  /** Resolves when no transaction is under way. */
  async settled(): Promise<void> {
    while (!this.isSettled) await Promise.allSettled(this.#underWay);
  }

  /** Waits for what is being added. */
  async close(): Promise<void> {
    this.end();
    await this.settled();
    await this.#root.close();
    if (this.failure.error === undefined) markClosed(this.#path);
  }

  async #write(change: () => void): Promise<void> {
    if (this.#isEnded) throw new Error("the outbox takes nothing more");
    const written = this.#root.childTransaction(change);
    this.#underWay.add(written);
    try {
      await written;
    } catch (error) {
      throw await this.failure.fail(error);
    } finally {
      this.#underWay.delete(written);
    }
  }

  #oldest(): bigint | undefined {
    for (const key of this.#entries.getKeys({ limit: 1 })) return decodeCount(key);
    return undefined;
  }

  /** Those that have entries here: they are sent as theirs, also where a copy of this file sends them too. */
  #formerSources(): FormerSource[] {
    const oldest = this.#oldest();
    const last = this.#meta.getBinary(sourceKey)?.toString("utf8");
    if (oldest === undefined || last === undefined) return [];
    const kept: FormerSource[] = JSON.parse(this.#meta.getBinary(formerKey)?.toString("utf8") ?? "[]");
    const former = kept.filter(({ upto }) => BigInt(upto) >= oldest);
    if (BigInt(former.at(-1)?.upto ?? 0) === this.#last) return former;
    return [...former, { source: last, upto: String(this.#last) }];
  }

  #newest(): bigint {
    const dropped = this.#meta.getBinary(droppedKey);
    const kept = [...this.#entries.getKeys({ reverse: true, limit: 1 })].map((key) => decodeCount(key));
    return kept[0] ?? (dropped === undefined ? 0n : decodeCount(dropped));
  }
}
