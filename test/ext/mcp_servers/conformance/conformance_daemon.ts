import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DaemonProcess } from "../../../daemon/daemon_process.js";
import { freePort } from "../../../free_port.js";

/** Where a daemon is, for the agents. */
export interface DaemonPlace {
  readonly httpUrl: string;
  readonly publicUrl: string;
  readonly browserPort: number;
  readonly apiKey: string;
  /** Where the daemon reads the JWT of its machine. */
  readonly workloadFile: string;
}

/** `nexusd serve`, as a user starts it, for all scenarios of a run. */
export class ConformanceDaemon {
  private constructor(
    readonly place: DaemonPlace,
    private readonly process: DaemonProcess,
    private readonly folder: string,
  ) {}

  /**
   * `loopback` is a daemon at a developer's machine. `https` is one on the web, behind a proxy: the suite expects its Client ID Metadata
   * Document at this very URL, which is that of a daemon whose profiles share one redirect URI.
   */
  static async startBoth(): Promise<Readonly<Record<"loopback" | "https", ConformanceDaemon>>> {
    const [loopback, https] = await Promise.all([
      ConformanceDaemon.#start((port) => ({ NEXUS_PUBLIC_URL: `http://localhost:${port}` })),
      ConformanceDaemon.#start(() => ({
        NEXUS_PUBLIC_URL: "https://conformance-test.local",
        NEXUS_SHARED_REDIRECT_URI: "true",
      })),
    ]);
    return { loopback, https };
  }

  static async #start(more: (port: number) => Record<string, string>): Promise<ConformanceDaemon> {
    const folder = mkdtempSync(join(tmpdir(), "nexus-mcp-daemon-"));
    const [browserPort, httpPort] = [await freePort(), await freePort()];
    const settings = more(browserPort);
    const workloadFile = join(folder, "workload.jwt");
    const daemon = new DaemonProcess({
      NEXUS_DATA_DIR: folder,
      NEXUS_BROWSER_LISTEN: `127.0.0.1:${browserPort}`,
      NEXUS_HTTP_LISTEN: `127.0.0.1:${httpPort}`,
      NEXUS_OPS_LISTEN: "off",
      NEXUS_LOG_FORMAT: "json",
      NEXUS_ALLOW_LOOPBACK_PROVIDERS: "true",
      NEXUS_CLIENT_ASSERTION_FILES: `workload=${workloadFile}`,
      ...settings,
    });
    await daemon.ready();
    const apiKey = readFileSync(join(folder, "admin.key"), "utf8").trim();
    const httpUrl = `http://127.0.0.1:${httpPort}`;
    const publicUrl = settings["NEXUS_PUBLIC_URL"] ?? "";
    return new ConformanceDaemon({ httpUrl, publicUrl, browserPort, apiKey, workloadFile }, daemon, folder);
  }

  /** What the daemon wrote. */
  get log(): string {
    return this.process.output;
  }

  async stop(): Promise<void> {
    await this.process.kill("SIGTERM");
    rmSync(this.folder, { recursive: true, force: true });
  }
}
