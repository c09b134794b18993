import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { cpuMs } from "../../../../bench/process_figures.js";
import { DaemonProcess } from "../../../daemon/daemon_process.js";
import { clientsOf } from "../../../daemon/harness.js";
import { freePort } from "../../../free_port.js";
import { RealFleet } from "../real/real_fleet.js";
import type { RealHub } from "../real/real_hub.js";
import { Agents } from "./agents.js";
import { Crowd } from "./crowd.js";
import { type CrowdStormReport, type Effort, grantsOfTeam } from "./crowd_report.js";
import { nowMs } from "./crowd_spoke.js";
import { Identities } from "./identities.js";

export interface CrowdStormOptions {
  readonly spokes: number;
  /** How long the database is away. */
  readonly awaySeconds: number;
  readonly say: (words: string) => void;
}

/** Spokes that see the connections of one team, as the replicas of a deployment do. */
const spokesOfTeam = 100;
const realSpokes = 2;
const longLifeSeconds = 12 * 3_600;
const lanes = 32;
const limitMs = 180_000;

/** A crowd of spokes at hubs of a fleet: one refresh reaches all, a hub is killed, the leader too, the database is away. */
export class CrowdStorm {
  #crowd!: Crowd;
  readonly #agents = new Agents();
  readonly #spokes: DaemonProcess[] = [];
  /** Of everyone's connection. */
  #revision = 1n;

  private constructor(
    private readonly options: CrowdStormOptions,
    private readonly fleet: RealFleet,
    private readonly identities: Identities,
  ) {}

  static async run(options: CrowdStormOptions): Promise<CrowdStormReport> {
    const teams = Math.ceil(options.spokes / spokesOfTeam);
    const identities = new Identities(options.spokes + realSpokes, teams);
    const group = { dueAtMs: Date.now() + 86_400_000, accessTokenBytes: 1_400 };
    const ofTeam = (team: number) => ({ ...group, count: grantsOfTeam, userId: `team-${team}` });
    const fleet = await RealFleet.start({
      hubs: 3,
      lifeSeconds: longLifeSeconds,
      groups: [
        { ...group, count: 1, userId: "everyone" },
        ...Array.from({ length: teams }, (_, team) => ofTeam(team)),
      ],
      // The lease as by default.
      environment: {
        ...identities.settings,
        NEXUS_MAX_CONNECTIONS: "20000",
        NEXUS_FLEET_LEASE_SECONDS: "10",
      },
    });
    const storm = new CrowdStorm(options, fleet, identities);
    try {
      return await storm.#run();
    } catch (error) {
      for (const line of storm.#errors()) options.say(line);
      throw error;
    } finally {
      await storm.#close();
    }
  }

  async #run(): Promise<CrowdStormReport> {
    const { say, spokes } = this.options;
    const { provider, broken } = this.fleet;
    const leader = await this.#leader();
    const hub = this.fleet.hubs.find((one) => one !== leader) as RealHub;
    say("three hubs follow one leader");
    const copied = await this.#effort([hub], () => this.#gather(hub));
    say(`all have a copy: ${JSON.stringify(copied)}`);
    const newToken = await this.#effort([hub], () => this.#newToken(leader));
    say(`all have the new token: ${JSON.stringify(newToken)}`);
    await this.#beginAgents(hub);
    await this.#refreshTeams(2n);
    const resumed = [await this.#killed(hub)];
    say(`all have resumed: ${JSON.stringify(resumed[0])}`);
    resumed.push(await this.#killed(await this.#leader()));
    say(`all have resumed again: ${JSON.stringify(resumed[1])}`);
    const away = await this.#away();
    say(`the database was away: ${JSON.stringify(away)}`);
    await this.#agents.stop();
    const { reads, noticed } = this.#agents;
    const crowd = await this.#crowd.report();
    return {
      spokes,
      copied,
      newToken,
      resumed,
      away,
      crowd,
      reads,
      noticed,
      overlaps: provider.overlaps,
      broken,
    };
  }

  get #everyones(): string {
    return this.fleet.ids[0] ?? "";
  }

  get #teamIds(): readonly (readonly string[])[] {
    return this.fleet.groups.slice(1);
  }

