import { createHash } from "node:crypto";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { FleetDatabase } from "../../../../src/ext/fleet/database/fleet_database.js";
import type { RawWrite } from "../../../../src/ext/fleet/replication/log.js";
import { rawEntries } from "../../../../src/ext/fleet/replication/raw_entries.js";
import { ReplicaStore } from "../../../../src/ext/fleet/replication/replica_store.js";
import { SystemClock } from "../../../../src/runtime/clock.js";
import type { Postgres } from "../../../fakes/postgres.js";
import { silentLog } from "../../../silent_log.js";
import { aMember } from "../database/samples.js";
import { Faults } from "../storm/faults.js";
import { judgeLog, type StormReport } from "../storm/judge.js";
import type { Loss } from "../storm/provider.js";
import { Agents } from "../upgrade/agents.js";
import { judgeLosses } from "./losses.js";
import { tokenAt } from "./points.js";
import { RealFleet } from "./real_fleet.js";

export interface StormOptions {
  readonly hubs: number;
  readonly minutes: number;
  readonly grants: number;
  /** `main.js` of a build that is broken in one place. */
  readonly main: string | undefined;
  /** Uniform in [0, 1): what faults happen, when, and for how long. */
  readonly random: () => number;
  readonly say: (words: string) => void;
}

/** The database of a storm, its provider, and what was seen. */
export class RealStorm {
  #fleet!: RealFleet;
  #agents!: Agents;

  constructor(private readonly options: StormOptions) {}

  async run(): Promise<StormReport> {
    const { hubs: count, grants, main } = this.options;
    const groups = [{ count: grants, dueAtMs: Date.now() + 5_000 }];
    this.#fleet = await RealFleet.start({ hubs: count, groups, main });
    const { hubs, ids, servers, provider, broken } = this.#fleet;
    this.#agents = new Agents({ hubs, ids, onBroken: (words) => broken.push(words), allLive: false });
    try {
      this.#agents.start();
      await this.#untilRefreshed();
      const faults = new Faults(hubs, servers, 3_000, 4_000, this.options.random);
      await faults.rage(this.options.minutes, (kind) => {
        const seen = `${provider.refreshes} refreshes, ${provider.reuses.length} lost, ${provider.overlaps} overlaps`;
        this.options.say(`${kind}; ${seen}, ${this.#agents.made.length} connections made`);
      });
      return await this.#judge(faults).finally(() => faults.close());
    } finally {
      await this.#agents.stop();
      await this.#fleet.close();
    }
  }

  async #untilRefreshed(): Promise<void> {
    const { provider } = this.#fleet;
    for (let tries = 0; provider.refreshes === 0; tries++) {
      if (tries > 600) throw new Error("the hubs do not begin to refresh within a minute");
      await sleep(100);
    }
  }

  async #judge(faults: Faults): Promise<StormReport> {
    const { hubs, servers, provider, broken, seen } = this.#fleet;
    // All is healed: somebody leads, what was spooled is brought home, and old intents are over.
    await sleep(20_000);
    if (!(await isTrueSoon(() => hubs.some(({ isLeader }) => isLeader))))
      broken.push("nobody leads after all was healed");
    const refreshed = provider.refreshes;
    await sleep(8_000);
    if (!(await isTrueSoon(() => provider.refreshes > refreshed)))
      broken.push("nothing is refreshed after all was healed");
    await this.#agents.stop();
    const { stalled } = faults;
    const losses = [...provider.reuses, ...(await this.#leftBehind())];
    const auditEvents = await this.#verifyAudit();
    await Promise.all(hubs.map((hub) => hub.stop("SIGTERM")));
    const lost = await this.#compare(servers.primary);
    const log = await judgeLog(servers.primary);
    const lives = hubs.flatMap((hub) => hub.lives);
    const { explained, unexplained } = await judgeLosses({
      losses,
      requests: provider.requests,
      faults: [...faults.done, ...faults.stalls],
      lives,
      servers,
      seen,
    });
    const counts: Record<string, number> = {};
    for (const { kind } of faults.done) counts[kind] = (counts[kind] ?? 0) + 1;
    return {
      refreshes: provider.refreshes,
      overlaps: provider.overlaps,
      grantsLost: losses.length,
      explained,
      stalled,
      ...log,
      ackedMissing: lost.length,
      faults: counts,
      reigns: faults.reigns,
      auditEvents,
      reads: this.#agents.reads,
      acknowledged: this.#agents.made.length,
      broken: [...broken, ...unexplained],
    };
  }

  /** @returns the newest answer of each family that lives, and that not all hubs serve within half a minute */
  async #leftBehind(): Promise<Loss[]> {
    const { hubs, provider } = this.#fleet;
    let left = provider.newest();
    await isTrueSoon(async () => {
      const suspects = new Set(left.map(({ grant }) => grant));
      left = [];
      for (const rotation of provider.newest().filter(({ grant }) => suspects.has(grant))) {
        const served = await Promise.all(hubs.map((hub) => tokenAt(hub, rotation.grant)));
        if (served.some((token) => token !== rotation.attempt)) left.push(rotation);
      }
      return left.length === 0;
    });
    return left.map((rotation) => ({ grant: rotation.grant, atMs: Date.now(), rotation }));
  }

  /** @returns how many events the audit log has */
  async #verifyAudit(): Promise<number> {
    const { hubs, broken } = this.#fleet;
    for (const { clients } of hubs) {
      const verdict = await clients.audit
        .verifyAuditLog({}, { timeoutMs: 30_000 })
        .catch((error: Error) => error);
      if (verdict instanceof Error) broken.push(`the audit log cannot be verified: ${verdict.message}`);
      else if (verdict.reason !== "") broken.push(`the chain of the audit log breaks: ${verdict.reason}`);
      else return Number(verdict.headSequence);
    }
    return 0;
  }

  /** Each hub's folder, brought to the newest batch, has the bytes of a fresh copy. @returns which connections are missing */
  async #compare(primary: Postgres): Promise<string[]> {
    const member = aMember();
    const options = { url: primary.url(), member: () => member, clock: new SystemClock(), log: silentLog };
    const database = await FleetDatabase.connect(options);
    const { hubs, broken } = this.#fleet;
    const folder = join(this.#fleet.folder, "fresh");
    mkdirSync(folder, { mode: 0o700 });
    try {
      await ReplicaStore.copyInto(folder, database.firstCopy());
      const fresh = ReplicaStore.open({ folder, nowMs: Date.now() });
      const wanted = digestOf(fresh.raw(rawEntries));
      const newest = fresh.position?.position ?? 0n;
      const lost = this.#agents.made.filter((id) => fresh.getConnection(id) === undefined);
      await fresh.close();
      for (const [index] of hubs.entries()) {
        const store = ReplicaStore.open({
          folder: join(this.#fleet.folder, `hub-${index}`),
          nowMs: Date.now(),
        });
        await caughtUp(store, database, newest);
        if (digestOf(store.raw(rawEntries)) !== wanted) broken.push(`hub ${index} differs from a fresh copy`);
        await store.close();
      }
      return lost;
    } finally {
      await database.close();
    }
  }
}

async function caughtUp(store: ReplicaStore, database: FleetDatabase, newest: bigint): Promise<void> {
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

/** @returns whether it holds within half a minute, in which a lead of seconds may be lost and won again */
async function isTrueSoon(holds: () => boolean | Promise<boolean>): Promise<boolean> {
  const endMs = performance.now() + 30_000;
  while (performance.now() < endMs) {
    if (await holds()) return true;
    await sleep(100);
  }
  return await holds();
}
