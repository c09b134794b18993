import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Filling, fillStore } from "../../../../bench/filled_store.js";
import { DaemonProcess } from "../../../daemon/daemon_process.js";
import { Postgres } from "../../../fakes/postgres.js";
import { TcpProxy } from "../../../fakes/tcp_proxy.js";
import type { Servers } from "../storm/faults.js";
import { CountingProvider } from "../storm/provider.js";
import { RealHub } from "./real_hub.js";

export interface RealFleetOptions {
  readonly hubs: number;
  /** Of the store that the fleet is made of. */
  readonly groups: Filling["groups"];
  /** `main.js` of another build than this one. */
  readonly main?: string | undefined;
  /** More settings of every hub. */
  readonly environment?: NodeJS.ProcessEnv;
  /** Of what the provider answers. Default: so long that what a former leader brings home comes in time. */
  readonly lifeSeconds?: number;
  /** Hubs are asked less often who leads, and nobody watches: what they do is measured. */
  readonly isMeasured?: boolean;
}

/** Hubs, each a `nexusd serve`, with a PostgreSQL that has a synchronous standby, and a provider behind a link. */
export class RealFleet {
  /** What is wrong, as it was seen. */
  readonly broken: string[] = [];
  /** Access tokens that a stream brought. */
  readonly seen = new Set<string>();
  readonly hubs: RealHub[] = [];
  /** Connections of each group, whose grants the provider knows. */
  groups: readonly (readonly string[])[] = [];
  servers!: Servers;
  readonly #key = randomBytes(32);

  private constructor(
    readonly folder: string,
    readonly provider: CountingProvider,
    readonly providerLink: TcpProxy,
    private readonly options: RealFleetOptions,
  ) {}

  /** Connections of the first group. */
  get ids(): readonly string[] {
    return this.groups[0] ?? [];
  }

  static async start(options: RealFleetOptions): Promise<RealFleet> {
    const provider = await CountingProvider.start(options.lifeSeconds);
    const folder = mkdtempSync(join(tmpdir(), "nexus-storm-"));
    const fleet = new RealFleet(folder, provider, await TcpProxy.tcp(provider.port), options);
    try {
      await fleet.#prepare();
      for (let index = 0; index < options.hubs; index++) fleet.hubs.push(await fleet.#hub(index));
    } catch (error) {
      await fleet.close();
      throw error;
    }
    return fleet;
  }

  async close(): Promise<void> {
    for (const hub of this.hubs) await hub.close();
    for (const server of [this.servers?.standby, this.servers?.primary]) await server?.close();
    await this.providerLink.close();
    await this.provider.close();
    rmSync(this.folder, { recursive: true, force: true });
  }

  async #prepare(): Promise<void> {
    const primary = await Postgres.start();
    const single = join(this.folder, "single");
    mkdirSync(single, { mode: 0o700 });
    this.groups = await fillStore({
      folder: single,
      key: this.#key,
      origin: `http://127.0.0.1:${this.providerLink.port}`,
      providers: ["live"],
      groups: this.options.groups,
    });
    const environment = {
      ...this.#environment(),
      NEXUS_STORE: primary.url(),
      NEXUS_DATA_DIR: join(this.folder, "none"),
    };
    const init = new DaemonProcess(environment, ["fleet", "init", "--from", single]);
    if ((await init.exited) !== 0) throw new Error(`nexusd fleet init failed: ${init.output}`);
    const standby = await primary.standby({ name: "sync", synchronous: "sync" });
    await primary.set("synchronous_standby_names", "sync");
    this.servers = { primary, standby };
  }

  #environment(): NodeJS.ProcessEnv {
    return {
      NEXUS_ENCRYPTION_KEY: this.#key.toString("base64"),
      NEXUS_PUBLIC_URL: "http://localhost:3999",
      NEXUS_LOG_FORMAT: "json",
      NEXUS_ALLOW_LOOPBACK_PROVIDERS: "true",
      NEXUS_FLEET_LEASE_SECONDS: "3",
      NEXUS_MAX_REJECTIONS_PER_HOUR: "3600",
      ...this.options.environment,
    };
  }

  async #hub(index: number): Promise<RealHub> {
    const { primary, standby } = this.servers;
    return await RealHub.make({
      folder: join(this.folder, `hub-${index}`),
      environment: this.#environment(),
      database: {
        targets: [primary.socketPath, standby.socketPath],
        urlOf: (folders) => primary.url(folders),
      },
      providerLink: this.providerLink,
      main: this.options.main,
      isMeasured: this.options.isMeasured === true,
      onBroken: (words) => this.broken.push(words),
      onToken: (accessToken) => this.seen.add(accessToken),
    });
  }
}