  /** Does it, and measures. @param act returns when it was over, by `nowMs` */
  async #effort(hubs: readonly RealHub[], act: () => Promise<number>): Promise<Effort> {
    const spent = () => hubs.reduce((sum, { pid }) => sum + cpuMs(pid), 0);
    const [startedMs, before] = [nowMs(), spent()];
    const endedMs = await act();
    return { seconds: inSeconds(endedMs - startedMs), cpuSeconds: inSeconds(spent() - before) };
  }

  async #leader(): Promise<RealHub> {
    const { hubs } = this.fleet;
    for (let tries = 0; tries < limitMs / 100; tries++) {
      const followed = new Set(await Promise.all(hubs.map((hub) => hub.leaderAddress())));
      const leader = hubs.find(({ isLeader }) => isLeader);
      if (leader && followed.size === 1) return leader;
      await sleep(100);
    }
    throw new Error("the hubs do not follow one leader");
  }

  async #gather(first: RealHub): Promise<number> {
    const { authority, tokens } = this.identities;
    this.#crowd = Crowd.begin({
      ports: this.#ports(first),
      tokens: tokens.slice(realSpokes),
      ca: authority.pem,
    });
    return await this.#crowd.whole();
  }

  #ports(first: RealHub): number[] {
    return [first, ...this.fleet.hubs.filter((hub) => hub !== first)].map(({ port }) => port);
  }

  /** @returns when the last spoke had it */
  async #newToken(hub: RealHub): Promise<number> {
    const [heldMs] = await Promise.all([this.#everyonesNext(), this.#refreshEveryones(hub)]);
    return heldMs;
  }

  #everyonesNext(): Promise<number> {
    return this.#crowd.holds(this.#revision + 1n, this.#everyones);
  }

  /** Asks again where it has to: nobody may lead. */
  async #refreshEveryones({ clients }: RealHub): Promise<void> {
    const endMs = nowMs() + limitMs;
    for (;;) {
      try {
        const { token } = await clients.tokens.refreshToken({ connectionId: this.#everyones });
        this.#revision = token?.revision ?? 0n;
        return;
      } catch (error) {
        if (nowMs() > endMs) throw error;
        await sleep(100);
      }
    }
  }

  /** Agents at real spokes, which begin with that hub. */
  async #beginAgents(first: RealHub): Promise<void> {
    for (let index = 0; index < realSpokes; index++) {
      const folder = this.identities.ofSpoke(index, this.#ports(first));
      const spoke = new DaemonProcess({
        ...folder,
        NEXUS_HTTP_LISTEN: `127.0.0.1:${await freePort()}`,
        NEXUS_OPS_LISTEN: `127.0.0.1:${await freePort()}`,
        NEXUS_LOG_FORMAT: "json",
      });
      this.#spokes.push(spoke);
      await spoke.ready();
      const ids = [this.#everyones, ...(this.#teamIds[index % this.#teamIds.length] ?? [])];
      this.#agents.begin(`spoke ${index}`, clientsOf(join(folder.NEXUS_DATA_DIR, "nexus.sock")), ids);
    }
  }

  /** Has all grants of teams refreshed, and waits until the spokes hold the revision that they have then. */
  async #refreshTeams(revision: bigint): Promise<void> {
    const { clients } = await this.#leader();
    const waiting = this.#teamIds.flat();
    const lane = async (): Promise<void> => {
      for (let id = waiting.pop(); id !== undefined; id = waiting.pop())
        await clients.tokens.refreshToken({ connectionId: id });
    };
    await Promise.all(Array.from({ length: lanes }, lane));
    await this.#crowd.holds(revision);
  }

  /** A hub that stands still, and is killed: what is refreshed in between has to be told to its spokes when they resume. */
  async #killed(hub: RealHub): Promise<CrowdStormReport["resumed"][number]> {
    const others = this.fleet.hubs.filter((other) => other !== hub);
    const { resumes } = await this.#crowd.report();
    hub.mayStart.close();
    hub.signal("SIGSTOP");
    const held = this.#everyonesNext();
    held.catch(() => undefined);
    await this.#refreshEveryones(others[0] as RealHub);
    const effort = await this.#effort(others, async () => {
      await hub.killed();
      await held;
      return await this.#crowd.whole();
    });
    hub.mayStart.open();
    const spokes = (await this.#crowd.report()).resumes - resumes;
    return { ...effort, spokes };
  }

  /** All grants of teams fall due meanwhile. */
  async #away(): Promise<CrowdStormReport["away"]> {
    const { servers, provider, hubs } = this.fleet;
    const { awaySeconds: seconds } = this.options;
    await this.#widenWindow();
    // Due after three to four eighths of their life, as the window is half of it.
    provider.lifeSeconds = 2 * seconds;
    const issuedMs = nowMs();
    await this.#refreshTeams(3n);
    provider.lifeSeconds = longLifeSeconds;
    for (const { clients, port } of hubs) this.#agents.begin(`hub at ${port}`, clients, this.#teamIds.flat());
    const isDueLater = nowMs() - issuedMs < 750 * seconds;
    servers.primary.kill();
    // What was sent before is answered.
    await sleep(1_000);
    const before = provider.refreshes;
    await sleep(seconds * 1_000 - 1_000);
    const refreshed = provider.refreshes - before;
    const until = await this.#effort(hubs, async () => {
      await servers.primary.start();
      return await this.#crowd.holds(4n);
    });
    return { seconds, due: isDueLater ? this.#teamIds.flat().length : 0, refreshed, until };
  }

  async #widenWindow(): Promise<void> {
    const { clients } = await this.#leader();
    const { providers } = await clients.providers.listProviders({});
    await clients.providers.updateProvider({
      provider: { id: providers[0]?.id ?? "", refreshWindow: { seconds: 86_400n } },
      updateMask: { paths: ["refresh_window"] },
    });
  }

  /** What hubs logged as an error. */
  #errors(): string[] {
    const lives = this.fleet.hubs.flatMap((hub) => hub.lives);
    return lives.flatMap(({ daemon }) =>
      daemon.output.split("\n").filter((line) => /"level":"?(error|50)/.test(line)),
    );
  }

  async #close(): Promise<void> {
    await this.#agents.stop();
    await this.#crowd?.close();
    for (const spoke of this.#spokes) await spoke.kill("SIGKILL");
    await this.fleet.close();
    this.identities.close();
  }
}

function inSeconds(ms: number): number {
  return Math.round(ms / 10) / 100;
}
