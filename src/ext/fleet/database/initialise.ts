import { randomUUID } from "node:crypto";
import type { RawWrite, ReplicaPosition } from "../replication/log.js";
import type { Connector } from "./connection/connector.js";
import { FleetRefused } from "./connection/fleet_error.js";
import type { DatabaseSession } from "./connection/session.js";
import { columnsOf, inPieces } from "./log/image.js";
import { checkLayout } from "./migrations.js";
import { orWithoutStandby } from "./standby_wait.js";

const pieceDeadlineMs = 30_000;

export interface InitialStore {
  /** UUIDs of the store that becomes the fleet's. */
  readonly databaseId: string;
  readonly epoch: string;
  readonly entries: Iterable<readonly RawWrite[]> | AsyncIterable<readonly RawWrite[]>;
}

/** For commands that create the tables: only a migration changes those of a fleet. @throws FleetRefused, FleetUnreachable */
export async function refuseFleet(connector: Connector): Promise<void> {
  const { session, probe } = await connector.open("init");
  try {
    if (probe.hasSchema) await refuseHead(session);
  } finally {
    session.close();
  }
}

/**
 * Makes one store the fleet's. Only its last statement makes it one: what was cut off before is removed by the next attempt.
 *
 * @returns the position that the store's own folder has from then on
 * @throws FleetRefused when the database has a fleet already, and when commits wait for a standby
 */
export async function initialise(connector: Connector, store: InitialStore): Promise<ReplicaPosition> {
  return await orWithoutStandby(connector, () => attempt(connector, store));
}

async function attempt(connector: Connector, store: InitialStore): Promise<ReplicaPosition> {
  const { session, probe } = await connector.open("init");
  try {
    await checkLayout(session, probe.hasSchema);
    await refuseHead(session);
    await session.query(
      "TRUNCATE nexus.entry, nexus.log, nexus.image, nexus.lease, nexus.member, nexus.spool",
    );
    for await (const page of store.entries) {
      for (const piece of inPieces(page)) {
        await session.query(
          "INSERT INTO nexus.entry (database, key, value) SELECT * FROM unnest($1::text[], $2::bytea[], $3::bytea[])",
          [...columnsOf(piece)],
          pieceDeadlineMs,
        );
      }
    }
    const batchId = randomUUID();
    // One statement: `head` makes it a fleet.
    await session.query(
      `WITH l AS (INSERT INTO nexus.log (position, id, fence, at, writes) VALUES (0, $1, 0, clock_timestamp(), '')),
         i AS (INSERT INTO nexus.image (position) VALUES (0))
       INSERT INTO nexus.head (database_id, epoch, fence) VALUES ($2, $3, 0)`,
      [batchId, store.databaseId, store.epoch],
    );
    return { position: 0n, batchId };
  } finally {
    session.close();
  }
}

async function refuseHead(session: DatabaseSession): Promise<void> {
  const [head] = await session.query("SELECT one FROM nexus.head");
  if (!head) return;
  throw new FleetRefused(
    "already_initialised",
    "the database has a fleet already: drop its schema nexus first, if it may go",
  );
}
