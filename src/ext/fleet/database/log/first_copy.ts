import type { RawWrite, ReplicaPosition } from "../../replication/log.js";
import type { Channel } from "../connection/channel.js";
import { FleetOutrun } from "../connection/fleet_error.js";
import { type Query, readBatches, readLogState } from "./batches.js";
import { decodeFrames } from "./frames.js";

/** A page ends after so many entries, or with the one that fills so many bytes. */
const pageEntries = 5_000;
const pageBytes = 4 * 1024 * 1024;
/** A page is read from a cold disk at worst. */
const pageDeadlineMs = 30_000;

/** The server makes frames of a page, which is several times faster than rows. */
const page = `
  SELECT string_agg(int4send(octet_length(database)) || convert_to(database, 'UTF8') || int4send(octet_length(key)) || key
    || int4send(octet_length(value)) || value, ''::bytea ORDER BY database, key) AS frames
  FROM (SELECT database, key, value, sum(octet_length(value)) OVER (ORDER BY database, key) AS total
    FROM (SELECT database, key, value FROM nexus.entry WHERE (database, key) > ($1, $2) ORDER BY database, key LIMIT ${pageEntries}) e) p
  WHERE total - octet_length(value) < ${pageBytes}`;

/**
 * All that the log ever wrote, for a hub that is new or too far behind.
 *
 * The image is read in pages, each a short snapshot of its own, while it moves on. Then follow the batches after its first position, up to
 * the newest one. A batch has the value of each entry, not its change, so the result is the store at that position.
 */
export class FirstCopy {
  #position: ReplicaPosition | undefined;

  constructor(private readonly channel: Channel) {}

  /** Known after `entries` ended. */
  get position(): ReplicaPosition {
    if (!this.#position) throw new Error("the position of a first copy is known when all entries were read");
    return this.#position;
  }

  /** Writes, in the order in which they have to be made. @throws FleetOutrun when it took longer than the log is kept: try again */
  get entries(): AsyncIterable<readonly RawWrite[]> {
    return this.#read();
  }

  async *#read(): AsyncGenerator<readonly RawWrite[]> {
    const query: Query = (text, values) => this.channel.query(text, values, pageDeadlineMs);
    let position = BigInt((await this.channel.value("SELECT position AS value FROM nexus.image")) ?? -1);
    if (position < 0n) throw new FleetOutrun("the fleet has no image of its store");
    const pageAfter = (database: string, key: Uint8Array) => {
      const rows = query<{ frames: Buffer | null }>(page, [database, Buffer.from(key)]);
      // It is awaited later, if at all.
      rows.catch(() => undefined);
      return rows;
    };
    let next = pageAfter("", new Uint8Array(0));
    for (;;) {
      const [row] = await next;
      const entries = row?.frames ? decodeFrames(row.frames) : [];
      const last = entries.at(-1);
      if (!last) break;
      // The server makes the next page while this one is written.
      next = pageAfter(last.database, last.key);
      yield entries;
    }
    const { newest, newestId } = await readLogState(query, position);
    let batchId = newestId;
    while (position < newest) {
      const { batches } = await readBatches(query, position);
      for (const batch of batches) {
        ({ position, id: batchId } = batch);
        yield batch.writes;
      }
      if (batches.length === 0) throw new FleetOutrun("the log of the fleet ended during a first copy");
    }
    this.#position = { position, batchId };
  }
}
