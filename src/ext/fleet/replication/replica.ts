import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { ReplicaRecordSchema } from "../../../gen/nexus/store/v1/replication_pb.js";
import { type Databases, openRawTables, replicaKey, StoreDamaged, type Table } from "../../../store/store.js";
import type { LogBatch, RawWrite, ReplicaPosition } from "./log.js";
import { LogDiverged } from "./log_error.js";

const positionKeyBytes = Buffer.from(replicaKey);

/** @throws StoreDamaged when the file is no replica */
export function replicaPositionOf({ meta }: Databases, path: string): ReplicaPosition {
  const bytes = meta.getBinary(replicaKey);
  if (bytes === undefined)
    throw new StoreDamaged(
      `the store ${path} is no replica of a fleet: take it into the fleet with \`nexusd fleet init --from\`, or move it away, so that this daemon copies the fleet's`,
    );
  const { position, batchId } = fromBinary(ReplicaRecordSchema, bytes);
  return { position, batchId };
}

/** Inside a transaction. */
export function writePosition({ meta }: Databases, at: ReplicaPosition): void {
  const { position, batchId } = at;
  meta.putSync(replicaKey, toBinary(ReplicaRecordSchema, create(ReplicaRecordSchema, { position, batchId })));
}

/** Whether a replica has the entry for itself: it is not copied, and no batch writes it. */
export function isLocal({ database, key }: RawWrite): boolean {
  return database === "meta" && positionKeyBytes.equals(key);
}

interface Waiter {
  readonly position: bigint;
  readonly reached: () => void;
}

/** What this store has of the log, and the one way in which batches get into it. */
export class Replica {
  readonly raw: ReadonlyMap<string, Table<Buffer>>;
  readonly #waiters = new Set<Waiter>();
  #position: ReplicaPosition;
  #isWriting = false;

  constructor(
    private readonly databases: Databases,
    position: ReplicaPosition,
  ) {
    this.#position = position;
    this.raw = openRawTables(databases);
  }

  /** Of the newest batch that is durable here and was announced. */
  get position(): ReplicaPosition {
    return this.#position;
  }

  /** Whether batches are on their way to this disk. */
  get isWriting(): boolean {
    return this.#isWriting;
  }

  /**
   * The batches that are not here yet.
   *
   * @throws LogDiverged when the first of them does not follow what is here, or the newest one here is another one in the log
   */
  newOf(batches: readonly LogBatch[]): readonly LogBatch[] {
    let { position, batchId } = this.#position;
    const same = batches.find((batch) => batch.position === position);
    if (same !== undefined && same.id !== batchId) throw diverged(this.#position, same);
    const fresh = batches.filter((batch) => batch.position > position);
    for (const batch of fresh) {
      if (batch.after !== position || batch.position !== position + 1n)
        throw diverged({ position, batchId }, batch);
      ({ position, id: batchId } = batch);
    }
    return fresh;
  }

  /** Makes batches that follow each other durable here, in one transaction with their position. */
  async write(batches: readonly LogBatch[]): Promise<void> {
    const last = batches.at(-1);
    if (last === undefined) return;
    this.#isWriting = true;
    try {
      await this.databases.root.childTransaction(() => {
        for (const { writes } of batches) putRaw(this.raw, writes);
        writePosition(this.databases, { position: last.position, batchId: last.id });
      });
    } finally {
      this.#isWriting = false;
    }
  }

  /** The batches up to this one were announced. */
  advance({ position, id: batchId }: LogBatch): void {
    this.#position = { position, batchId };
    for (const waiter of this.#waiters) if (waiter.position <= position) waiter.reached();
  }

  /** Resolves when the batch of this position is here. @throws the reason of `signal` */
  async waitFor(position: bigint, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    if (this.#position.position >= position) return;
    await new Promise<void>((resolve, reject) => {
      const end = (): void => {
        this.#waiters.delete(waiter);
        signal?.removeEventListener("abort", aborted);
      };
      const aborted = (): void => {
        end();
        reject(signal?.reason);
      };
      const waiter: Waiter = {
        position,
        reached: () => {
          end();
          resolve();
        },
      };
      this.#waiters.add(waiter);
      signal?.addEventListener("abort", aborted);
    });
  }
}

/** Inside a transaction. @throws LogDiverged on a database that this version does not have */
export function putRaw(raw: ReadonlyMap<string, Table<Buffer>>, writes: readonly RawWrite[]): void {
  for (const write of writes) {
    const table = raw.get(write.database);
    if (table === undefined) {
      throw new LogDiverged(
        `the log writes the database "${write.database}", which this nexusd does not have: start the version that wrote it`,
      );
    }
    if (isLocal(write)) continue;
    const key = Buffer.from(write.key);
    if (write.value === undefined) table.removeSync(key);
    else table.putSync(key, write.value);
  }
}

function diverged(here: ReplicaPosition, batch: LogBatch): LogDiverged {
  return new LogDiverged(
    `batch ${batch.id} at position ${batch.position} follows ${batch.after}, and this replica has batch ${here.batchId} at position ${here.position}: it must be copied again`,
  );
}
