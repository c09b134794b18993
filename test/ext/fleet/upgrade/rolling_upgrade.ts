import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { readVersion } from "../../../../src/config/version.js";
import { DaemonProcess } from "../../../daemon/daemon_process.js";
import { RealFleet } from "../real/real_fleet.js";
import type { RealHub } from "../real/real_hub.js";
import { judgeLog } from "../storm/judge.js";
import { Agents } from "./agents.js";
import { buildNextVersion } from "./next_version.js";
import { Written } from "./written.js";

const hubCount = 3;
const grants = 60;
/** So long both versions write, each in its turn. */
const togetherMs = 1_200;
const limitMs = 60_000;

export interface UpgradeReport {
  readonly refreshes: number;
  readonly overlaps: number;
  readonly grantsLost: number;
  readonly ackedMissing: number;
  readonly gaps: number;
  readonly reads: number;
  readonly passedOn: number;
  readonly slowestReadMs: number;
  readonly states: number;
  readonly resumed: number;
  readonly acknowledged: number;
  readonly batches: { readonly next: number; readonly this: number };
  /** Changes of leader from one version to the other. */
  readonly turns: { readonly toNext: number; readonly toThis: number };
  readonly broken: readonly string[];
}

/**
 * Three hubs of this version become hubs of the next one, while agents go on: the tables are expanded, hubs replaced one by one, leaders
 * change both ways, and the tables contracted while the last old hub, which leads, is stopped.
 */
export class RollingUpgrade {
  #fleet!: RealFleet;
  #agents!: Agents;
  #next = "";

  constructor(private readonly say: (words: string) => void) {}

