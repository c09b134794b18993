import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DaemonProcess } from "../daemon/daemon_process.js";
import { Place } from "../daemon/harness.js";
import { Browser } from "../fakes/browser.js";
import { ScriptedProvider, scriptedClient } from "../fakes/scripted_provider.js";
import { freePort } from "../free_port.js";

/** Long enough for a laden machine: nothing here is measured. */
const maxStartSeconds = 60;

/** A daemon as a process, a provider with two connections, and an API that takes nothing but their newest tokens. */
export class Stage {
  /** By the caller's path: the status of each answer. */
  readonly apiAnswers = new Map<string, number[]>();
  /** The newest token of each connection. */
  readonly #newest = new Map<string, string>();
  /** The connection that the next token is issued to. */
  #issuedTo = "";
  #api = createServer(({ url = "", headers }, response) => {
    if (url === "/elsewhere") {
      response.writeHead(200, { "content-type": "text/html" }).end("<title>Another page</title>");
      return;
    }
    const isNewest = [...this.#newest.values()].some((token) => headers.authorization === `Bearer ${token}`);
    const status = isNewest ? 200 : 401;
    this.apiAnswers.set(url, [...(this.apiAnswers.get(url) ?? []), status]);
    response.writeHead(status).end();
  });
  #daemon: DaemonProcess | undefined;
  first = "";
  second = "";

  private constructor(
    readonly place: Place,
    /** The gRPC listener over TCP. */
    readonly grpcHost: string,
    readonly provider: ScriptedProvider,
  ) {}

  static async set(): Promise<Stage> {
    const folder = mkdtempSync(join(tmpdir(), "nexus-interop-"));
    const grpcHost = `127.0.0.1:${await freePort()}`;
    const place = await Place.make({
      NEXUS_DATA_DIR: folder,
      NEXUS_GRPC_LISTEN: `unix:${join(folder, "nexus.sock")},${grpcHost}`,
      NEXUS_ALLOW_LOOPBACK_PROVIDERS: "true",
      NEXUS_PROXIES: "true",
    });
    const stage = new Stage(place, grpcHost, await ScriptedProvider.start());
    await once(stage.#api.listen(0, "127.0.0.1"), "listening");
    stage.provider.become({
      shapeAnswer: (standard) => {
        stage.#newest.set(stage.#issuedTo, standard.access_token);
        return standard;
      },
    });
    await stage.startDaemon();
    stage.first = await stage.#connect("first");
    stage.second = await stage.#connect("second");
    return stage;
  }

  get unixAddress(): string {
    return `unix:${this.place.socket}`;
  }

  get apiUrl(): string {
    return `http://127.0.0.1:${(this.#api.address() as AddressInfo).port}`;
  }

  get keyFile(): string {
    return join(this.place.config.dataDir, "admin.key");
  }

  /** A file with a key that the daemon does not know. */
  get wrongKeyFile(): string {
    const file = join(this.place.config.dataDir, "wrong.key");
    writeFileSync(file, `${"wrong".repeat(8)}\n`, { mode: 0o600 });
    return file;
  }

  async startDaemon(): Promise<void> {
    this.#daemon = new DaemonProcess(this.place.environment);
    await within(maxStartSeconds, "the daemon starts", this.#daemon.ready());
  }

  /** Ends the daemon and waits until it is gone. */
  async endDaemon(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    if (this.#daemon) await within(maxStartSeconds, "the daemon ends", this.#daemon.kill(signal));
    this.#daemon = undefined;
  }

  /** Has a token refreshed. @returns its revision */
  async refresh(connectionId: string): Promise<number> {
    this.#issuedTo = connectionId === this.first ? "first" : "second";
    const { token } = await this.place.clients().tokens.refreshToken({ connectionId });
    return Number(token?.revision);
  }

  /** The token of the first connection, for a check of what a tool shows. */
  get firstToken(): string {
    return this.#newest.get("first") ?? "";
  }

  async strike(): Promise<void> {
    await this.endDaemon("SIGKILL");
    this.#api.closeAllConnections();
    this.#api.close();
    await this.provider.close();
    rmSync(this.place.config.dataDir, { recursive: true, force: true });
  }

  async #connect(name: string): Promise<string> {
    this.#issuedTo = name;
    const { providers, connections } = this.place.clients();
    const { provider } = await providers.createProvider({
      provider: {
        name,
        ...scriptedClient,
        authUrl: this.provider.authUrl,
        tokenUrl: this.provider.tokenUrl,
        scopes: ["read"],
      },
    });
    const { authUrl, connectionId } = await connections.requestConnection({
      userId: "ada",
      provider: { case: "providerId", value: provider?.id ?? "" },
    });
    const { status, body } = await new Browser().get(authUrl);
    if (status !== 200) throw new Error(`the consent ended with ${status}: ${body}`);
    return connectionId;
  }
}

/** @throws Error that says what did not come to pass in time */
export async function within<T>(seconds: number, what: string, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${seconds} s: ${what}`)), seconds * 1000);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
