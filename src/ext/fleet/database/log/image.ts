import { delay, type Log } from "../../../../runtime/runtime.js";
import type { RawWrite } from "../../replication/log.js";
import type { Channel } from "../connection/channel.js";
import { type Query, readBatches } from "./batches.js";
import { encodeArray } from "./frames.js";

/** How far the image may stay behind: a first copy reads the batches since. */
const roundMs = 1_000;
const upkeepMs = 60_000;
/** A statement takes so many entries, or so many bytes of them. */
const foldEntries = 2_000;
const foldBytes = 4 * 1024 * 1024;
const foldDeadlineMs = 30_000;

export interface ImageOptions {
  readonly channel: Channel;
  readonly owner: string;
  readonly fence: bigint;
  readonly log: Log;
  /** How long a batch is kept in the log, and how many are at least. Default: an hour, 1 000. */
  readonly keep?: { readonly ms: number; readonly batches: number };
}

type FoldAnswer = "ok" | "fenced" | "moved";

/**
 * Keeps the image of all writes a second behind the log, so that a commit itself writes one row alone; and drops old batches. The leader
 * runs it. Its work is the same whichever hub does it, and the image moves under a lock: a former leader cannot harm it.
 */
export class ImageKeeper {
  readonly #keep: { readonly ms: number; readonly batches: number };

  constructor(private readonly options: ImageOptions) {
    this.#keep = options.keep ?? { ms: 3_600_000, batches: 1_000 };
  }

  /** Until `signal` aborts, or another process leads. It waits through outages. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.options.channel;
    let upkeepAtMs = clock.monotonicMs() + upkeepMs;
    while (!signal.aborted) {
      try {
        const answer = await this.fold();
        if (answer === "fenced") return;
        if (clock.monotonicMs() >= upkeepAtMs) {
          await this.upkeep();
          upkeepAtMs = clock.monotonicMs() + upkeepMs;
        }
      } catch (error) {
        this.options.log.warn({ error }, "the fleet's image could not be moved on; it is tried again");
      }
      await delay(clock, roundMs, signal);
    }
  }

  /** Takes all batches that the log has into the image. */
  async fold(): Promise<FoldAnswer> {
    const query: Query = (text, values) => this.options.channel.query(text, values, foldDeadlineMs);
    for (;;) {
      const position = BigInt(
        (await this.options.channel.value("SELECT position AS value FROM nexus.image")) ?? 0,
      );
      const { batches } = await readBatches(query, position);
      const last = batches.at(-1);
      if (!last) return "ok";
      const answer = await this.#foldWrites(query, lastWrites(batches), position, last.position);
      if (answer !== "ok") return answer;
    }
  }

  /** Drops what the log need not keep. */
  async upkeep(): Promise<void> {
    const { channel, owner, fence } = this.options;
    const { ms, batches } = this.#keep;
    const dropped = "SELECT nexus.upkeep_1($1, $2, $3, $4) AS value";
    while (Number(await channel.value(dropped, [owner, String(fence), ms, batches])) > 0);
  }

  async #foldWrites(
    query: Query,
    writes: readonly RawWrite[],
    after: bigint,
    upto: bigint,
  ): Promise<FoldAnswer> {
    const { owner, fence } = this.options;
    const pieces = inPieces(writes);
    for (const [index, piece] of pieces.entries()) {
      const [row] = await query<{ answer: FoldAnswer }>(
        "SELECT nexus.fold_1($1, $2, $3, $4, $5::text[], $6::bytea[], $7::bytea[]) AS answer",
        [
          owner,
          String(fence),
          String(after),
          index === pieces.length - 1 ? String(upto) : null,
          ...columnsOf(piece),
        ],
      );
      if (row?.answer !== "ok") return row?.answer ?? "moved";
    }
    return "ok";
  }
}

/** Of each entry the last write. */
function lastWrites(batches: readonly { readonly writes: readonly RawWrite[] }[]): RawWrite[] {
  const last = new Map<string, RawWrite>();
  for (const { writes } of batches) {
    for (const write of writes) {
      last.set(`${write.database}\0${Buffer.from(write.key).toString("latin1")}`, write);
    }
  }
  return [...last.values()];
}

/** A piece as three arrays of PostgreSQL: databases, keys and values. */
export function columnsOf(piece: readonly RawWrite[]) {
  const column = (type: "text" | "bytea", of: (write: RawWrite) => Uint8Array | undefined) =>
    encodeArray(type, piece.map(of));
  const [database, key, value] = [
    column("text", (write) => Buffer.from(write.database)),
    column("bytea", (write) => write.key),
    column("bytea", (write) => write.value),
  ];
  return [database, key, value] as const;
}

/** At least one piece, so that batches without writes move the image too. */
export function inPieces(writes: readonly RawWrite[]): RawWrite[][] {
  const pieces: RawWrite[][] = [[]];
  let bytes = 0;
  for (const write of writes) {
    if ((pieces.at(-1)?.length ?? 0) >= foldEntries || bytes >= foldBytes) {
      pieces.push([]);
      bytes = 0;
    }
    pieces.at(-1)?.push(write);
    bytes += write.key.length + (write.value?.length ?? 0);
  }
  return pieces;
}
