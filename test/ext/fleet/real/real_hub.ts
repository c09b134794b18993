import { randomUUID } from "node:crypto";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { FleetRole } from "../../../../src/gen/nexus/v1/status_pb.js";
import { DaemonProcess } from "../../../daemon/daemon_process.js";
import { type Clients, clientsOf } from "../../../daemon/harness.js";
import { TcpProxy } from "../../../fakes/tcp_proxy.js";
import { freePort } from "../../../free_port.js";
import type { StormHub } from "../storm/faults.js";

export interface RealHubOptions {
  readonly folder: string;
  readonly environment: NodeJS.ProcessEnv;
  /** The sockets of the database's hosts, and a URL for those of the links before them. */
  readonly database: { readonly targets: readonly string[]; readonly urlOf: (folders: string) => string };
  /** The one link to the provider, which all hubs have. */
  readonly providerLink: TcpProxy;
  /** `main.js` of another build than this one. */
  readonly main: string | undefined;
  /** Asked less often whether it leads, and not watched. */
  readonly isMeasured: boolean;
  readonly onBroken: (words: string) => void;
  /** An access token that a stream of this hub brought: its refresh is durable. */
  readonly onToken: (accessToken: string) => void;
}

/** One process of a hub. */
export interface Life {
  readonly owner: string;
  readonly daemon: DaemonProcess;
  /** How it ended; undefined: it lives. */
  code: number | string | undefined;
}

class StartGate {
  isOpen = true;
  #wake: () => void = () => undefined;

  close(): void {
    this.isOpen = false;
  }

  open(): void {
    this.isOpen = true;
    this.#wake();
  }

  async passed(): Promise<void> {
    if (this.isOpen) return;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
  }
}

/** How a hub may end: drained, or deposed. */
const mayEndWith: readonly (number | string)[] = [0, 75, "SIGKILL", "SIGTERM"];
/** How often it is asked whether it leads. */
const lookMs = 250;
const measuredLookMs = 2_000;
/** How long one that is told to end may drain. */
const endingMs = 40_000;

/** A `nexusd serve` of the storm, its links through proxies of its own, and its life after life. */
export class RealHub implements StormHub {
  /** Closed: what ends is not started again until it is opened. */
  readonly mayStart = new StartGate();
  owner = "";
  /** `main.js` of the version that is started from now on; undefined: this one. */
  main: string | undefined;
  isLeader = false;
  /** Of all its processes, the newest last. */
  readonly lives: Life[] = [];
  readonly clients: Clients;
  readonly #stopping = new AbortController();
  #daemon: DaemonProcess | undefined;
  #living: Promise<void> = Promise.resolve();
  #reigns = 0;

  private constructor(
    private readonly options: RealHubOptions,
    readonly environment: NodeJS.ProcessEnv,
    readonly databaseLinks: readonly TcpProxy[],
    readonly hubLink: TcpProxy,
  ) {
    this.clients = clientsOf(this.socket);
  }

  static async make(options: RealHubOptions): Promise<RealHub> {
    mkdirSync(options.folder, { recursive: true, mode: 0o700 });
    const databaseLinks = await Promise.all(options.database.targets.map((each) => TcpProxy.postgres(each)));
    const port = await freePort();
    const hubLink = await TcpProxy.tcp(port);
    const environment = {
      ...options.environment,
      NEXUS_DATA_DIR: options.folder,
      NEXUS_STORE: options.database.urlOf(databaseLinks.map(({ folder }) => folder).join(",")),
      NEXUS_FLEET_LISTEN: `127.0.0.1:${port}`,
      NEXUS_FLEET_ADDRESS: `127.0.0.1:${hubLink.port}`,
      NEXUS_HTTP_LISTEN: `127.0.0.1:${await freePort()}`,
      NEXUS_OPS_LISTEN: `127.0.0.1:${await freePort()}`,
      NEXUS_BROWSER_LISTEN: `127.0.0.1:${await freePort()}`,
    };
    const hub = new RealHub(options, environment, databaseLinks, hubLink);
    hub.main = options.main;
    hub.#living = hub.#live();
    void hub.#look();
    if (!options.isMeasured) void hub.#watch();
    return hub;
  }

  get socket(): string {
    return join(this.options.folder, "nexus.sock");
  }

  get port(): number {
    return Number(this.environment["NEXUS_HTTP_LISTEN"]?.split(":")[1]);
  }

  get pid(): number {
    return this.#daemon?.pid ?? 0;
  }

  get providerLink(): TcpProxy {
    return this.options.providerLink;
  }

  /** How often it was seen to begin to lead. */
  get reigns(): number {
    return this.#reigns;
  }

  signal(name: NodeJS.Signals): void {
    this.#daemon?.signal(name);
  }

  /** SIGKILL; resolves when it is gone. */
  async killed(): Promise<void> {
    this.signal("SIGKILL");
    await this.#daemon?.exited;
  }

  /** Who leads, as this hub has heard. */
  async leaderAddress(): Promise<string | undefined> {
    const status = await this.clients.status.getStatus({}, { timeoutMs: 1_000 }).catch(() => undefined);
    return status?.fleet?.leader;
  }

  /** Ends it for good. */
  async stop(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    this.#stopping.abort();
    this.mayStart.open();
    this.signal("SIGCONT");
    this.signal(signal);
    const isOver = await Promise.race([
      this.#living.then(() => true),
      sleep(endingMs, false, { ref: false }),
    ]);
    if (isOver) return;
    this.options.onBroken(`a hub does not end within ${endingMs} ms of ${signal}`);
    this.signal("SIGKILL");
    await this.#living;
  }

  async close(): Promise<void> {
    await this.stop("SIGKILL");
    for (const link of this.databaseLinks) await link.close();
    await this.hubLink.close();
  }

  async #live(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      this.owner = randomUUID();
      this.isLeader = false;
      // The process of the storm holds the provider and all links, and judges by what it saw: hubs give way to it.
      const program = this.main === undefined ? undefined : [process.execPath, this.main];
      const daemon = new DaemonProcess(this.environment, ["serve"], ["nice", "-n", "10"], program);
      this.#daemon = daemon;
      const life: Life = { owner: this.owner, daemon, code: undefined };
      this.lives.push(life);
      const code = await daemon.exited;
      life.code = code;
      this.isLeader = false;
      // One whose database cannot be reached, and that has no copy yet, is started again too.
      const isEarly = !daemon.output.includes("nexusd is ready");
      if (!mayEndWith.includes(code) && !isEarly) {
        this.options.onBroken(`a hub ends with ${code}: ${daemon.output.slice(-1_500)}`);
      }
      await sleep(200 + Math.random() * 800);
      await this.mayStart.passed();
    }
  }

  async #look(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      const { owner } = this;
      const status = await this.clients.status.getStatus({}, { timeoutMs: 1_000 }).catch(() => undefined);
      if (owner === this.owner) {
        const leads = status?.fleet?.role === FleetRole.LEADER;
        if (leads && !this.isLeader) this.#reigns++;
        this.isLeader = leads;
      }
      await sleep(this.options.isMeasured ? measuredLookMs : lookMs);
    }
  }

  async #watch(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      try {
        for await (const { event } of this.clients.tokens.watchTokens(
          {},
          { signal: this.#stopping.signal },
        )) {
          const accessToken = event.case === "state" && event.value.token?.credentials["access_token"];
          if (accessToken) this.options.onToken(accessToken);
        }
      } catch {
        // It is killed and started again.
      }
      await sleep(100);
    }
  }
}
