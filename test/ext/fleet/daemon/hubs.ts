import { DaemonProcess } from "../../../daemon/daemon_process.js";
import { ProcessAt } from "../../../daemon/process_at.js";
import { Postgres } from "../../../fakes/postgres.js";
import { TcpProxy } from "../../../fakes/tcp_proxy.js";
import { HubGroup, type HubsOptions } from "./hub_group.js";

export { askedAgain, shortLease } from "./hub_group.js";
export type HubProcess = ProcessAt;

/** A PostgreSQL and hubs on it, each a process of its own. */
export class Hubs extends HubGroup<ProcessAt, Postgres> {
  static async start(options: HubsOptions): Promise<Hubs> {
    const postgres = await Postgres.start();
    const balancer = await TcpProxy.tcp(0);
    const places = await Hubs.places(postgres, balancer, options);
    const hubs = new Hubs(
      postgres,
      balancer,
      places.map((place) => new ProcessAt(place)),
    );
    try {
      await hubs.command("fleet", "init");
      await Promise.all(hubs.all.map((hub) => hub.start()));
    } catch (error) {
      await hubs.close();
      throw error;
    }
    return hubs;
  }

  /** Runs `nexusd` with the settings of a hub; answers what it printed. @throws Error when it does not end with 0 */
  async command(...args: string[]): Promise<string> {
    const [first] = this.all;
    const process = new DaemonProcess(first?.environment ?? {}, args);
    const code = await process.exited;
    if (code !== 0) throw new Error(`nexusd ${args.join(" ")} ended with ${code}: ${process.output}`);
    return process.output;
  }

  async close(): Promise<void> {
    await this.balancer.close();
    await Promise.all(this.all.map((hub) => hub.close()));
    await this.postgres.close();
  }
}
