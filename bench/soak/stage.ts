import type { ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import { WatchTokensRequestSchema } from "../../src/gen/nexus/v1/token_pb.js";
import { DaemonProcess } from "../../test/daemon/daemon_process.js";
import { type Clients, Place } from "../../test/daemon/harness.js";
import { consented, requestOf } from "../../test/daemon/requests.js";
import { start } from "../children.js";
import { fillStore } from "../filled_store.js";
import { refreshed, subscribers } from "../watch.js";
import { Ring } from "./ring.js";

/** Refreshed by a provider that answers at once. */
const plainConnections = 50;
/** Consented to, again and again, at a provider with a page to sign in. */
const openIdConnections = 10;
const reconsentsOfARound = 5;
const watchers = 100;

/** Whoever takes part in a soak, and what a round of it does. */
export class SoakStage {
  rounds = 0;
  reconsents = 0;
  readonly ring: Ring;
  readonly #clients: Clients;
  #plain: readonly string[] = [];
  readonly #openId: string[] = [];

  private constructor(
    private readonly place: Place,
    readonly daemon: DaemonProcess,
    readonly probe: string,
    private readonly providers: { readonly plain: ChildProcess; readonly openId: ChildProcess },
  ) {
    this.ring = new Ring(place);
    this.#clients = place.clients();
  }

  static async set(settings: NodeJS.ProcessEnv): Promise<SoakStage> {
    const place = await Place.make({
      NEXUS_LOG_LEVEL: "info",
      NEXUS_MAX_REJECTIONS_PER_HOUR: "3600",
      ...settings,
    });
    const folder = place.config.dataDir;
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const providers = { plain: start("bench_provider.ts", []), openId: start("soak/openid_provider.ts", []) };
    const openIdStarted = once(providers.openId, "message");
    const [{ origin }] = (await once(providers.plain, "message")) as [{ origin: string }];
    const key = randomBytes(32);
    const dueAtMs = Date.now() + 7_200_000;
    const groups = [{ count: plainConnections, dueAtMs, accessTokenBytes: 1_400 }];
    const [ids = []] = await fillStore({ folder, key, origin, providers: ["bench"], groups });
    new Ring(place).begin(key);
    const [profile] = (await openIdStarted) as [{ issuer: string; clientId: string; clientSecret: string }];
    const probe = join(folder, "probe.sock");
    const daemon = new DaemonProcess({
      ...place.environment,
      NODE_OPTIONS: `--import ${join(import.meta.dirname, "probe.mjs")}`,
      NEXUS_BENCH_PROBE: probe,
    });
    const stage = new SoakStage(place, daemon, probe, providers);
    stage.#plain = ids;
    try {
      await daemon.ready();
      await stage.#consentFirst(profile);
    } catch (error) {
      await stage.close();
      throw error;
    }
    return stage;
  }

  get folder(): string {
    return this.place.config.dataDir;
  }

  /** Watchers come, everything is done while they are there, and they go. @param meanwhile is told how many streams they have */
  async round(meanwhile: (watchers: number) => Promise<unknown>): Promise<void> {
    const connectionIds = [...this.#plain.slice(0, 8), ...this.#openId.slice(0, 2)];
    const request = create(WatchTokensRequestSchema, { connectionIds });
    const client = await subscribers(
      { pid: this.daemon.pid, socket: this.place.socket, update: () => Promise.resolve(() => 0n) },
      watchers,
      toBinary(WatchTokensRequestSchema, request),
      1,
    );
    await Promise.all([meanwhile(watchers), this.#refreshAndRead(), this.#consentAgain()]);
    await (await fetch(`${this.place.opsUrl}/metrics`)).text();
    client.disconnect();
    await once(client, "exit");
    this.rounds++;
  }

  /** @throws Error where the chain of the audit log does not hold */
  async verifyAudit(): Promise<void> {
    const { reason, checked } = await this.#clients.audit.verifyAuditLog({});
    if (reason !== "" || checked === 0n) throw new Error(`the audit log does not verify: ${reason}`);
  }

  async close(): Promise<void> {
    this.providers.plain.disconnect();
    this.providers.openId.disconnect();
    await this.daemon.kill("SIGTERM");
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** Each connection is refreshed; after each all are read over gRPC, and one over JSON. */
  async #refreshAndRead(): Promise<void> {
    const { tokens } = this.#clients;
    for (const [index, connectionId] of this.#plain.entries()) {
      await refreshed(tokens, this.providers.plain, connectionId);
      const openId = this.#openId[index % openIdConnections] ?? "";
      if (index < openIdConnections) await tokens.refreshToken({ connectionId: openId });
      const all = [...this.#plain, ...this.#openId];
      await Promise.all(all.map((id) => tokens.getToken({ connectionId: id })));
      await this.#readAsJson(connectionId);
    }
  }

  async #readAsJson(connectionId: string): Promise<void> {
    const headers = { "content-type": "application/json", "x-api-key": this.place.apiKey };
    const url = `${this.place.httpUrl}/nexus.v1.TokenService/GetToken`;
    const answer = await fetch(url, { method: "POST", headers, body: JSON.stringify({ connectionId }) });
    if (answer.status !== 200) throw new Error(`GetToken as JSON: ${answer.status} ${await answer.text()}`);
    await answer.arrayBuffer();
  }

  async #consentFirst(
    profile: Readonly<Record<"issuer" | "clientId" | "clientSecret", string>>,
  ): Promise<void> {
    const { providers } = this.#clients;
    const scopes = ["openid", "email"];
    const provider = { name: "openid", ...profile, enableDiscovery: true, scopes };
    const { redirectUri } = await providers.createProvider({ provider });
    const added = once(this.providers.openId, "message");
    this.providers.openId.send({ redirectUri });
    await added;
    for (let index = 0; index < openIdConnections; index++)
      this.#openId.push(await consented(this.#clients, requestOf("openid", { userId: `user-${index}` })));
  }

  /** A person opens the link, signs in, agrees, and is led back: the connection has a new grant in the place of the one before. */
  async #consentAgain(): Promise<void> {
    for (let index = 0; index < reconsentsOfARound; index++) {
      const which = this.reconsents % openIdConnections;
      const connectionId = this.#openId[which] ?? "";
      const userId = `user-${which}`;
      const id = await consented(this.#clients, requestOf("openid", { userId, connectionId }));
      if (id !== connectionId) throw new Error("a second consent made another connection");
      this.reconsents++;
    }
  }
}
