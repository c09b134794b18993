import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Role } from "../../../src/gen/nexus/v1/access_pb.js";
import { FleetRole, type FleetStatus } from "../../../src/gen/nexus/v1/status_pb.js";
import { Postgres } from "../../../test/fakes/postgres.js";
import { freePort } from "../../../test/free_port.js";
import { postgresPrograms } from "../../../test/needs.js";
import { DaemonProcess, program, withoutSettings } from "../daemon_process.js";
import { DemoFailure } from "../failure.js";
import { Balancer } from "./balancer.js";

/** Seconds. Short, so that nobody waits long for the next leader. */
export const leaseSeconds = 3;
/** A hub that is no longer what it was ends so, to be started again. */
const endedToBeginAnew = "exit code 75";

/** One hub, started again by whatever runs it. */
export class DemoHub {
  constructor(
    /** `A`, `B`, `C`. */
    readonly name: string,
    /** Where the other hubs reach it. */
    readonly address: string,
    public daemon: DaemonProcess,
  ) {}

  /** Whether it is to run. */
  isUp = true;

  get clients(): DaemonProcess["clients"] {
    return this.daemon.clients;
  }

  get browserPort(): number {
    return Number(this.daemon.environment["NEXUS_BROWSER_LISTEN"]?.split(":").at(-1));
  }

  /** What it says of the fleet; undefined where it does not answer. */
  async status(): Promise<FleetStatus | undefined> {
    const answer = await this.clients.status.getStatus({}, { timeoutMs: 2_000 }).catch(() => undefined);
    return answer?.fleet;
  }
}

export interface DemoFleetOptions {
  readonly onLog: (line: string) => void;
  /** Called when a hub has ended with 75 and was started again. */
  readonly onBegunAnew: (hub: DemoHub) => void;
}

/** A PostgreSQL, three hubs, what stands before them, and two spokes beside agents. */
export class DemoFleet {
  readonly spokes: DemoHub[] = [];
  #isClosing = false;
  #keyFolder: string | undefined;
  readonly #broken = new AbortController();

  private constructor(
    readonly postgres: Postgres,
    private readonly balancer: Balancer,
    readonly hubs: readonly DemoHub[],
    private readonly options: DemoFleetOptions,
  ) {}

  /** @throws DemoFailure that says what this machine lacks */
  static async start(options: DemoFleetOptions, signal: AbortSignal): Promise<DemoFleet> {
    if (postgresPrograms() === undefined) {
      throw new DemoFailure(
        "PostgreSQL 14 or newer is missing: `apt-get install postgresql`, or put the folder of its initdb on the PATH",
      );
    }
    const postgres = await Postgres.start();
    const balancer = await Balancer.start();
    const hubs: DemoHub[] = [];
    const fleet = new DemoFleet(postgres, balancer, hubs, options);
    try {
      await fleet.#startHubs(hubs, signal);
    } catch (error) {
      await fleet.close();
      throw error;
    }
    return fleet;
  }

