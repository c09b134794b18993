import { readFileSync } from "node:fs";
import type { Connector } from "./connection/connector.js";
import { FleetRefused } from "./connection/fleet_error.js";
import type { Session } from "./connection/session.js";

/** Of the tables and functions in `sql/`. */
export const layout = 1;

/** What a migration may take: it waits for the statements under way, and may rewrite a table. */
const migrationDeadlineMs = 600_000;

/** Which layout each file leads to. Files only add what older hubs do not miss; what they need goes when `min_layout` says so. */
const migrations: readonly {
  readonly layout: number;
  readonly minLayout: number;
  readonly files: readonly string[];
}[] = [{ layout: 1, minLayout: 1, files: ["001_tables.sql", "002_functions.sql"] }];

/**
 * Makes schema, tables and functions what this version needs, in one transaction. Hubs go on meanwhile.
 *
 * @returns the layouts before (0: there was none) and now
 * @throws FleetRefused when the tables are of a newer version
 */
export async function migrate(connector: Connector): Promise<{ readonly from: number; readonly to: number }> {
  const { session } = await connector.open("migrate");
  try {
    await session.query("BEGIN; SET LOCAL lock_timeout = 0");
    // One at a time: of several hubs that are deployed together.
    await session.query("SELECT pg_advisory_xact_lock(7239057)", [], migrationDeadlineMs);
    const from = (await readLayout(session))?.layout ?? 0;
    if (from > layout) throw newerTables();
    await session.query("CREATE SCHEMA IF NOT EXISTS nexus");
    for (const step of migrations.filter((migration) => migration.layout > from)) {
      for (const file of step.files) await session.query(sql(file), [], migrationDeadlineMs);
      await session.query(
        "INSERT INTO nexus.layout (layout, min_layout) VALUES ($1, $2) ON CONFLICT (one) DO UPDATE SET layout = excluded.layout, min_layout = excluded.min_layout",
        [step.layout, step.minLayout],
      );
    }
    await session.query("COMMIT");
    return { from, to: layout };
  } finally {
    session.close();
  }
}

/** @throws FleetRefused when this version and the tables do not go together */
export async function checkLayout(session: Session, hasSchema: boolean): Promise<void> {
  const found = hasSchema ? await readLayout(session) : undefined;
  if (!found)
    throw new FleetRefused("old_layout", "the database has no tables of a fleet: run nexusd fleet init");
  if (found.layout < layout) {
    throw new FleetRefused(
      "old_layout",
      "the tables of the fleet are of an older version: run nexusd fleet migrate",
    );
  }
  if (found.minLayout > layout) throw newerTables();
}

async function readLayout(session: Session): Promise<{ layout: number; minLayout: number } | undefined> {
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

function newerTables(): FleetRefused {
  return new FleetRefused("new_layout", "the tables of the fleet are of a newer version: upgrade this hub");
}

function sql(file: string): string {
  return readFileSync(new URL(`../fleet/sql/${file}`, import.meta.url), "utf8");
}
