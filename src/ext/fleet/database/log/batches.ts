import { decodeWrites } from "../../replication/batch_codec.js";
import type { LogBatch } from "../../replication/log.js";
import { FleetDiverged, FleetOutrun } from "../connection/fleet_error.js";
import { layout, tooNew } from "../connection/layouts.js";
import type { ColumnValue, Parameter } from "../connection/session.js";

/** A page ends after so many batches, or with the one that fills so many bytes. */
const pageBatches = 500;
const pageBytes = 8 * 1024 * 1024;

export interface BatchPage {
  readonly batches: readonly LogBatch[];
  /** Whether more may follow. */
  readonly isFull: boolean;
}

/** Asks the database: the method of a session or channel. */
export type Query = <Row extends Record<string, ColumnValue>>(
  text: string,
  values: readonly Parameter[],
) => Promise<Row[]>;

const page = `
  SELECT position::text AS position, id::text AS id, writes, (SELECT min_layout FROM nexus.layout) AS min_layout FROM (
    SELECT position, id, writes, sum(octet_length(writes)) OVER (ORDER BY position) AS total
    FROM (SELECT position, id, writes FROM nexus.log WHERE position > $1 ORDER BY position LIMIT ${pageBatches}) l) p
  WHERE total - octet_length(writes) < ${pageBytes} ORDER BY p.position`;

/**
 * The batches after a position, as one snapshot shows them; empty: there are none yet. No batch can come later below one that was read,
 * because positions are dealt under one lock, and the next one only after the last one is visible.
 *
 * @throws FleetOutrun when the log begins later; FleetRefused when they may be of a layout that this version does not know
 */
export async function readBatches(query: Query, after: bigint): Promise<BatchPage> {
  const rows = await query<{ position: string; id: string; writes: Buffer; min_layout: number }>(page, [
    String(after),
  ]);
  const minLayout = rows[0]?.min_layout ?? layout;
  if (minLayout > layout) throw tooNew(minLayout, layout);
  const bytes = rows.reduce((sum, { writes }) => sum + writes.length, 0);
  const batches = rows.map(({ position, id, writes }, index) => {
    const expected = after + 1n + BigInt(index);
    if (BigInt(position) !== expected)
      throw new FleetOutrun(`the log of the fleet has no batch ${expected} any more`);
    return { id, after: expected - 1n, position: expected, writes: decodeWrites(writes) };
  });
  return { batches, isFull: rows.length === pageBatches || bytes >= pageBytes };
}

/** What the log says of a replica. */
export interface LogState {
  readonly newest: bigint;
  readonly newestId: string;
  readonly oldest: bigint;
  /** Of the batch at the replica's position; undefined: there is none. */
  readonly idThere: string | undefined;
}

/** @throws FleetDiverged where the log is empty, which no history leads to */
export async function readLogState(query: Query, position: bigint): Promise<LogState> {
  const [row] = await query<{ newest: string; newest_id: string; oldest: string; id_there: string | null }>(
    `SELECT n.position::text AS newest, n.id::text AS newest_id, (SELECT min(position) FROM nexus.log)::text AS oldest,
       (SELECT id::text FROM nexus.log WHERE position = $1) AS id_there
     FROM (SELECT position, id FROM nexus.log ORDER BY position DESC LIMIT 1) n`,
    [String(position)],
  );
  if (!row)
    throw new FleetDiverged(
      "the log of the fleet is empty: restore the database, or start again with nexusd fleet init",
    );
  return {
    newest: BigInt(row.newest),
    newestId: row.newest_id,
    oldest: BigInt(row.oldest),
    idThere: row.id_there ?? undefined,
  };
}