  async #startHubs(hubs: DemoHub[], signal: AbortSignal): Promise<void> {
    const shared = {
      NEXUS_STORE: this.postgres.url(),
      NEXUS_ENCRYPTION_KEY: randomBytes(32).toString("base64"),
      NEXUS_PUBLIC_URL: `http://localhost:${this.balancer.port}`,
      NEXUS_FLEET_LEASE_SECONDS: String(leaseSeconds),
      NEXUS_CONSOLE_LISTEN: "off",
    };
    const initFolder = await mkdtemp(join(tmpdir(), "nexus-demo-"));
    // Without a folder of its own it would look at the store of this machine's user.
    await nexusd(["fleet", "init"], { ...shared, NEXUS_DATA_DIR: initFolder });
    await rm(initFolder, { recursive: true, force: true });
    for (const name of ["A", "B", "C"]) {
      const address = `127.0.0.1:${await freePort()}`;
      const settings = { ...shared, NEXUS_FLEET_LISTEN: address };
      const daemon = await DaemonProcess.start((line) => this.options.onLog(`${name} ${line}`), settings);
      const hub = new DemoHub(name, address, daemon);
      hubs.push(hub);
      void this.#supervise(hub);
    }
    const either = AbortSignal.any([signal, this.broken]);
    await Promise.all(hubs.map(({ daemon }) => daemon.ready(either)));
    this.balancer.ports = hubs.map(({ browserPort }) => browserPort);
  }

  /** Two daemons without connections of their own, which are agents to the hubs. Resolves when they hold their copies. */
  async startSpokes(signal: AbortSignal): Promise<void> {
    const [hub] = this.up as [DemoHub];
    const restriction = { userIds: ["*"] };
    const { key } = await hub.clients.access.createApiKey({ name: "spoke", role: Role.AGENT, restriction });
    this.#keyFolder = await mkdtemp(join(tmpdir(), "nexus-demo-key-"));
    const keyFile = join(this.#keyFolder, "key");
    await writeFile(keyFile, key, { mode: 0o600 });
    const urls = this.hubs.map(({ daemon }) => `http://${daemon.environment["NEXUS_HTTP_LISTEN"]}`);
    const settings = {
      NEXUS_UPSTREAM: urls.join(","),
      NEXUS_UPSTREAM_TOKEN_FILE: keyFile,
      NEXUS_CONSOLE_LISTEN: "off",
    };
    for (const name of ["spoke 1", "spoke 2"]) {
      const daemon = await DaemonProcess.start((line) => this.options.onLog(`${name} ${line}`), settings);
      const spoke = new DemoHub(name, "", daemon);
      this.spokes.push(spoke);
      void this.#supervise(spoke);
      await daemon.ready(signal);
    }
  }

  /** Whoever an agent may ask. */
  get places(): readonly DemoHub[] {
    return [...this.hubs, ...this.spokes];
  }

  /** Aborted when a hub ends in a way that it should not; the reason says how. */
  get broken(): AbortSignal {
    return this.#broken.signal;
  }

  /** Those that run. */
  get up(): readonly DemoHub[] {
    return this.hubs.filter(({ isUp }) => isUp);
  }

  /** The hub that leads, as soon as one does and all that run know it. */
  async leader(signal: AbortSignal): Promise<DemoHub> {
    for (;;) {
      const seen = await Promise.all(this.up.map((hub) => hub.status()));
      const leading = this.up.filter((_, index) => seen[index]?.role === FleetRole.LEADER);
      const [leader] = leading;
      const isKnown = seen.every((fleet) => fleet !== undefined && fleet.leader === leader?.address);
      if (leader !== undefined && leading.length === 1 && isKnown) return leader;
      await sleep(50, undefined, { signal });
    }
  }

  /** As a power cut. */
  async kill(hub: DemoHub): Promise<void> {
    hub.isUp = false;
    await hub.daemon.kill();
  }

  /** Resolves when it is ready. */
  async startAgain(hub: DemoHub, signal: AbortSignal): Promise<void> {
    hub.daemon = hub.daemon.again();
    void this.#supervise(hub);
    await hub.daemon.ready(signal);
    hub.isUp = true;
  }

  /** Asks all to end, as an init system does. @returns how each ended */
  async end(): Promise<string[]> {
    this.#isClosing = true;
    for (const { daemon } of this.places) daemon.terminate();
    return await Promise.all(this.places.map(({ daemon }) => daemon.ended()));
  }

  /** Leaves nothing behind. */
  async close(): Promise<void> {
    this.#isClosing = true;
    await Promise.all(this.places.map(({ daemon }) => daemon.remove()));
    if (this.#keyFolder !== undefined) await rm(this.#keyFolder, { recursive: true, force: true });
    await this.balancer.stop();
    await this.postgres.close();
  }

  /** As systemd does with `Restart=always`. */
  async #supervise(hub: DemoHub): Promise<void> {
    const how = await hub.daemon.died();
    if (this.#isClosing) return;
    if (how !== endedToBeginAnew) {
      this.#broken.abort(new DemoFailure(`${hub.name} died: ${how}`));
      return;
    }
    hub.daemon = hub.daemon.again();
    this.options.onBegunAnew(hub);
    void this.#supervise(hub);
  }
}

/** Runs a command. @throws DemoFailure with what it printed when it does not end with 0 */
async function nexusd(words: readonly string[], settings: Readonly<Record<string, string>>): Promise<void> {
  const command = spawn(process.execPath, [program, ...words], {
    env: { ...withoutSettings(), ...settings },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [command.stdout, command.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  }
  const [code] = (await once(command, "close")) as [number | null];
  if (code !== 0) throw new DemoFailure(`nexusd ${words.join(" ")} ended with ${code}: ${output}`);
}
