import type { Channel } from "./connection/channel.js";
import type { Connector } from "./connection/connector.js";
import { FleetRefused } from "./connection/fleet_error.js";
import { checkLayout } from "./migrations.js";
import { orWithoutStandby } from "./standby_wait.js";

/** How long reigns wait for the hubs that the fleet had. A token is refreshed five minutes before its end. */
const waitSeconds = 300;

/**
 * Notes that the database went back in time: another epoch, and a lease that no hub holds, which makes each reign wait for hubs with newer
 * copies until one has taken in what they have.
 *
 * @returns the addresses of the hubs that the fleet had
 * @throws FleetRefused while a hub leads; FleetUnreachable
 */
export async function noteRestored(connector: Connector): Promise<readonly string[]> {
  return await orWithoutStandby(connector, async () => {
    const { session, probe } = await connector.open("restored");
    try {
      await checkLayout(session, probe.hasSchema);
      const [lead] = await session.query<{ address: string }>(
        "SELECT address FROM nexus.lease WHERE name = 'leader' AND until >= clock_timestamp()",
      );
      if (lead)
        throw new FleetRefused(
          "in_use",
          `the hub at ${lead.address} leads the fleet, or did ten seconds ago: stop all hubs, and try again`,
        );
      await session.query(
        `INSERT INTO nexus.lease (name, owner, fence, until, duration, address)
         VALUES ('restored', gen_random_uuid(), 0, clock_timestamp() + make_interval(secs => $1), make_interval(secs => $1), '')
         ON CONFLICT (name) DO UPDATE SET until = excluded.until, duration = excluded.duration`,
        [waitSeconds],
      );
      await session.query("SELECT nexus.change_epoch_1(epoch) FROM nexus.head");
      const rows = await session.query<{ address: string }>(
        "SELECT DISTINCT address FROM nexus.member ORDER BY address",
      );
      return rows.map(({ address }) => address);
    } finally {
      session.close();
    }
  });
}

/** What a reign knows of `noteRestored`. */
export class Restored {
  constructor(private readonly channel: Channel) {}

  /** Addresses of the hubs that are still waited for; undefined when the database did not go back, or that is settled. */
  async awaited(): Promise<readonly string[] | undefined> {
    const [row] = await this.channel.query<{ waits: boolean; missing: string[] }>(
      `SELECT until >= clock_timestamp() AS waits, ARRAY(
         SELECT address FROM nexus.member GROUP BY address HAVING max(seen_at) < l.until - l.duration ORDER BY address) AS missing
       FROM nexus.lease l WHERE name = 'restored'`,
    );
    return row && (row.waits ? row.missing : []);
  }

  /** What the hubs had is in the log. */
  async settle(): Promise<void> {
    await this.channel.query("DELETE FROM nexus.lease WHERE name = 'restored'");
  }
}
