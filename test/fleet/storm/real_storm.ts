import { createHash, randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fillStore } from "../../../bench/filled_store.js";
import { FleetDatabase } from "../../../src/fleet/fleet_database.js";
import { SystemClock } from "../../../src/runtime/clock.js";
import type { RawWrite } from "../../../src/store/replication.js";
import { Store } from "../../../src/store/store.js";
import { DaemonProcess } from "../../daemon/daemon_process.js";
import { requestOf } from "../../daemon/requests.js";
import { TcpProxy } from "../../fakes/tcp_proxy.js";
import { silentLog } from "../../silent_log.js";
import { Postgres } from "../postgres.js";
import { aMember } from "../samples.js";
import { Faults, type Servers } from "./faults.js";
import { judgeLog, type StormReport } from "./judge.js";
import { judgeLosses } from "./losses.js";
import { CountingProvider } from "./provider.js";
import { RealHub } from "./real_hub.js";
import type { StormOptions } from "./storm.js";

/** How many refreshes are asked for at once. */
const lanes = 6;

/** The database of a storm, its provider, and what was seen. */
export class RealStorm {
  readonly #folder = mkdtempSync(join(tmpdir(), "nexus-storm-"));
  readonly #key = randomBytes(32);
  readonly #broken: string[] = [];
  /** Access tokens that a stream brought. */
  readonly #seen = new Set<string>();
  /** Connections that a hub said it had made. */
  readonly #made: string[] = [];
  readonly #ending = new AbortController();
  #hubs: RealHub[] = [];
  #ids: readonly string[] = [];

  constructor(private readonly options: StormOptions) {}

  async run(): Promise<StormReport> {
    const provider = await CountingProvider.start();
    const link = await TcpProxy.tcp(provider.port);
    const servers = await this.#prepare(link);
    try {
      for (let index = 0; index < this.options.hubs; index++)
        this.#hubs.push(await this.#hub(index, servers, link));
      void this.#write();
      for (let lane = 0; lane < lanes; lane++) void this.#refresh();
      await this.#untilRefreshed(provider);
      const faults = new Faults(this.#hubs, servers, 3_000, 4_000, this.options.random);
      await faults.rage(this.options.minutes, (kind) => {
        const seen = `${provider.refreshes} refreshes, ${provider.reuses.length} lost, ${provider.overlaps} overlaps`;
        this.options.say(`${kind}; ${seen}, ${this.#made.length} connections made`);
      });
      return await this.#judge(faults, servers, provider);
    } finally {
      this.#ending.abort();
      for (const hub of this.#hubs) await hub.close();
      for (const server of [servers.standby, servers.primary]) await server.close();
      await link.close();
      await provider.close();
      rmSync(this.#folder, { recursive: true, force: true });
    }
  }

  async #prepare(link: TcpProxy): Promise<Servers> {
    const primary = await Postgres.start();
    const folder = join(this.#folder, "single");
    mkdirSync(folder, { mode: 0o700 });
    const [ids = []] = await fillStore({
      folder,
      key: this.#key,
      origin: `http://127.0.0.1:${link.port}`,
      providers: ["live"],
      groups: [{ count: this.options.grants, dueAtMs: Date.now() + 5_000 }],
    });
    this.#ids = ids;
    const environment = {
      ...this.#environment(),
      NEXUS_STORE: primary.url(),
      NEXUS_DATA_DIR: join(this.#folder, "none"),
    };
    const init = new DaemonProcess(environment, ["fleet", "init", "--from", folder]);
    if ((await init.exited) !== 0) throw new Error(`nexusd fleet init failed: ${init.output}`);
    const standby = await primary.standby({ name: "sync", synchronous: "sync" });
    await primary.set("synchronous_standby_names", "sync");
    return { primary, standby };
  }

  #environment(): NodeJS.ProcessEnv {
    return {
      NEXUS_ENCRYPTION_KEY: this.#key.toString("base64"),
      NEXUS_PUBLIC_URL: "http://localhost:3999",
      NEXUS_LOG_FORMAT: "json",
      NEXUS_ALLOW_LOOPBACK_PROVIDERS: "true",
      NEXUS_FLEET_LEASE_SECONDS: "3",
    };
  }

  async #hub(index: number, servers: Servers, providerLink: TcpProxy): Promise<RealHub> {
    return await RealHub.make({
      folder: join(this.#folder, `hub-${index}`),
      environment: this.#environment(),
      database: { target: servers.primary.socketPath, urlOf: (folder) => servers.primary.url(folder) },
      providerLink,
      onBroken: (words) => this.#broken.push(words),
      onToken: (accessToken) => this.#seen.add(accessToken),
    });
  }

  /** Makes connections at any hub, without a pause: what a hub says it has made has to be there in the end. */
  async #write(): Promise<void> {
    while (!this.#ending.signal.aborted) {
      const hub = this.#hubs[Math.floor(Math.random() * this.#hubs.length)];
      await hub?.clients.connections.requestConnection(requestOf("live"), { timeoutMs: 15_000 }).then(
        ({ connectionId }) => this.#made.push(connectionId),
        () => undefined,
      );
      await sleep(100);
    }
  }

  async #untilRefreshed(provider: CountingProvider): Promise<void> {
    for (let tries = 0; provider.refreshes === 0; tries++) {
      if (tries > 600) throw new Error("the hubs do not begin to refresh within a minute");
      await sleep(100);
    }
  }

  /** Has connections refreshed at any hub, without a pause. */
  async #refresh(): Promise<void> {
    while (!this.#ending.signal.aborted) {
      const { clients } = this.#hubs[Math.floor(Math.random() * this.#hubs.length)] as RealHub;
      const connectionId = this.#ids[Math.floor(Math.random() * this.#ids.length)] ?? "";
      await clients.tokens.refreshToken({ connectionId }, { timeoutMs: 5_000 }).catch(() => undefined);
      await sleep(50);
    }
  }

