import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { AccessService } from "../../src/gen/nexus/v1/access_pb.js";
import { AuditService } from "../../src/gen/nexus/v1/audit_pb.js";
import { ConnectionService } from "../../src/gen/nexus/v1/connection_pb.js";
import { FleetService } from "../../src/gen/nexus/v1/fleet_pb.js";
import { ProviderService } from "../../src/gen/nexus/v1/provider_pb.js";
import { StatusService } from "../../src/gen/nexus/v1/status_pb.js";
import { TokenService } from "../../src/gen/nexus/v1/token_pb.js";
import { freePort } from "../../test/free_port.js";
import { DemoFailure } from "./failure.js";

/** What `npm run build` makes. */
export const program = fileURLToPath(new URL("../../dist/main.js", import.meta.url));
/** Nobody reads more of a log than this. */
const maxLogLines = 40;
/** The daemon promises to be gone within 5 s of SIGTERM. */
const maxStopMs = 10_000;

/** gRPC over the Unix socket, as an agent does it. */
function connectTo(socket: string) {
  const transport = createGrpcTransport({
    baseUrl: "http://localhost",
    nodeOptions: { createConnection: () => connect(socket) },
  });
  return {
    providers: createClient(ProviderService, transport),
    connections: createClient(ConnectionService, transport),
    tokens: createClient(TokenService, transport),
    status: createClient(StatusService, transport),
    audit: createClient(AuditService, transport),
    fleet: createClient(FleetService, transport),
    access: createClient(AccessService, transport),
  };
}

/** `nexusd serve` in a process of its own, on a temporary folder and free ports: no other daemon is in its way. */
export class DaemonProcess {
  readonly #process: ChildProcess;
  readonly #exited: Promise<string>;
  readonly #log: string[] = [];
  #isStopping = false;
  readonly clients: ReturnType<typeof connectTo>;

  private constructor(
    /** Its settings, and what else it is started with. */
    readonly environment: NodeJS.ProcessEnv,
    private readonly onLog: (line: string) => void,
  ) {
    this.clients = connectTo(join(this.dataDir, "nexus.sock"));
    // A group of its own, so that Ctrl-C in the terminal reaches the demo alone, which then stops the daemon in order.
    this.#process = spawn(process.execPath, [program, "serve"], {
      detached: true,
      env: environment,
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#exited = new Promise((resolve) => {
      this.#process.once("error", (error) => resolve(error.message));
      this.#process.once("close", (code, signal) => resolve(signal ?? `exit code ${code}`));
    });
    for (const output of [this.#process.stdout, this.#process.stderr]) {
      output?.setEncoding("utf8").on("data", (text: string) => {
        for (const line of text.split("\n").filter((part) => part !== "")) {
          this.#log.push(line);
          if (this.#log.length > maxLogLines) this.#log.shift();
          onLog(line);
        }
      });
    }
  }

  /** @param more settings besides, which win */
  static async start(
    onLog: (line: string) => void,
    more: Readonly<Record<string, string>> = {},
  ): Promise<DaemonProcess> {
    if (!existsSync(program)) throw new DemoFailure(`${program} is missing: run \`npm run build\` first`);
    const [browserPort, httpPort, opsPort] = [await freePort(), await freePort(), await freePort()];
    const environment = {
      ...withoutSettings(),
      NEXUS_DATA_DIR: await mkdtemp(join(tmpdir(), "nexus-demo-")),
      NEXUS_PUBLIC_URL: `http://localhost:${browserPort}`,
      NEXUS_BROWSER_LISTEN: `127.0.0.1:${browserPort}`,
      NEXUS_HTTP_LISTEN: `127.0.0.1:${httpPort}`,
      NEXUS_OPS_LISTEN: `127.0.0.1:${opsPort}`,
      NEXUS_LOG_FORMAT: "pretty",
      // The provider of the demo stands on this machine, which a daemon does not call by default.
      NEXUS_ALLOW_LOOPBACK_PROVIDERS: "true",
      ...more,
    };
    return new DaemonProcess(environment, onLog);
  }

  /** Another process on the same folder with the same settings, when this one has ended. */
  again(): DaemonProcess {
    return new DaemonProcess(this.environment, this.onLog);
  }

  get dataDir(): string {
    return this.environment["NEXUS_DATA_DIR"] ?? "";
  }

  get publicUrl(): string {
    return this.environment["NEXUS_PUBLIC_URL"] ?? "";
  }

  /** Resolves when the process ends without having been asked to, and says how. */
  async died(): Promise<string> {
    const how = await this.#exited;
    return this.#isStopping ? new Promise<never>(() => {}) : how;
  }

  /** The end of its log. */
  get log(): readonly string[] {
    return this.#log;
  }

  /** Resolves when it serves. */
  async ready(signal: AbortSignal): Promise<void> {
    const isReady = () =>
      fetch(`http://${this.environment["NEXUS_OPS_LISTEN"]}/readyz`, { signal })
        .then(({ ok }) => ok)
        .catch(() => false);
    while (!(await isReady())) {
      if (this.#process.exitCode !== null) throw new Error("the daemon did not start");
      await sleep(50, undefined, { signal });
    }
  }

  /** Asks it to end, as an init system does. */
  terminate(): void {
    this.#isStopping = true;
    this.#process.kill("SIGTERM");
  }

  /** Ends it as a power cut does. Resolves when it is gone. */
  async kill(): Promise<void> {
    this.#isStopping = true;
    this.#process.kill("SIGKILL");
    await this.#exited;
  }

  /** How it ended: `exit code 0` when all went well. One that does not end in time is killed. */
  async ended(): Promise<string> {
    const killer = setTimeout(() => this.#process.kill("SIGKILL"), maxStopMs);
    const how = await this.#exited;
    clearTimeout(killer);
    return how;
  }

  /** Leaves nothing behind. */
  async remove(): Promise<void> {
    this.terminate();
    await this.ended();
    await rm(this.dataDir, { recursive: true, force: true });
  }
}

/** What this process was started with, without the settings of the person's own daemon. */
export function withoutSettings(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("NEXUS_")));
}
