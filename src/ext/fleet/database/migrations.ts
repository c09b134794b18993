import { readFileSync } from "node:fs";
import { delay } from "../../../runtime/runtime.js";
import type { Connector } from "./connection/connector.js";
import { FleetRefused } from "./connection/fleet_error.js";
import { type Layout, layout, layouts, type TableLayout, tooNew, tooOld } from "./connection/layouts.js";
import { type DatabaseSession, isOfServer } from "./connection/session.js";
import { seenWithinMs } from "./members.js";
import { orWithoutStandby, refuseWithoutStandby } from "./standby_wait.js";

/** What a migration may take: it waits for others, and may rewrite a table. */
const migrationDeadlineMs = 600_000;
/** What waits for a table holds up all that come after it: so it is tried for a moment, again and again. */
const lockMs = 2_000;
const tries = 20;
const pauseMs = 1_000;

/** SQLSTATE of a lock that was not to be had in time, and of one that two waited for crosswise. */
const busyStates = new Set(["55P03", "40P01"]);

export interface MigrationOptions {
  /** Whether older hubs are refused from now on, and what they alone need is taken away. */
  readonly contract?: boolean;
  /** Instead of those of this version. */
  readonly steps?: readonly Layout[];
}

export interface Migration {
  readonly from: TableLayout;
  readonly to: TableLayout;
}

/**
 * Makes schema, tables and functions what this version needs, in one transaction. Hubs go on meanwhile, those of older versions until it
 * contracts. Done again, it does nothing.
 *
 * @throws FleetRefused if the tables are of a newer version or in use, if commits wait for a standby, or if it is to contract while older
 * hubs are there
 */
export async function migrate(connector: Connector, options: MigrationOptions = {}): Promise<Migration> {
  return await orWithoutStandby(connector, () => attempts(connector, options));
}

async function attempts(connector: Connector, options: MigrationOptions): Promise<Migration> {
  const { session } = await connector.open("migrate");
  try {
    for (let tried = 1; ; tried++) {
      try {
        return await attempt(session, options);
      } catch (error) {
        if (!isOfServer(error) || !busyStates.has(error.code)) throw error;
        if (tried === tries) throw inUse(error);
      }
      await session.query("ROLLBACK");
      await refuseWithoutStandby(session);
      await delay(connector.clock, pauseMs);
    }
  } finally {
    session.close();
  }
}

async function attempt(
  session: DatabaseSession,
  { contract = false, steps = layouts }: MigrationOptions,
): Promise<Migration> {
  await session.query(`BEGIN; SET LOCAL lock_timeout = ${lockMs}`);
  // One at a time: of several hubs that are deployed together.
  await session.query("SELECT pg_advisory_xact_lock(7239057)");
  const from = (await readLayout(session)) ?? { layout: 0, minLayout: 0 };
  const known = steps.length;
  if (from.layout > known) throw ofNewerVersion(from.layout, known);
  if (from.layout === 0) await makeSchema(session);
  // First of all locks, as in a commit: behind the one under way, and before the next.
  else await session.query("SELECT 1 FROM nexus.head FOR UPDATE");
  for (const { expand } of steps.slice(from.layout)) await run(session, expand);
  let { minLayout } = from;
  if (contract || from.layout === 0) {
    await endOlder(session, known);
    for (const step of steps.slice(minLayout)) await run(session, step.contract);
    minLayout = known;
  }
  await session.query(
    "INSERT INTO nexus.layout (layout, min_layout) VALUES ($1, $2) ON CONFLICT (one) DO UPDATE SET layout = excluded.layout, min_layout = excluded.min_layout",
    [known, minLayout],
  );
  await session.query("COMMIT");
  return { from, to: { layout: known, minLayout } };
}

/** To make one that is there takes the privilege to make one, too. */
async function makeSchema(session: DatabaseSession): Promise<void> {
  const [there] = await session.query("SELECT 1 FROM pg_namespace WHERE nspname = 'nexus'");
  if (!there) await session.query("CREATE SCHEMA nexus");
}

async function run(session: DatabaseSession, files: readonly string[]): Promise<void> {
  for (const file of files) {
    const text = readFileSync(new URL(file, new URL("../database/sql/", import.meta.url)), "utf8");
    await session.query(text, [], migrationDeadlineMs);
  }
}

/** One that is stopped or cut off is not seen: it leads no more when it comes back. @throws FleetRefused while others are there */
async function endOlder(session: DatabaseSession, known: number): Promise<void> {
  const there = await session.query<{ hub: string }>(
    `SELECT format('%s (layout %s, version %s)', address, layout, version) AS hub
     FROM (SELECT DISTINCT ON (address) * FROM nexus.member ORDER BY address, seen_at DESC) m
     WHERE layout < $1 AND seen_at > clock_timestamp() - make_interval(secs => $2)`,
    [known, seenWithinMs / 1_000],
  );
  if (there.length > 0) {
    const hubs = there.map(({ hub }) => hub).join(", ");
    throw new FleetRefused(
      "old_hubs",
      `hubs that know no layout as new as ${known} were seen in the last ${seenWithinMs / 1_000} seconds: ${hubs}; ` +
        "start this version in their place, or end them and try again after that time",
    );
  }
  await session.query(
    "DELETE FROM nexus.lease WHERE owner NOT IN (SELECT owner FROM nexus.member WHERE layout >= $1)",
    [known],
  );
}

/** @throws FleetRefused when this version and the tables do not go together */
export async function checkLayout(session: DatabaseSession, hasSchema: boolean): Promise<TableLayout> {
  const found = hasSchema ? await readLayout(session) : undefined;
  if (!found)
    throw new FleetRefused("old_layout", "the database has no tables of a fleet: run nexusd fleet init");
  if (found.layout < layout) throw tooOld(found.layout, layout);
  if (found.minLayout > layout) throw tooNew(found.minLayout, layout);
  return found;
}

async function readLayout(session: DatabaseSession): Promise<TableLayout | undefined> {
  const [there] = await session.query<{ there: boolean }>(
    // By the catalogue: to_regclass may answer what it knew before another migration committed.
    "SELECT EXISTS (SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'nexus' AND c.relname = 'layout') AS there",
  );
  if (!there?.there) return undefined;
  const [row] = await session.query<{ layout: number; min_layout: number }>(
    "SELECT layout, min_layout FROM nexus.layout",
  );
  return row && { layout: row.layout, minLayout: row.min_layout };
}

function ofNewerVersion(found: number, known: number): FleetRefused {
  return new FleetRefused(
    "new_layout",
    `the tables of the fleet are of layout ${found}, and this nexusd knows layout ${known}: run this command of a newer version`,
  );
}

function inUse(cause: Error): FleetRefused {
  return new FleetRefused(
    "in_use",
    "another statement, as of pg_dump, holds tables of the fleet; nothing was changed: try again when it is over",
    { cause },
  );
}
