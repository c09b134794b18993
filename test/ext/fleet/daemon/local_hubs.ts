import type { Daemon } from "../../../../src/daemon/daemon.js";
import { loadFleetStoreConfig } from "../../../../src/ext/fleet/hub/fleet_settings.js";
import { initFleet } from "../../../../src/ext/fleet/hub/init_fleet.js";
import { SystemClock } from "../../../../src/runtime/clock.js";
import { Place } from "../../../daemon/harness.js";
import type { DatabaseServer } from "../../../fakes/database_server.js";
import { TcpProxy } from "../../../fakes/tcp_proxy.js";
import { serverOfRun } from "../database/fleet_bed.js";
import { Hub, HubGroup, type HubsOptions } from "./hub_group.js";

/** One hub in this process, by the clock of the machine. */
export class LocalHub extends Hub {
  #daemon: Daemon | undefined;

  constructor(private readonly place: Place) {
    super(place.environment);
  }

  get output(): string {
    return this.place.logLines.join("");
  }

  async start(): Promise<void> {
    this.#daemon = await this.place.start(new SystemClock());
  }

  async stop(): Promise<void> {
    await this.#daemon?.stop();
  }
}

/** Hubs in this process on the server of the run, for what needs nobody to be killed. */
export class LocalHubs extends HubGroup<LocalHub, DatabaseServer> {
  static async start(options: HubsOptions): Promise<LocalHubs> {
    const postgres = await serverOfRun();
    const balancer = await TcpProxy.tcp(0);
    const environments = await LocalHubs.environments(postgres, balancer, options);
    const [environment = {}] = environments;
    const config = loadFleetStoreConfig(environment, {});
    await initFleet({ config, from: undefined, environment, clock: new SystemClock() });
    const places = await Promise.all(environments.map((each) => Place.make(each)));
    const hubs = new LocalHubs(
      postgres,
      balancer,
      places.map((place) => new LocalHub(place)),
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