  async #judge(faults: Faults, servers: Servers, provider: CountingProvider): Promise<StormReport> {
    // All is healed: somebody leads, what was spooled is brought home, and old intents are over.
    await sleep(20_000);
    if (!this.#hubs.some(({ isLeader }) => isLeader)) this.#broken.push("nobody leads after all was healed");
    const refreshed = provider.refreshes;
    await sleep(8_000);
    if (provider.refreshes === refreshed) this.#broken.push("nothing is refreshed after all was healed");
    this.#ending.abort();
    const auditEvents = await this.#verifyAudit();
    await Promise.all(this.#hubs.map((hub) => hub.stop("SIGTERM")));
    const lost = await this.#compare(servers.primary);
    const log = await judgeLog(servers.primary, []);
    const lives = this.#hubs.flatMap((hub) => hub.lives);
    const unexplained = await judgeLosses({
      provider,
      faults: faults.done,
      lives,
      servers,
      seen: this.#seen,
    });
    const counts: Record<string, number> = {};
    for (const { kind } of faults.done) counts[kind] = (counts[kind] ?? 0) + 1;
    return {
      refreshes: provider.refreshes,
      overlaps: provider.overlaps,
      grantsLost: provider.reuses.length,
      explained: provider.reuses.length - unexplained.length,
      ...log,
      ackedMissing: lost.length,
      faults: counts,
      reigns: faults.reigns,
      auditEvents,
      acknowledged: this.#made.length,
      broken: [...this.#broken, ...unexplained],
    };
  }

  /** @returns how many events the audit log has */
  async #verifyAudit(): Promise<number> {
    for (const { clients } of this.#hubs) {
      const verdict = await clients.audit
        .verifyAuditLog({}, { timeoutMs: 30_000 })
        .catch((error: Error) => error);
      if (verdict instanceof Error) this.#broken.push(`the audit log cannot be verified: ${verdict.message}`);
      else if (verdict.reason !== "")
        this.#broken.push(`the chain of the audit log breaks: ${verdict.reason}`);
      else return Number(verdict.headSequence);
    }
    return 0;
  }

  /** Each hub's folder, brought to the newest batch, has the bytes of a fresh copy. @returns which connections are missing */
  async #compare(primary: Postgres): Promise<string[]> {
    const member = aMember();
    const options = { url: primary.url(), member: () => member, clock: new SystemClock(), log: silentLog };
    const database = await FleetDatabase.connect(options);
    const folder = join(this.#folder, "fresh");
    mkdirSync(folder, { mode: 0o700 });
    try {
      await Store.copyInto(folder, database.firstCopy());
      const fresh = Store.open({ folder, nowMs: Date.now(), replica: true });
      const wanted = digestOf(fresh.entries());
      const newest = fresh.position?.position ?? 0n;
      const lost = this.#made.filter((id) => fresh.getConnection(id) === undefined);
      await fresh.close();
      for (const [index] of this.#hubs.entries()) {
        const store = Store.open({
          folder: join(this.#folder, `hub-${index}`),
          nowMs: Date.now(),
          replica: true,
        });
        await caughtUp(store, database, newest);
        if (digestOf(store.entries()) !== wanted) this.#broken.push(`hub ${index} differs from a fresh copy`);
        await store.close();
      }
      return lost;
    } finally {
      await database.close();
    }
  }
}

async function caughtUp(store: Store, database: FleetDatabase, newest: bigint): Promise<void> {
  const { position } = store;
  if (position === undefined || position.position >= newest) return;
  for await (const batches of database.feed(position, new AbortController().signal)) {
    await store.apply(batches);
    if ((store.position?.position ?? 0n) >= newest) return;
  }
}

function digestOf(pages: Iterable<readonly RawWrite[]>): string {
  const hash = createHash("sha256");
  for (const page of pages) {
    for (const { database, key, value } of page) {
      hash.update(
        `${database} ${Buffer.from(key).toString("hex")} ${Buffer.from(value ?? []).toString("hex")}\n`,
      );
    }
  }
  return hash.digest("hex");
}
