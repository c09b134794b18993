import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { TcpProxy } from "../../../fakes/tcp_proxy.js";
import type { HubMessage, HubSettings } from "./hub.js";

/** What a batch of a hub was acknowledged with. */
export interface Acknowledged {
  readonly position: string;
  readonly id: string;
  readonly events: readonly string[];
}

export interface HubOptions {
  readonly program: string;
  readonly folder: string;
  readonly settings: Omit<HubSettings, "owner" | "folder" | "address" | "url" | "providerPort">;
  readonly database: { readonly target: string; readonly urlOf: (folder: string) => string };
  readonly providerPort: number;
  /** Exit codes that no hub may have. */
  readonly onBroken: (words: string) => void;
}

/** One hub, its links through proxies of its own, and its life after life. */
export class HubProcess {
  owner = "";
  isLeader = false;
  isPaused = false;
  #child: ChildProcess | undefined;
  #state: ((state: { position: bigint; digest: string }) => void) | undefined;
  #isOver = false;

  private constructor(
    private readonly options: HubOptions,
    readonly databaseLink: TcpProxy & { readonly folder: string },
    readonly providerLink: TcpProxy,
    readonly hubLink: TcpProxy,
  ) {}

  static async make(options: HubOptions): Promise<HubProcess> {
    mkdirSync(options.folder, { recursive: true });
    const hub = new HubProcess(
      options,
      await TcpProxy.postgres(options.database.target),
      await TcpProxy.tcp(options.providerPort),
      await TcpProxy.tcp(join(options.folder, "socket")),
    );
    hub.start();
    return hub;
  }

  start(): void {
    if (this.#isOver) return;
    const { folder, settings, program, database, onBroken } = this.options;
    this.owner = randomUUID();
    this.isLeader = false;
    rmSync(join(folder, "socket"), { force: true });
    const storm: HubSettings = {
      ...settings,
      owner: this.owner,
      folder,
      url: database.urlOf(this.databaseLink.folder),
      address: `http://127.0.0.1:${this.hubLink.port}`,
      providerPort: this.providerLink.port,
    };
    const child = spawn(process.execPath, [program], {
      env: { ...process.env, STORM: JSON.stringify(storm) },
      stdio: ["ignore", "ignore", "pipe", "ipc"],
    });
    let errors = "";
    child.stderr?.on("data", (piece) => {
      errors += String(piece);
    });
    child.on("message", (message) => this.#hear(message as HubMessage));
    child.on("exit", (code, signal) => {
      if (child !== this.#child) return;
      this.isLeader = false;
      if (code !== 0 && code !== 75 && signal === null)
        onBroken(`a hub exits with ${code}: ${errors.slice(-600)}`);
      setTimeout(() => this.start(), 200 + Math.random() * 1_500);
    });
    this.#child = child;
  }

  signal(name: NodeJS.Signals): void {
    this.#child?.kill(name);
  }

  /** Asks it to refresh nothing more. */
  quiet(): void {
    if (this.#child?.connected) this.#child.send("stop");
  }

  state(): Promise<{ position: bigint; digest: string } | undefined> {
    return new Promise((resolve) => {
      this.#state = resolve;
      if (this.#child?.connected) this.#child.send("state");
      setTimeout(() => resolve(undefined), 2_000);
    });
  }

  acknowledged(): Acknowledged[] {
    const file = join(this.options.folder, "acknowledged");
    if (!existsSync(file)) return [];
    // The last line of a hub that was killed may be cut.
    const lines = readFileSync(file, "utf8")
      .split("\n")
      .filter((line) => line.endsWith("}"));
    return lines.map((line) => JSON.parse(line) as Acknowledged);
  }

  /** A database elsewhere, as after a failover. */
  retarget(target: string): void {
    this.databaseLink.retarget(target);
    this.databaseLink.reset();
  }

  async close(): Promise<void> {
    this.#isOver = true;
    this.#child?.kill("SIGKILL");
    for (const link of [this.databaseLink, this.providerLink, this.hubLink]) await link.close();
  }

  #hear(message: HubMessage): void {
    if (message.kind === "state")
      this.#state?.({ position: BigInt(message.position), digest: message.digest });
    else this.isLeader = message.kind === "leads";
  }
}
