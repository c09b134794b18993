import type { Clock } from "../../../../runtime/runtime.js";
import { type DatabaseAddress, parseDatabaseUrl } from "./database_url.js";
import { FleetRefused, FleetUnreachable, transactionPooling } from "./fleet_error.js";
import { type Probe, probe } from "./probe.js";
import { DatabaseSession, placeOf, serverErrorIn } from "./session.js";

/** SQLSTATE. */
const tooManyConnections = "53300";

/** Opens sessions with the primary, whichever of the hosts that is. */
export class Connector {
  readonly #address: DatabaseAddress;
  /** Purposes for which the server, or a pooler before it, has no connection left, with the last error. */
  readonly lacking = new Map<string, Error>();

  /** @throws FleetRefused when the URL cannot be used */
  constructor(
    url: string,
    readonly clock: Clock,
  ) {
    this.#address = parseDatabaseUrl(url);
  }

  /**
   * Tries each host once. A standby beside other hosts is passed over: one of them becomes the primary.
   *
   * @param purpose shown in the server's list of connections
   * @throws FleetRefused what a host refused, when none took it; FleetUnreachable when none answered as a primary
   */
  async open(purpose: string): Promise<{ readonly session: DatabaseSession; readonly probe: Probe }> {
    const { hosts } = this.#address;
    let refusal: FleetRefused | undefined;
    const failures: Error[] = [];
    for (const host of hosts) {
      let session: DatabaseSession | undefined;
      try {
        const open = () => DatabaseSession.open(this.#address, host, this.clock, purpose);
        session = await open();
        const probed = await probe(session, this.clock);
        if (probed.pid !== session.pid) await refuseTransactionPooling(session, open);
        this.lacking.delete(purpose);
        return { session, probe: probed };
      } catch (error) {
        session?.close();
        if (!(error instanceof FleetRefused)) failures.push(error as Error);
        else if (error.reason === "standby" && hosts.length > 1)
          failures.push(new Error(`the database at ${placeOf(host)} is a standby`));
        else refusal ??= error;
      }
    }
    if (refusal) throw refusal;
    const [cause] = failures;
    const failure = new FleetUnreachable(failures.map(({ message }) => message).join("; "), { cause });
    if (serverErrorIn(failure)?.code === tooManyConnections) this.lacking.set(purpose, failure);
    throw failure;
  }
}

async function serverOf(session: DatabaseSession): Promise<number | undefined> {
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
async function refuseTransactionPooling(
  session: DatabaseSession,
  open: () => Promise<DatabaseSession>,
): Promise<void> {
  const other = await open();
  try {
    const server = await serverOf(session);
    await other.query("BEGIN");
    if ((await serverOf(other)) === server || (await serverOf(session)) !== server)
      throw transactionPooling();
  } finally {
    other.close();
  }
}
