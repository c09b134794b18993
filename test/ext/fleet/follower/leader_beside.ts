import { existsSync } from "node:fs";
import { join } from "node:path";
import { loadConfig } from "../../../../src/config/config.js";
import { tablesOf } from "../../../../src/core/registry.js";
import type { Daemon } from "../../../../src/daemon/daemon.js";
import { extensions } from "../../../../src/ext/extensions.js";
import { loadFleetStoreConfig } from "../../../../src/ext/fleet/hub/fleet_settings.js";
import { initFleet } from "../../../../src/ext/fleet/hub/init_fleet.js";
import { FleetRole } from "../../../../src/gen/nexus/v1/status_pb.js";
import { type Clock, SystemClock } from "../../../../src/runtime/clock.js";
import { storeFileName } from "../../../../src/store/store.js";
import type { Clients, Place } from "../../../daemon/harness.js";
import { DatabaseServer } from "../../../fakes/database_server.js";
import { sweptFolder } from "../../../run_folder.js";

/** Of its folder, where the daemons of this run are followers. */
const postgresFolder = process.env["NEXUS_TEST_FOLLOWER"];
const server = new DatabaseServer(postgresFolder ?? "");
const keySettings = ["NEXUS_ENCRYPTION_KEY", "NEXUS_ENCRYPTION_KEY_FILE", "NEXUS_ENCRYPTION_KEY_COMMAND"];
const listenSettings = ["NEXUS_HTTP_LISTEN", "NEXUS_OPS_LISTEN", "NEXUS_BROWSER_LISTEN"];

let databases = 0;

/** Of `harness.ts`. */
export interface HarnessParts {
  readonly freePort: () => Promise<number>;
  readonly clientsOf: (socket: string) => Clients;
}

/** The hub that leads beside a daemon of a test, which follows: what clients of the test ask, they ask the follower. */
export class LeaderBeside {
  /** How many there were in this file of tests. */
  static count = 0;
  #leader: Daemon | undefined;

  private constructor(
    private readonly place: Place,
    readonly clients: Clients,
    /** Its socket. */
    readonly socket: string,
    private readonly database: string,
    private readonly environment: NodeJS.ProcessEnv,
    /** What makes the daemon of the place the hub that follows. */
    readonly followerSettings: NodeJS.ProcessEnv,
  ) {}

  /** Undefined where daemons are alone. */
  static async make(place: Place, { freePort, clientsOf }: HarnessParts): Promise<LeaderBeside | undefined> {
    if (postgresFolder === undefined) return undefined;
    const database = `follower_${process.pid}_${databases++}`;
    await server.query(`CREATE DATABASE ${database} TEMPLATE nexus OWNER nexus`, "postgres");
    const store = server.url().replace("@/nexus?", `@/${database}?`);
    const shared: NodeJS.ProcessEnv = {
      ...place.environment,
      NEXUS_STORE: store,
      NEXUS_FLEET_LEASE_SECONDS: "60",
    };
    const { dataDir } = place.config;
    const folder = sweptFolder();
    const socket = join(folder, "nexus.sock");
    const environment: NodeJS.ProcessEnv = {
      ...shared,
      NEXUS_DATA_DIR: folder,
      NEXUS_FLEET_LISTEN: `127.0.0.1:${await freePort()}`,
    };
    for (const name of ["NEXUS_GRPC_LISTEN", "NEXUS_EGRESS_LISTEN"]) delete environment[name];
    for (const name of listenSettings) {
      const value = environment[name];
      if (value !== undefined && value !== "off") environment[name] = `127.0.0.1:${await freePort()}`;
    }
    if (keySettings.every((name) => shared[name] === undefined))
      environment["NEXUS_ENCRYPTION_KEY_FILE"] = join(dataDir, "encryption.key");
    const made = new LeaderBeside(place, clientsOf(socket), socket, database, environment, {
      ...shared,
      NEXUS_FLEET_LISTEN: `127.0.0.1:${await freePort()}`,
    });
    const from = existsSync(join(dataDir, storeFileName)) ? dataDir : undefined;
    await initFleet({
      config: loadFleetStoreConfig(shared, {}),
      from,
      environment: shared,
      clock: new SystemClock(),
      tables: tablesOf(extensions),
    });
    return made;
  }

  get opsUrl(): string {
    return `http://${this.environment["NEXUS_OPS_LISTEN"]}`;
  }

  /** Starts the hub, and waits until it leads. */
  async start(clock: Clock): Promise<void> {
    const config = loadConfig(this.environment, {}, { isTTY: false }, extensions);
    this.#leader = await this.place.startWith({ config, environment: this.environment, clock });
    LeaderBeside.count++;
    await until("the hub beside the follower leads", async () => {
      const { fleet } = await this.clients.status.getStatus({});
      return fleet?.role === FleetRole.LEADER;
    });
  }

  /** Resolves when a hub has what this one has written. */
  async followedBy({ status }: Pick<Clients, "status">): Promise<void> {
    const written = (await this.clients.status.getStatus({})).fleet?.applied ?? 0n;
    await until("the follower has what its leader wrote", async () => {
      return ((await status.getStatus({})).fleet?.applied ?? 0n) >= written;
    });
  }

  async stop(): Promise<void> {
    await this.#leader?.stop();
    this.#leader = undefined;
  }

  async close(): Promise<void> {
    await server.query(`DROP DATABASE ${this.database} WITH (FORCE)`, "postgres");
  }
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (const deadlineMs = Date.now() + 20_000; !(await holds()); ) {
    if (Date.now() > deadlineMs) throw new Error(`it takes too long until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
