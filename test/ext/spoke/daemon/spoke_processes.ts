import { join } from "node:path";
import { DaemonProcess } from "../../../daemon/daemon_process.js";
import { type Clients, clientsOf, Place } from "../../../daemon/harness.js";
import { freePort } from "../../../free_port.js";
import { sweptFolder } from "../../../run_folder.js";
import { hubSettings, spokeSettings } from "./spokes.js";

/** A real `nexusd serve` that is the hub of spokes. */
export class SingleHub {
  daemon!: DaemonProcess;
  readonly clients: Clients;

  private constructor(readonly place: Place) {
    this.clients = place.clients();
  }

  static async start(...settings: Parameters<typeof hubSettings>): Promise<SingleHub> {
    const hub = new SingleHub(await Place.make(hubSettings(...settings)));
    await hub.start();
    return hub;
  }

  async start(): Promise<void> {
    this.daemon = new DaemonProcess(this.place.environment);
    await this.daemon.ready();
  }

  get url(): string {
    return this.place.httpUrl;
  }

  close(): Promise<unknown> {
    return this.daemon.kill("SIGKILL");
  }
}

/** A real `nexusd serve` that is the spoke of others. */
export class SpokeProcess {
  daemon!: DaemonProcess;

  private constructor(readonly environment: NodeJS.ProcessEnv) {}

  /** Not started yet. */
  static async of(urls: readonly string[], identity: NodeJS.ProcessEnv): Promise<SpokeProcess> {
    return new SpokeProcess({
      ...spokeSettings(urls, identity),
      NEXUS_DATA_DIR: sweptFolder(),
      NEXUS_HTTP_LISTEN: `127.0.0.1:${await freePort()}`,
      NEXUS_OPS_LISTEN: `127.0.0.1:${await freePort()}`,
      NEXUS_LOG_FORMAT: "json",
      NEXUS_PROXIES: "true",
    });
  }

  static async started(urls: readonly string[], identity: NodeJS.ProcessEnv): Promise<SpokeProcess> {
    const spoke = await SpokeProcess.of(urls, identity);
    await spoke.start();
    return spoke;
  }

  get folder(): string {
    return this.environment["NEXUS_DATA_DIR"] ?? "";
  }

  get clients(): Clients {
    return clientsOf(join(this.folder, "nexus.sock"));
  }

  get httpUrl(): string {
    return `http://${this.environment["NEXUS_HTTP_LISTEN"]}`;
  }

  get opsUrl(): string {
    return `http://${this.environment["NEXUS_OPS_LISTEN"]}`;
  }

  async start(): Promise<void> {
    this.daemon = new DaemonProcess(this.environment);
    await this.daemon.ready();
  }

  async restart(): Promise<void> {
    await this.daemon.kill("SIGKILL");
    await this.start();
  }

  async status() {
    return (await this.clients.status.getStatus({})).spoke;
  }

  close(): Promise<unknown> {
    return this.daemon.kill("SIGKILL");
  }
}
