import { randomUUID } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { build } from "esbuild";
import { Connector } from "../../../../src/ext/fleet/database/connection/connector.js";
import { FleetDatabase } from "../../../../src/ext/fleet/database/fleet_database.js";
import { initialise } from "../../../../src/ext/fleet/database/initialise.js";
import { migrate } from "../../../../src/ext/fleet/database/migrations.js";
import { SystemClock } from "../../../../src/runtime/clock.js";
import { Postgres } from "../../../fakes/postgres.js";
import { silentLog } from "../../../silent_log.js";
import { aMember } from "../database/samples.js";
import { Faults, type Servers } from "./faults.js";
import { HubProcess } from "./hub_process.js";
import { judgeGrants, judgeLog, type StormReport } from "./judge.js";
import { CountingProvider } from "./provider.js";
import { Replica } from "./replica.js";

export interface StormOptions {
  readonly hubs: number;
  readonly minutes: number;
  readonly grants: number;
  readonly sabotage: string;
  /** Uniform in [0, 1): what faults happen, when, and for how long. */
  readonly random: () => number;
  readonly say: (words: string) => void;
}

const root = join(import.meta.dirname, "../../../..");
/** Short, so that a run has many changes of the leader. */
const times = { leaseMs: 2_000, timeoutMs: 1_500, patienceMs: 15_000 };

/** A fleet in child processes, and all that may happen to it. */
export class Storm {
  readonly #folder = mkdtempSync(join(tmpdir(), "nexus-storm-"));
  readonly #broken: string[] = [];
  readonly #clock = new SystemClock();
  #hubs: HubProcess[] = [];

  constructor(private readonly options: StormOptions) {}

  async run(): Promise<StormReport> {
    const provider = await CountingProvider.start();
    const servers = await this.#prepare(provider);
    try {
      const program = await compiled();
      for (let index = 0; index < this.options.hubs; index++)
        this.#hubs.push(await this.#hub(index, program, servers, provider));
      const faults = new Faults(this.#hubs, servers, times.leaseMs, undefined, this.options.random);
      await faults.rage(this.options.minutes, (kind) => {
        this.options.say(
          `${kind}; ${provider.refreshes} refreshes, ${provider.reuses.length} lost, ${provider.overlaps} overlaps`,
        );
      });
      return await this.#judge(faults, servers, provider).finally(() => faults.close());
    } finally {
      for (const hub of this.#hubs) await hub.close();
      for (const server of [servers.standby, servers.primary]) await server.close();
      await provider.close();
      rmSync(this.#folder, { recursive: true, force: true });
    }
  }

  async #prepare(provider: CountingProvider): Promise<Servers> {
    const primary = await Postgres.start();
    const connector = new Connector(primary.url(), this.#clock);
    await migrate(connector);
    const grants = Array.from({ length: this.options.grants }, (_, index) => `grant-${index}`);
    await initialise(connector, {
      databaseId: randomUUID(),
      epoch: randomUUID(),
      entries: [
        grants.map((grant) => ({
          database: "grants",
          key: Buffer.from(grant),
          value: Buffer.from(JSON.stringify({ revision: 1, token: provider.consent(grant) })),
        })),
      ],
    });
    if (this.options.sabotage === "fence") {
      // Whoever commits is taken for the one who leads.
      const [source] = await primary.query<{ text: string }>(
        "SELECT pg_get_functiondef('nexus.commit_1'::regproc) AS text",
      );
      await primary.query((source?.text ?? "").replace(/IF NOT EXISTS .*RETURN 'fenced'; END IF;/, ""));
    }
    const standby = await primary.standby({ name: "sync", synchronous: "sync" });
    await primary.set("synchronous_standby_names", "sync");
    return { primary, standby };
  }

  async #hub(
    index: number,
    program: string,
    servers: Servers,
    provider: CountingProvider,
  ): Promise<HubProcess> {
    const patienceMs = this.options.sabotage === "patience" ? 0 : times.patienceMs;
    return await HubProcess.make({
      program,
      folder: join(this.#folder, `hub-${index}`),
      settings: { ...times, patienceMs, sabotage: this.options.sabotage },
      database: { target: servers.primary.socketPath, urlOf: (folder) => servers.primary.url(folder) },
      providerPort: provider.port,
      onBroken: (words) => this.#broken.push(words),
    });
  }

  async #judge(faults: Faults, servers: Servers, provider: CountingProvider): Promise<StormReport> {
    // All is healed: somebody leads, and what was spooled is brought home.
    await sleep(times.patienceMs + 3_000);
    if (!(await isTrueSoon(() => this.#hubs.some(({ isLeader }) => isLeader))))
      this.#broken.push("nobody leads after all was healed");
    const refreshed = provider.refreshes;
    if (!(await isTrueSoon(() => provider.refreshes > refreshed)))
      this.#broken.push("nothing is refreshed after all was healed");
    for (const hub of this.#hubs) hub.quiet();
    await sleep(4_000);
    const auditEvents = await this.#compare(servers);
    const acknowledged = this.#hubs.flatMap((hub) => hub.acknowledged());
    const { unexplained, ...grants } = judgeGrants(
      provider,
      [...faults.done, ...faults.stalls],
      acknowledged,
    );
    const counts: Record<string, number> = {};
    for (const { kind } of faults.done) counts[kind] = (counts[kind] ?? 0) + 1;
    return {
      ...grants,
      ...(await judgeLog(servers.primary, acknowledged)),
      faults: counts,
      reigns: faults.reigns,
      auditEvents,
      broken: [...this.#broken, ...unexplained],
    };
  }

  /** Every hub has the bytes of a fresh copy. @returns how many events the audit log has */
  async #compare(servers: Servers): Promise<number> {
    const member = aMember();
    const database = await FleetDatabase.connect({
      url: servers.primary.url(),
      member: () => member,
      clock: this.#clock,
      log: silentLog,
    });
    try {
      for (const endMs = this.#clock.monotonicMs() + 30_000; ; ) {
        const { fresh, position, different } = await this.#differences(database);
        if (different.length === 0 || this.#clock.monotonicMs() > endMs) {
          this.#broken.push(...different);
          return fresh.verifyChain();
        }
        this.options.say(`not yet at ${position}: ${different.join(", ")}`);
        await sleep(1_000);
      }
    } finally {
      await database.close();
    }
  }

  async #differences(database: FleetDatabase) {
    const fresh = new Replica();
    const copy = database.firstCopy();
    for await (const writes of copy.entries) fresh.load(writes);
    const { position } = copy.position;
    const states = await Promise.all(this.#hubs.map((hub) => hub.state()));
    const different = states.flatMap((state, index) => {
      if (!state) return `hub ${index} does not answer`;
      if (state.position !== position) return `hub ${index} is at ${state.position}, not ${position}`;
      return state.digest === fresh.digest() ? [] : `hub ${index} differs from a fresh copy`;
    });
    return { fresh, position, different };
  }
}

/** @returns whether it holds within half a minute, in which a lead of seconds may be lost and won again */
export async function isTrueSoon(holds: () => boolean): Promise<boolean> {
  for (let tries = 0; tries < 300 && !holds(); tries++) await sleep(100);
  return holds();
}

/** One file, which starts in a tenth of a second. */
async function compiled(): Promise<string> {
  const file = join(root, "node_modules/.cache/fleet/hub.mjs");
  mkdirSync(dirname(file), { recursive: true });
  await build({
    absWorkingDir: root,
    entryPoints: ["test/ext/fleet/storm/hub.ts"],
    outfile: file,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    packages: "external",
    logLevel: "warning",
  });
  return file;
}
