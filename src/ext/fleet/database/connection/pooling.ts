import { FleetRefused } from "./fleet_error.js";
import type { Session } from "./session.js";

async function serverOf(session: Session): Promise<number | undefined> {
  const [row] = await session.query<{ pid: number }>("SELECT pg_backend_pid() AS pid");
  return row?.pid;
}

/**
 * A pooler that lends a server for a transaction loses what a session sets and listens to. It shows when two sessions have one server, or when a
 * session has another one while its own is busy.
 *
 * @param open another session behind the same pooler
 * @throws FleetRefused
 */
export async function refuseTransactionPooling(
  session: Session,
  open: () => Promise<Session>,
): Promise<void> {
  const other = await open();
  try {
    const server = await serverOf(session);
    await other.query("BEGIN");
    if ((await serverOf(other)) === server || (await serverOf(session)) !== server)
      throw new FleetRefused(
        "pooled",
        "a pooler in transaction mode stands before the database: name PostgreSQL itself in the URL, or set pool_mode = session for this database in PgBouncer",
      );
  } finally {
    other.close();
  }
}
