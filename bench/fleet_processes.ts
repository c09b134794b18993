import { RealFleet } from "../test/ext/fleet/real/real_fleet.js";
import type { Figure } from "./figure.js";
import { fleetGapFigures, settled } from "./fleet_gaps.js";
import { fleetReadFigures, readableGroup } from "./fleet_reads.js";

/** Hubs as processes, with a synchronous standby: what reads cost beside the leader, and how long writes stand still. */
export async function fleetProcessFigures({ quick }: { readonly quick: boolean }): Promise<Figure[]> {
  const effort = quick ? { rounds: 3, warm: 5_000, first: 500 } : { rounds: 9, warm: 20_000, first: 1_000 };
  // Ten are the default.
  const gaps = quick ? { rounds: 1, leaseSeconds: 3 } : { rounds: 3, leaseSeconds: 10 };
  const fleet = await RealFleet.start({
    hubs: 3,
    groups: [readableGroup(effort)],
    isMeasured: true,
    environment: { NEXUS_FLEET_LEASE_SECONDS: String(gaps.leaseSeconds) },
  });
  try {
    // A standby that lost its primary would look for it every 5 s, and commits wait for it.
    await fleet.servers.standby.set("wal_retrieve_retry_interval", "100ms");
    await settled(fleet);
    return [...(await fleetReadFigures(fleet, effort)), ...(await fleetGapFigures(fleet, gaps))];
  } finally {
    await fleet.close();
  }
}
