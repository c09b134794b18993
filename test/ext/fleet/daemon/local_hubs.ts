import { beforeEach } from "vitest";
import { loadFleetStoreConfig } from "../../../../src/ext/fleet/hub/fleet_settings.js";
import { initFleet } from "../../../../src/ext/fleet/hub/init_fleet.js";
import { SystemClock } from "../../../../src/runtime/clock.js";
import { LocalDaemon } from "../../../daemon/daemon_at.js";
import type { DatabaseServer } from "../../../fakes/database_server.js";
import { TcpProxy } from "../../../fakes/tcp_proxy.js";
import { perSuite } from "../../../lifetimes.js";
import { has, needs } from "../../../needs.js";
import { serverOfRun } from "../database/fleet_bed.js";
import { HubGroup, type HubsOptions } from "./hub_group.js";

/** Hubs in this process on the server of the run, for what needs nobody to be killed. */
export class LocalHubs extends HubGroup<LocalDaemon, DatabaseServer> {
  static async start(options: HubsOptions): Promise<LocalHubs> {
    const postgres = await serverOfRun();
    const balancer = await TcpProxy.tcp(0);
    const places = await LocalHubs.places(postgres, balancer, options);
    const { environment = {} } = places[0] ?? {};
    const config = loadFleetStoreConfig(environment, {});
    await initFleet({ config, from: undefined, environment, clock: new SystemClock(), tables: [] });
    const hubs = new LocalHubs(
      postgres,
      balancer,
      places.map((place) => new LocalDaemon(place)),
    );
    try {
      await Promise.all(hubs.all.map((hub) => hub.start()));
    } catch (error) {
      await hubs.close();
      throw error;
    }
    return hubs;
  }

  async close(): Promise<void> {
    await this.balancer.close();
    await Promise.all(this.all.map((hub) => hub.stop()));
  }
}

/** For all tests of the file, which are skipped without PostgreSQL. */
export function localHubs(options: () => HubsOptions | Promise<HubsOptions>): LocalHubs {
  beforeEach((context) => needs(context, "postgresql"));
  return perSuite(async () =>
    has("postgresql") ? await LocalHubs.start(await options()) : ({} as LocalHubs),
  );
}
