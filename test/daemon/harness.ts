import { cpSync, lstatSync, readFileSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import type { Client } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { type Config, loadConfig } from "../../src/config/config.js";
import type { DaemonOptions } from "../../src/core/daemon_options.js";
import type { Extension } from "../../src/core/registry.js";
import { Daemon } from "../../src/daemon/daemon.js";
import { extensions } from "../../src/ext/extensions.js";
import type { TokenService, WatchTokensResponse } from "../../src/gen/nexus/v1/token_pb.js";
import { type Clock, SystemClock } from "../../src/runtime/clock.js";
import { createLogger } from "../../src/telemetry/logger.js";
import { type Clients, clientsOver } from "../all_clients.js";
import { Browser } from "../fakes/browser.js";
import { ManualClock } from "../fakes/manual_clock.js";
import {
  type OpenIdProvider,
  type OpenIdProviderOptions,
  startOpenIdProvider,
} from "../fakes/openid_provider.js";
import { freePort } from "../free_port.js";
import { leaveLog, sweptFolder } from "../run_folder.js";
import { consented, registeredAt, requestOf } from "./requests.js";
import { RestClient } from "./rest_client.js";

export type { Clients };

/** gRPC over a Unix socket. */
export const socketTransport = (socket: string) =>
  createGrpcTransport({
    baseUrl: "http://localhost",
    nodeOptions: { createConnection: () => connect(socket) },
  });

export const clientsOf = (socket: string): Clients => clientsOver(socketTransport(socket));

/** A folder and ports for a daemon, which can be started on them again and again. */
export class Place {
  readonly logLines: string[] = [];

  private constructor(
    readonly config: Config,
    readonly environment: NodeJS.ProcessEnv,
  ) {}

  static async make(environment: NodeJS.ProcessEnv = {}): Promise<Place> {
    const port = await freePort();
    const all = {
      NEXUS_BROWSER_LISTEN: `127.0.0.1:${port}`,
      NEXUS_PUBLIC_URL: `http://localhost:${port}`,
      NEXUS_HTTP_LISTEN: `127.0.0.1:${await freePort()}`,
      NEXUS_OPS_LISTEN: `127.0.0.1:${await freePort()}`,
      NEXUS_ALLOWED_RETURN_URLS: "http://127.0.0.1:3999",
      NEXUS_LOG_FORMAT: "json",
      NEXUS_ALLOW_LOOPBACK_PROVIDERS: "true",
      NEXUS_PROXIES: "true",
      ...environment,
      NEXUS_DATA_DIR: sweptFolder(environment["NEXUS_DATA_DIR"]),
    };
    return new Place(loadConfig(all, {}, { isTTY: false }, extensions), all);
  }

  get socket(): string {
    return join(this.config.dataDir, "nexus.sock");
  }

  get httpUrl(): string {
    const {
      NEXUS_TLS_CERT_FILE: certificate,
      NEXUS_TLS_LISTENERS: listeners = "http",
      NEXUS_HTTP_LISTEN: listen = "",
    } = this.environment;
    const isSecure = certificate !== undefined && listeners.split(",").includes("http");
    return `${isSecure ? "https" : "http"}://${listen.split(",")[0]}`;
  }

  get opsUrl(): string {
    return `http://${this.environment["NEXUS_OPS_LISTEN"]}`;
  }

  get apiKey(): string {
    return readFileSync(join(this.config.dataDir, "admin.key"), "utf8").trim();
  }

  clients(): Clients {
    return clientsOf(this.socket);
  }

  /** Starts the daemon in this process, its time moved by `clock`. @param more settings that the programs of a test do not have */
  start(clock: Clock, more: NodeJS.ProcessEnv = {}): Promise<Daemon> {
    const environment = { ...this.environment, ...more };
    const config =
      Object.keys(more).length === 0
        ? this.config
        : loadConfig(environment, {}, { isTTY: false }, extensions);
    return this.startWith({ config, environment, clock });
  }

  /** Starts a daemon of other settings, or of other extensions, which logs to the lines of this one. */
  startWith(
    options: Pick<DaemonOptions, "config" | "environment" | "clock">,
    known: readonly Extension[] = extensions,
  ): Promise<Daemon> {
    const given = {
      ...options,
      linkClock: new SystemClock(),
      log: createLogger({
        level: "debug",
        format: "json",
        isTTY: false,
        write: (line) => {
          this.logLines.push(line);
          leaveLog(line.endsWith("\n") ? line : `${line}\n`);
        },
      }),
      random: () => 0.5,
      onFatal: (error: unknown) => {
        throw error;
      },
    };
    return Daemon.start(given, known);
  }
}

/** The hub that leads, where the daemons of a run follow one: `test/ext/fleet/follower`. */
export interface Beside {
  readonly opsUrl: string;
  readonly socket: string;
  /** What makes the daemon of the place the hub that follows. */
  readonly followerSettings: NodeJS.ProcessEnv;
  start(clock: Clock): Promise<void>;
  followedBy(clients: Clients): Promise<void>;
  stop(): Promise<void>;
  close(): Promise<void>;
}

export const beside: { make?(place: Place): Promise<Beside | undefined> } = {};

/** A daemon in this process, its time moved by the test. */
export class TestDaemon {
  readonly clients: Clients;
  daemon!: Daemon;
  /** Where this daemon is a follower. */
  beside: Beside | undefined;

  protected constructor(
    readonly place: Place,
    readonly clock = new ManualClock(Date.now()),
  ) {
    this.clients = place.clients();
  }

  static async start(environment: NodeJS.ProcessEnv = {}, clock?: ManualClock): Promise<TestDaemon> {
    const made = new TestDaemon(await Place.make(environment), clock);
    await made.start();
    return made;
  }

  /** Of the daemon that writes and calls providers. */
  get actingOpsUrl(): string {
    return this.beside?.opsUrl ?? this.place.opsUrl;
  }

  /** Resolves when clients of this daemon are answered by what was written until now. */
  async caughtUp(): Promise<void> {
    await this.beside?.followedBy(this.clients);
  }

  /** After the daemon was stopped by itself. */
  async start(): Promise<void> {
    this.beside ??= await beside.make?.(this.place);
    await this.beside?.start(this.clock);
    this.daemon = await this.place.start(this.clock, this.beside?.followerSettings);
  }

  async close(): Promise<void> {
    await this.stop();
    await this.beside?.close();
  }

  async restart(between: () => Promise<void> = async () => undefined): Promise<void> {
    await this.stop();
    await between();
    await this.start();
  }

  /** Starts again on the data folder as it was at `image`, as after SIGKILL at that moment. */
  async restartOn(image: string): Promise<void> {
    const { dataDir } = this.place.config;
    await this.restart(async () => {
      rmSync(dataDir, { recursive: true });
      cpSync(image, dataDir, { recursive: true });
    });
  }

  /** What SIGKILL would leave of the data folder at this moment, copied into an empty folder. */
  image(into: string): string {
    const folder = join(into, "image");
    const filter = (path: string): boolean => !lstatSync(path).isSocket();
    cpSync(this.place.config.dataDir, folder, { recursive: true, filter });
    return folder;
  }

  /** Until the next `start`. */
  async stop(): Promise<void> {
    await Promise.all([this.daemon.stop(), this.beside?.stop()]);
  }
}

/** With a certified OpenID provider, and a profile of it by discovery. */
export class World extends TestDaemon {
  readonly browser = new Browser();

  private constructor(
    place: Place,
    readonly provider: OpenIdProvider,
  ) {
    super(place);
  }

  static async make(options: Partial<OpenIdProviderOptions> = {}, given?: Place): Promise<World> {
    const place = given ?? (await Place.make());
    const provider = await startOpenIdProvider({ redirectUris: [place.config.redirectUri], ...options });
    const world = new World(place, provider);
    await world.start();
    return world;
  }

  override async close(): Promise<void> {
    await super.close();
    await this.provider.stop();
  }

  /** Registers the provider by discovery, the redirect URI at the provider, and answers the id of the profile. */
  register(name = "op"): Promise<string> {
    return registeredAt(this.provider, this.clients, { name, scopes: ["openid", "email"] });
  }

  /** Requests a connection and consents to it; answers its id. */
  connect(providerId: string, userId = "ada"): Promise<string> {
    return consented(this.clients, requestOf(providerId, { userId }), this.browser);
  }

  /** The REST routes, with the key, and the OpenAPI document looking on. */
  rest(): Promise<RestClient> {
    return RestClient.connect(this.place.httpUrl, this.place.apiKey);
  }

  watch(request: Parameters<Clients["tokens"]["watchTokens"]>[0] = {}): Watcher {
    return new Watcher(this.clients.tokens, request);
  }
}

/** A watcher whose messages are taken one by one. */
export class Watcher {
  readonly #stop = new AbortController();
  readonly #messages: AsyncIterator<WatchTokensResponse>;

  constructor(tokens: Client<typeof TokenService>, request: Parameters<Clients["tokens"]["watchTokens"]>[0]) {
    this.#messages = tokens.watchTokens(request, { signal: this.#stop.signal })[Symbol.asyncIterator]();
  }

  /** The next message; undefined when the stream has ended. */
  async next(): Promise<WatchTokensResponse["event"] | undefined> {
    const result = await this.#messages.next();
    return result.done === true ? undefined : result.value.event;
  }

  /** Takes messages until one passes. */
  async until(pass: (event: WatchTokensResponse["event"]) => boolean): Promise<WatchTokensResponse["event"]> {
    for (;;) {
      const event = await this.next();
      if (event === undefined) throw new Error("the stream ended");
      if (pass(event)) return event;
    }
  }

  /** Takes messages until the connection is in a state that passes. */
  async state(pass: (state: TokenStateOf) => boolean): Promise<TokenStateOf> {
    const event = await this.until((candidate) => candidate.case === "state" && pass(candidate.value));
    if (event.case !== "state") throw new Error("no state");
    return event.value;
  }

  cancel(): void {
    this.#stop.abort();
  }
}

type TokenStateOf = Extract<WatchTokensResponse["event"], { case: "state" }>["value"];