  async run(): Promise<UpgradeReport> {
    this.#fleet = await RealFleet.start({
      hubs: hubCount,
      groups: [{ count: grants, dueAtMs: Date.now() + 5_000 }],
    });
    try {
      const { hubs, ids, broken, folder } = this.#fleet;
      this.#next = await buildNextVersion(join(folder, "next"));
      this.#agents = new Agents({ hubs, ids, onBroken: (words) => broken.push(words), allLive: true });
      await this.#until("all hubs serve", () => hubs.every((hub) => isReady(hub)));
      await this.#leader();
      this.#agents.start();
      await this.#upgrade(hubs as unknown as [RealHub, RealHub, RealHub]);
      return await this.#judge();
    } finally {
      await this.#agents?.stop();
      await this.#fleet.close();
    }
  }

  async #upgrade([one, two, three]: [RealHub, RealHub, RealHub]): Promise<void> {
    await this.#refusedBeforeMigration();
    await this.#migrate([], { layout_before: 3, layout: 4, min_layout_before: 3, min_layout: 3 });
    await this.#replace(one);
    await this.#leadsOneOf(one);
    await sleep(togetherMs);
    await this.#leadsOneOf(two, three);
    await sleep(togetherMs);
    await this.#refused(["--contract"], `(layout 3, version ${readVersion()})`);
    await this.#replace(two);
    await this.#leadsOneOf(three);
    await sleep(togetherMs);
    const newest = await this.#newest();
    await this.#contractWhileStopped(three);
    let marked: readonly number[] = [];
    await this.#until("what only the next version knows is written", async () => {
      marked = (await Written.read(this.#fleet.servers.primary)).marked();
      return marked.length > 0;
    });
    this.#expect((marked[0] ?? 0) > newest, "a record had the new field while older hubs were there");
    this.say("records have what only the next version knows");
  }

  /** A hub of the next version does not serve on tables that it does not know. */
  async #refusedBeforeMigration(): Promise<void> {
    const environment = {
      ...this.#fleet.hubs[0]?.environment,
      NEXUS_DATA_DIR: join(this.#fleet.folder, "early"),
    };
    const early = new DaemonProcess(environment, ["serve"], [], [process.execPath, this.#next]);
    const code = await early.exited;
    this.#expect(
      code === 15 &&
        early.output.includes("are of layout 3, and this nexusd needs layout 4: run nexusd fleet migrate"),
      `a hub that is too new ends with ${code}: ${early.output}`,
    );
    this.say("a newer hub is refused before the migration");
  }

  /** The leader is an old hub that does not run while the tables are contracted: nothing that it wakes up with is written. */
  async #contractWhileStopped(hub: RealHub): Promise<void> {
    const { primary } = this.#fleet.servers;
    const life = hub.lives.at(-1);
    hub.signal("SIGSTOP");
    // As if half a minute had gone.
    await primary.query("UPDATE nexus.member SET seen_at = seen_at - interval '1 minute' WHERE layout = 3");
    await this.#migrate(["--contract"], { layout_before: 4, layout: 4, min_layout_before: 3, min_layout: 4 });
    const { hubs } = this.#fleet;
    await this.#until("another hub leads", () => hubs.some((other) => other !== hub && other.isLeader));
    hub.signal("SIGCONT");
    await this.#until("the old leader ends", () => life?.code !== undefined);
    this.#expect(life?.code === 75, `the old leader ends with ${life?.code}`);
    await this.#until("it is refused when it is started again", () =>
      hub.lives.some(
        ({ code, daemon }) =>
          code === 15 &&
          daemon.output.includes(
            "takes hubs of layout 4 or newer, and this nexusd knows layout 3: start a newer version",
          ),
      ),
    );
    this.say("the old leader, stopped meanwhile, ended and is refused");
    hub.main = this.#next;
    await this.#until("the last hub is replaced", () => isReady(hub));
  }

  async #migrate(flags: readonly string[], expected: Record<string, number>): Promise<void> {
    const { code, output } = await this.#command(...flags, "--json");
    this.#expect(
      code === 0 && JSON.stringify(JSON.parse(output)) === JSON.stringify(expected),
      `migrate ${flags.join(" ")} ends with ${code}: ${output}`,
    );
    this.say(`migrate ${flags.join(" ")}: ${output.trim()}`);
  }

  async #refused(flags: readonly string[], words: string): Promise<void> {
    const { code, output } = await this.#command(...flags);
    this.#expect(
      code === 15 && output.includes(words),
      `migrate ${flags.join(" ")} ends with ${code}: ${output}`,
    );
    this.say(`migrate ${flags.join(" ")}: ${output.trim()}`);
  }

  async #command(...flags: readonly string[]): Promise<{ code: number | string; output: string }> {
    const environment = {
      NEXUS_STORE: this.#fleet.servers.primary.url(),
      NEXUS_DATA_DIR: this.#fleet.folder,
    };
    const command = new DaemonProcess(
      environment,
      ["fleet", "migrate", ...flags],
      [],
      [process.execPath, this.#next],
    );
    const code = await command.exited;
    return { code, output: command.output };
  }

  async #replace(hub: RealHub): Promise<void> {
    // It may have stepped down just now, and the signal alone ends a process that has hardly begun.
    await this.#until("the hub to be replaced serves", () => isReady(hub));
    const before = hub.lives.at(-1);
    hub.main = this.#next;
    hub.signal("SIGTERM");
    await this.#until("the hub is replaced", () => hub.lives.at(-1) !== before && isReady(hub));
    this.#expect(before?.code === 0, `a hub ends with ${before?.code} on SIGTERM`);
    await this.#until("the others see the hub's layout", async () => {
      const status = await hub.clients.status.getStatus({}, { timeoutMs: 5_000 }).catch(() => undefined);
      const fleet = status?.fleet;
      return fleet?.members.some(({ address, layout }) => address === fleet.address && layout === 4) === true;
    });
    this.say("a hub is replaced");
  }

  /** Leaders step down until it is one of these. */
  async #leadsOneOf(...wanted: readonly RealHub[]): Promise<void> {
    await this.#until("the wanted hub leads", async () => {
      const leader = await this.#leader();
      if (wanted.includes(leader)) return true;
      const { hubs } = this.#fleet;
      const before = hubs.map(({ owner }) => owner);
      const asked = new DaemonProcess(
        leader.environment,
        ["fleet", "step-down"],
        [],
        [process.execPath, this.#next],
      );
      if ((await asked.exited) !== 0) return false;
      // The next one may not step down while it starts: nobody would serve.
      await this.#until("the hub that stepped down is another process", () =>
        hubs.some(({ owner }, index) => owner !== before[index]),
      );
      for (const hub of hubs) await this.#until("the hub that stepped down is back", () => isReady(hub));
      return false;
    });
    this.say(`hub ${this.#fleet.hubs.indexOf(await this.#leader())} leads`);
  }

  async #leader(): Promise<RealHub> {
    let leader: RealHub | undefined;
    await this.#until("a hub leads", () => {
      leader = this.#fleet.hubs.find(({ isLeader }) => isLeader);
      return leader !== undefined;
    });
    return leader as RealHub;
  }

  async #newest(): Promise<number> {
    const [row] = await this.#fleet.servers.primary.query<{ newest: number }>(
      "SELECT max(position)::float8 AS newest FROM nexus.log",
    );
    return row?.newest ?? 0;
  }

  async #judge(): Promise<UpgradeReport> {
    const { hubs, servers, provider, broken, folder } = this.#fleet;
    const agents = this.#agents;
    await agents.stop();
    // What a former leader left is taken in, and what was read is on record.
    await this.#until("nothing is left to take in", async () => {
      const left = await servers.primary.query("SELECT 1 FROM nexus.spool");
      return left.length === 0;
    });
    const missing = await this.#missing();
    this.say("what was acknowledged was looked for");
    for (const { clients } of hubs) {
      const { reason } = await clients.audit.verifyAuditLog({}, { timeoutMs: 10_000 });
      this.#expect(reason === "", `the chain of the audit log breaks: ${reason}`);
    }
    await Promise.all(hubs.map((hub) => hub.stop("SIGTERM")));
    this.say("all hubs have ended");
    const written = await Written.read(servers.primary);
    const fresh = await written.fresh();
    for (const index of hubs.keys())
      this.#expect(
        (await written.copy(join(folder, `hub-${index}`))) === fresh,
        `hub ${index} differs from the database`,
      );
    const { gaps } = await judgeLog(servers.primary);
    const turns = written.turns();
    this.#expect(turns.toNext > 0 && turns.toThis > 0, "leaders did not change both ways");
    for (const [what, count] of Object.entries({
      reads: agents.reads,
      states: agents.states,
      resumed: agents.resumed,
    }))
      this.#expect(count > 10, `there were ${count} ${what} alone`);
    return {
      refreshes: provider.refreshes,
      overlaps: provider.overlaps,
      grantsLost: provider.reuses.length,
      ackedMissing: missing,
      gaps,
      ...{ reads: agents.reads, passedOn: agents.passedOn, slowestReadMs: agents.slowestReadMs },
      ...{ states: agents.states, resumed: agents.resumed },
      acknowledged: agents.made.length + agents.acknowledged.size,
      batches: written.batches(),
      turns,
      broken,
    };
  }

  /** What a hub said was done, and another one does not have. */
  async #missing(): Promise<number> {
    let missing = 0;
    const { made, acknowledged } = this.#agents;
    for (const { clients } of this.#fleet.hubs) {
      for (const id of made)
        await clients.connections
          .getConnection({ connectionId: id }, { timeoutMs: 5_000 })
          .catch(() => missing++);
      for (const [connectionId, revision] of acknowledged) {
        const { token } = await clients.tokens.getToken({ connectionId }, { timeoutMs: 5_000 });
        if ((token?.revision ?? 0n) < revision) missing++;
      }
    }
    return missing;
  }

  #expect(holds: boolean, words: string): void {
    if (!holds) this.#fleet.broken.push(words);
  }

  async #until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
    const endMs = performance.now() + limitMs;
    while (!(await holds())) {
      if (performance.now() > endMs) throw new Error(`in vain: ${what}`);
      await sleep(100);
    }
  }
}

function isReady(hub: RealHub): boolean {
  const life = hub.lives.at(-1);
  return life?.code === undefined && life?.daemon.output.includes("nexusd is ready") === true;
}

/** What was not as promised; empty: the upgrade was not noticed. */
export function upgradeFailures(report: UpgradeReport): string[] {
  const found = [...new Set(report.broken)];
  if (report.overlaps > 0) found.push(`${report.overlaps} requests of one grant overlapped`);
  if (report.grantsLost > 0) found.push(`${report.grantsLost} grants were lost`);
  if (report.ackedMissing > 0) found.push(`${report.ackedMissing} of what was acknowledged is missing`);
  if (report.gaps > 0) found.push(`${report.gaps} positions of the log are not in order`);
  if (report.refreshes < 10) found.push("nothing was refreshed");
  return found;
}
