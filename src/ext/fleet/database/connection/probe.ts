import type { Clock } from "../../../../runtime/runtime.js";
import { FleetRefused, transactionPooling } from "./fleet_error.js";
import type { DatabaseSession } from "./session.js";

/** What a server says of itself, asked on each new connection. */
export interface Probe {
  readonly hasSchema: boolean;
  /** Process of the server. */
  readonly pid: number;
  /** Wall clock here minus the server's, give or take half of the round trip. */
  readonly clockOffsetMs: number;
  /** Whether a commit waits for a standby. */
  readonly isSynchronous: boolean;
  /** For how long the oldest commit of this role has waited for one that does not answer; 0: none does. */
  readonly standbyWaitMs: number;
  /** Whether a commit waits for the server's own disk. */
  readonly isDurable: boolean;
  /** Whether the role is a superuser, or owns something beyond the schema of the fleet. */
  readonly ownsMore: boolean;
}

/** A commit that a standby acknowledges takes milliseconds. */
const shownAfterMs = 2_000;

/** For how long the oldest commit of this role has waited, in milliseconds; what other roles wait for is not shown to it. */
export const standbyWait = `(SELECT coalesce(max(extract(epoch FROM clock_timestamp() - a.query_start)) * 1000, 0)::float8
  FROM pg_stat_activity a WHERE a.usename = current_user AND a.wait_event = 'SyncRep'
    AND a.query_start < clock_timestamp() - interval '${shownAfterMs} milliseconds')`;

const question = `
  SELECT pg_backend_pid() AS pid, pg_is_in_recovery() AS standby, current_setting('transaction_read_only') = 'on' AS read_only,
    current_setting('server_version_num')::int AS version, to_regclass('nexus.layout') IS NOT NULL AS has_schema,
    (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS now_ms,
    current_setting('synchronous_standby_names') <> '' AS synchronous, current_setting('fsync') = 'on' AS durable,
    ${standbyWait} AS standby_wait_ms,
    (SELECT r.rolsuper FROM pg_roles r WHERE r.rolname = current_user)
      OR EXISTS (SELECT 1 FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE r.rolname = current_user AND n.nspname <> 'nexus' AND n.nspname NOT LIKE 'pg_%') AS owns_more`;

type ProbeRow = {
  pid: number;
  standby: boolean;
  read_only: boolean;
  version: number;
  has_schema: boolean;
  now_ms: number;
  synchronous: boolean;
  durable: boolean;
  standby_wait_ms: number;
  owns_more: boolean;
};

/**
 * Asks a server whether commits may go to it. A standby shows the past, and in an order of its own: so reads go to the primary too.
 *
 * @throws FleetRefused for a standby, a read-only server, one older than PostgreSQL 14, and behind a pooler that came to lend servers for
 * a transaction
 */
export async function probe(session: DatabaseSession, clock: Clock): Promise<Probe> {
  const askedMs = clock.nowMs();
  const [row] = await session.query<ProbeRow>(question);
  if (!row) throw new Error("the database returned no row to a query");
  if (!session.isServedBy(row.pid)) {
    // The next connection finds out whether it still is so.
    session.close();
    throw transactionPooling();
  }
  return processProbe(row, (askedMs + clock.nowMs()) / 2);
}

function processProbe(row: ProbeRow, nowMs: number): Probe {
  if (row.version < 140_000) {
    throw new FleetRefused("old_server", "the database is older than PostgreSQL 14: upgrade it");
  }
  if (row.standby) {
    throw new FleetRefused(
      "standby",
      "the database is a standby: name the primary, or all hosts, in the URL",
    );
  }
  if (row.read_only) {
    throw new FleetRefused(
      "read_only",
      "the database is read-only: end default_transaction_read_only for this role",
    );
  }
  return {
    hasSchema: row.has_schema,
    pid: row.pid,
    clockOffsetMs: Math.round(nowMs - row.now_ms),
    isSynchronous: row.synchronous,
    isDurable: row.durable,
    standbyWaitMs: Math.round(row.standby_wait_ms),
    ownsMore: row.owns_more,
  };
}
