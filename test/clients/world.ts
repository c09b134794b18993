import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ProviderSchema } from "../../src/gen/nexus/v1/provider_pb.js";
import { DaemonProcess } from "../daemon/daemon_process.js";
import { type Clients, Place } from "../daemon/harness.js";
import { Browser } from "../fakes/browser.js";
import { ScriptedProvider, scriptedClient } from "../fakes/scripted_provider.js";
import { freePort } from "../free_port.js";
import { within } from "../suites/stage.js";
import { ScriptedApi } from "./scripted_api.js";

/** Long enough for a laden machine: nothing here is measured. */
const maxStartSeconds = 240;

/** A token as the provider issued it. */
export interface IssuedToken {
  readonly value: string;
  readonly atMs: number;
}

/** A daemon as a process, an authorization server and an API: the surroundings of one language's drivers. */
export class ClientWorld {
  /** All tokens, in the order in which they were issued. */
  readonly issued: IssuedToken[] = [];
  /** Seconds that the next tokens live. */
  lifeSeconds = 3600;
  /** Added to each access token: tokens of a size. */
  padding = "";
  /** What the provider grants with the next tokens. */
  scope = "read write";
  /** What the provider calls the next tokens. */
  tokenType = "Bearer";
  #daemon: DaemonProcess | undefined;
  #names = 0;

  private constructor(
    readonly place: Place,
    readonly provider: ScriptedProvider,
    readonly api: ScriptedApi,
    readonly program: readonly string[] | undefined,
  ) {}

  /** @param program a daemon that is installed; left out, that of this checkout */
  static async make(program?: readonly string[]): Promise<ClientWorld> {
    const folder = mkdtempSync(join(tmpdir(), "nexus-clients-"));
    const place = await Place.make({
      NEXUS_DATA_DIR: folder,
      NEXUS_GRPC_LISTEN: `unix:${join(folder, "nexus.sock")},127.0.0.1:${await freePort()}`,
      NEXUS_ALLOW_LOOPBACK_PROVIDERS: "true",
    });
    const world = new ClientWorld(place, await ScriptedProvider.start(), await ScriptedApi.start(), program);
    world.provider.become({
      shapeAnswer: (standard) => {
        const value = standard.access_token + world.padding;
        world.issued.push({ value, atMs: Date.now() });
        const { lifeSeconds: expires_in, tokenType: token_type, scope } = world;
        return { ...standard, access_token: value, expires_in, token_type, scope };
      },
    });
    return world;
  }

  /** Forgets what a case had changed. */
  reset(): void {
    this.lifeSeconds = 3600;
    this.padding = "";
    this.tokenType = "Bearer";
    this.scope = "read write";
    this.provider.failNextRefresh = undefined;
    this.api.become();
  }

  get unixAddress(): string {
    return `unix:${this.place.socket}`;
  }

  get keyFile(): string {
    return join(this.place.config.dataDir, "admin.key");
  }

  get clients(): Clients {
    return this.place.clients();
  }

  /** A file with a key that the daemon does not know. */
  get wrongKeyFile(): string {
    return this.file("wrong.key", `${"wrong".repeat(8)}\n`);
  }

  /** Writes a file into the world's folder. @returns its path */
  file(name: string, text: string): string {
    const path = join(this.place.config.dataDir, name);
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  }

  /** Starts the daemon unless it runs. */
  async startDaemon(): Promise<void> {
    if (this.#daemon) return;
    this.#daemon = new DaemonProcess(this.place.environment, ["serve"], [], this.program);
    await within(maxStartSeconds, "the daemon starts", this.#daemon.ready());
  }

  /** Ends the daemon and waits until it is gone. */
  async endDaemon(signal: "SIGTERM" | "SIGKILL" = "SIGTERM"): Promise<void> {
    const daemon = this.#daemon;
    this.#daemon = undefined;
    if (daemon) await within(maxStartSeconds, "the daemon ends", daemon.kill(signal));
  }

  /** Registers a profile of the authorization server under a name of its own. @returns the name */
  async register(profile: MessageInitShape<typeof ProviderSchema> = {}): Promise<string> {
    const name = profile.name ?? `p${++this.#names}`;
    const { authUrl, tokenUrl } = this.provider;
    const standard =
      profile.authType === undefined ? { ...scriptedClient, authUrl, tokenUrl, scopes: ["read"] } : {};
    await this.clients.providers.createProvider({ provider: { ...standard, ...profile, name } });
    return name;
  }

  /** A provider with a connection that was consented to. */
  async connected(userId = "ada"): Promise<{ provider: string; connectionId: string }> {
    const provider = await this.register();
    return { provider, connectionId: await this.connect(provider, userId) };
  }

  async connect(providerName: string, userId = "ada"): Promise<string> {
    const { result } = await this.clients.tokens.acquireToken({ providerName, userId });
    if (result.case !== "consent") throw new Error("there is a connection already");
    await this.consent(result.value.authUrl);
    return result.value.connectionId;
  }

  /** A person opens the link and agrees, to a page that says what an API asks for too. */
  async consent(authUrl: string): Promise<void> {
    const browser = new Browser();
    const page = await browser.get(authUrl);
    const { status, body } = page.body.includes('id="to-provider"')
      ? await browser.follow(page, "to-provider")
      : page;
    if (status !== 200) throw new Error(`the consent ended with ${status}: ${body.slice(0, 500)}`);
  }

  /** A person opens the link and says no. */
  async deny(authUrl: string): Promise<void> {
    const { behaviour } = this.provider;
    this.provider.behaviour = { ...behaviour, deniesConsent: true };
    try {
      const { status } = await new Browser().get(authUrl);
      if (status !== 400) throw new Error(`a no was answered with ${status}`);
    } finally {
      this.provider.behaviour = behaviour;
    }
  }

  /** Has a token refreshed. @returns its revision */
  async refresh(providerName: string, userId = "ada"): Promise<number> {
    const name = { providerName, userId };
    const { token } = await this.clients.tokens.refreshToken({ name });
    return Number(token?.revision);
  }

  /** The newest token that the provider issued. */
  get newest(): string {
    return this.issued.at(-1)?.value ?? "";
  }

  /** RPCs that the daemon answered, streams counted when they end. @param method the end of its name; all when left out */
  async rpcs(method = ""): Promise<number> {
    return this.#sum("nexus_rpc_requests_total", (labels) => labels.includes(`${method}"`));
  }

  /** Streams of WatchTokens, and calls that wait. */
  async streams(): Promise<number> {
    return this.#sum("nexus_watch_subscribers", () => true);
  }

  async #sum(metric: string, pass: (labels: string) => boolean): Promise<number> {
    const text = await (await fetch(`${this.place.opsUrl}/metrics`)).text();
    const lines = text
      .split("\n")
      .filter((line) => line.startsWith(`${metric}{`) || line.startsWith(`${metric} `));
    return lines.filter(pass).reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0);
  }

  async close(): Promise<void> {
    await this.endDaemon("SIGKILL");
    await this.api.close();
    await this.provider.close();
    rmSync(this.place.config.dataDir, { recursive: true, force: true });
  }
}
