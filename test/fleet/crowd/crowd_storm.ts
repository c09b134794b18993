import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { cpuMs } from "../../../bench/process_figures.js";
import { Role } from "../../../src/gen/nexus/v1/access_pb.js";
import { DaemonProcess } from "../../daemon/daemon_process.js";
import { type Clients, clientsOf } from "../../daemon/harness.js";
import { Authority } from "../../fakes/certificates.js";
import { freePort } from "../../free_port.js";
import { RealFleet } from "../real/real_fleet.js";
import type { RealHub } from "../real/real_hub.js";
import { Agents } from "./agents.js";
import { Crowd } from "./crowd.js";

export interface CrowdStormOptions {
  /** Simulated ones; each a hundredth of them shares an identity, as the replicas of a deployment do. */
  readonly spokes: number;
  /** How long the database is away. */
  readonly awaySeconds: number;
  /** From the start of the hubs to the outage: what comes before it must be over by then. */
  readonly beforeSeconds: number;
  readonly say: (words: string) => void;
}

export interface CrowdStormReport {
  readonly spokes: number;
  /** Until all of them had a copy from one hub, each from its first byte. */
  readonly copiedSeconds: number;
  readonly copiedCpuSeconds: number;
  /** From the request to refresh to the last of them that had the new token. */
  readonly newTokenSeconds: number;
  /** From the death of one hub of three until all had resumed at the others, and what that took of these. */
  readonly resumedSeconds: number;
  readonly resumedCpuSeconds: number;
  /** Connections that changed before, behind the spokes' last bookmarks. */
  readonly changedBefore: number;
  /** Streams that had to begin anew. */
  readonly resets: number;
  readonly awaySeconds: number;
  /** Grants that were due while the database was away, and those that were refreshed then. */
  readonly dueWhileAway: number;
  readonly refreshedWhileAway: number;
  readonly reads: number;
  /** Connections whose token ended in the hands of a spoke. */
  readonly lapsed: number;
  readonly noticed: readonly string[];
  readonly overlaps: number;
  readonly broken: readonly string[];
}

const teams = 100;
const grantsOfTeam = 10;
/** Refreshed before the hub is killed: changes that a spoke which comes back has to be told of, or not. */
const maxChurn = 2_000;
const lanes = 32;
const realSpokes = 2;

/** A crowd of spokes at three hubs: one refresh reaches all, a hub is killed, the database is away. */
export class CrowdStorm {
  #fleet!: RealFleet;
  #crowd!: Crowd;
  readonly #agents = new Agents();
  readonly #agentsAtHubs = new Agents();
  readonly #spokes: DaemonProcess[] = [];
  readonly #authority = new Authority();
  /** Of certificates, keys and spokes. */
  readonly #folder = mkdtempSync(join(tmpdir(), "nexus-crowd-"));
  /** When the first grant is due. */
  #dueMs = 0;

  constructor(private readonly options: CrowdStormOptions) {}

  async run(): Promise<CrowdStormReport> {
    const { spokes, awaySeconds, beforeSeconds, say } = this.options;
    this.#fleet = await this.#start(Date.now() + beforeSeconds * 1_000);
    try {
      const { hubs, provider, broken } = this.#fleet;
      await this.#leader();
      const keys = await this.#keys();
      say(`${hubs.length} hubs, ${keys.length} identities`);
      const copied = await this.#copy(keys);
      say(`all have a copy: ${JSON.stringify(copied)}`);
      const newTokenSeconds = await this.#newToken();
      say(`all have the new token after ${newTokenSeconds} s`);
      await this.#join(keys);
      const resumed = await this.#killed();
      say(`all have resumed: ${JSON.stringify(resumed)}`);
      const away = await this.#away();
      say(`the database was away: ${JSON.stringify(away)}`);
      const agents = [this.#agents, this.#agentsAtHubs];
      for (const each of agents) await each.stop();
      const { resets, lapsed } = await this.#crowd.report();
      return {
        spokes,
        ...copied,
        newTokenSeconds,
        ...resumed,
        resets,
        awaySeconds,
        ...away,
        reads: agents.reduce((sum, { reads }) => sum + reads, 0),
        lapsed: lapsed.length,
        noticed: agents.flatMap(({ noticed }) => noticed),
        overlaps: provider.overlaps,
        broken,
      };
    } catch (error) {
      say(`it fails: ${JSON.stringify(await this.#crowd?.report().catch(() => undefined))}`);
      for (const line of this.#errors()) say(line);
      throw error;
    } finally {
      await this.#close();
    }
  }

  /** What hubs logged as an error. */
  #errors(): string[] {
    const lives = this.#fleet.hubs.flatMap(({ lives }) => lives);
    return lives.flatMap(({ daemon }) =>
      daemon.output.split("\n").filter((line) => /"level":"?(error|50)/.test(line)),
    );
  }

  async #start(dueMs: number): Promise<RealFleet> {
    const { spokes, awaySeconds } = this.options;
    this.#dueMs = dueMs;
    const server = this.#authority.issueServer();
    // What is due while the database is away has to be refreshed when it is back, and before it ends.
    const due = { dueAtMs: dueMs, dueWithinMs: awaySeconds * 1_000, livesOnMs: awaySeconds * 1_200 + 20_000 };
    const later = { dueAtMs: dueMs + 86_400_000 };
    const group = { accessTokenBytes: 1_400 };
    return await RealFleet.start({
      hubs: 3,
      lifeSeconds: 12 * 3_600,
      groups: [
        { ...group, ...later, count: 1, userId: "everyone" },
        ...Array.from({ length: teams }, (_, index) => ({
          ...group,
          ...due,
          count: grantsOfTeam,
          userId: `team-${index}`,
        })),
        { ...group, ...later, count: spokes, userId: "others" },
      ],
      environment: {
        NEXUS_TLS_CERT_FILE: this.#file("hub.pem", server.cert),
        NEXUS_TLS_KEY_FILE: this.#file("hub.key", server.key),
        NEXUS_TLS_LISTENERS: "http",
        NEXUS_MAX_CONNECTIONS: "20000",
        // As by default: this is not about changes of leader.
        NEXUS_FLEET_LEASE_SECONDS: "10",
      },
    });
  }

  async #leader(): Promise<RealHub> {
    for (let tries = 0; tries < 600; tries++) {
      const leader = this.#fleet.hubs.find(({ isLeader }) => isLeader);
      if (leader) return leader;
      await sleep(100);
    }
    throw new Error("no hub leads");
  }

  /** An identity for each team, which sees what is everyone's too. */
  async #keys(): Promise<string[]> {
    const { clients } = await this.#leader();
    const keys: string[] = [];
    for (let index = 0; index < teams; index++) {
      const restriction = { userIds: [`team-${index}`, "everyone"] };
      const created = await clients.access.createApiKey({
        name: `team-${index}`,
        role: Role.AGENT,
        restriction,
      });
      keys.push(created.key);
    }
    return keys;
  }

  /** One hub, all spokes. */
  async #copy(
    keys: readonly string[],
  ): Promise<Pick<CrowdStormReport, "copiedSeconds" | "copiedCpuSeconds">> {
    const hub = this.#fleet.hubs[0] as RealHub;
    const [startedMs, spentMs] = [performance.now(), cpuMs(hub.pid)];
    this.#crowd = Crowd.begin({
      count: this.options.spokes,
      ports: [hub.port],
      keys,
      ca: this.#authority.pem,
    });
    await this.#crowd.whole();
    return { copiedSeconds: since(startedMs), copiedCpuSeconds: seconds(cpuMs(hub.pid) - spentMs) };
  }

  async #newToken(): Promise<number> {
    const [connectionId = ""] = this.#fleet.ids;
    const { last } = await this.#crowd.awaiting(connectionId, 2n);
    const startedNs = process.hrtime.bigint();
    await (await this.#leader()).clients.tokens.refreshToken({ connectionId });
    return seconds(Number((await last) - startedNs) / 1e6);
  }

  /** The crowd spreads over all hubs; agents begin, at the hubs and at real spokes. */
  async #join(keys: readonly string[]): Promise<void> {
    const { hubs } = this.#fleet;
    this.#crowd.move(hubs.map(({ port }) => port));
    await this.#crowd.whole();
    const urls = hubs.map(({ port }) => `https://127.0.0.1:${port}`);
    const daemons = new Map<string, Clients>();
    for (let index = 0; index < realSpokes; index++) {
      const folder = join(this.#folder, `spoke-${index}`);
      mkdirSync(folder, { mode: 0o700 });
      const spoke = new DaemonProcess({
        NEXUS_UPSTREAM: urls.join(","),
        NEXUS_UPSTREAM_CA_FILE: this.#file("ca.pem", this.#authority.pem),
        NEXUS_UPSTREAM_TOKEN_FILE: this.#file("spoke.key", keys[0] ?? ""),
        NEXUS_DATA_DIR: folder,
        NEXUS_HTTP_LISTEN: `127.0.0.1:${await freePort()}`,
        NEXUS_OPS_LISTEN: `127.0.0.1:${await freePort()}`,
        NEXUS_LOG_FORMAT: "json",
      });
      this.#spokes.push(spoke);
      await spoke.ready();
      daemons.set(`spoke ${index}`, clientsOf(join(folder, "nexus.sock")));
    }
    const [everyone = [], team = []] = this.#fleet.groups;
    this.#agents.start(daemons, [...everyone, ...team]);
  }

  /** One hub of three is killed, right after much has changed. */
  async #killed(): Promise<Pick<CrowdStormReport, "resumedSeconds" | "resumedCpuSeconds" | "changedBefore">> {
    const { hubs, groups } = this.#fleet;
    const killed = await this.#leader();
    const others = hubs.filter((hub) => hub !== killed);
    const changed = (groups.at(-1) ?? []).slice(0, maxChurn);
    await this.#refreshed(changed, killed);
    const spent = () => others.reduce((sum, { pid }) => sum + cpuMs(pid), 0);
    killed.mayStart.close();
    const [startedMs, spentMs] = [performance.now(), spent()];
    await killed.killed();
    await this.#crowd.cut(this.options.spokes - 1);
    await this.#crowd.whole();
    const resumed = {
      resumedSeconds: since(startedMs),
      resumedCpuSeconds: seconds(spent() - spentMs),
      changedBefore: changed.length,
    };
    killed.mayStart.open();
    return resumed;
  }

  async #refreshed(connectionIds: readonly string[], { clients }: RealHub): Promise<void> {
    const waiting = [...connectionIds];
    await Promise.all(
      Array.from({ length: lanes }, async () => {
        for (let id = waiting.pop(); id !== undefined; id = waiting.pop())
          await clients.tokens.refreshToken({ connectionId: id });
      }),
    );
  }

  async #away(): Promise<Pick<CrowdStormReport, "dueWhileAway" | "refreshedWhileAway">> {
    const { servers, provider, hubs, groups } = this.#fleet;
    const { awaySeconds, say } = this.options;
    for (const { clients } of hubs) while (!(await answers(clients))) await sleep(100);
    const [everyone = [], team = []] = groups;
    const daemons = new Map(hubs.map(({ port, clients }) => [`hub at ${port}`, clients]));
    this.#agentsAtHubs.start(daemons, [...everyone, ...team]);
    await this.#leader();
    const waitMs = this.#dueMs - Date.now();
    say(`the outage begins in ${seconds(waitMs)} s`);
    if (waitMs > 0) await sleep(waitMs);
    servers.primary.kill();
    const awayMs = Date.now();
    // What was sent before is answered.
    await sleep(1_000);
    const before = provider.refreshes;
    await sleep(awaySeconds * 1_000 - 1_000);
    const refreshedWhileAway = provider.refreshes - before;
    const backMs = Date.now();
    await servers.primary.start();
    const perMs = grantsOfTeam / (awaySeconds * 1_000);
    const dueWhileAway = Math.round(
      teams * perMs * (Math.min(backMs, this.#dueMs + awaySeconds * 1_000) - Math.max(awayMs, this.#dueMs)),
    );
    await this.#untilRefreshed(groups.slice(1, 1 + teams).flat());
    return { dueWhileAway, refreshedWhileAway };
  }

  /** All that was due has another token, and the tokens of the beginning have ended: nobody may hold one. */
  async #untilRefreshed(connectionIds: readonly string[]): Promise<void> {
    const { awaySeconds } = this.options;
    const { clients } = await this.#leader();
    for (const connectionId of connectionIds) {
      const revision = async () =>
        (await clients.tokens.getToken({ connectionId }).catch(() => undefined))?.token?.revision ?? 0n;
      for (let tries = 0; (await revision()) < 2n; tries++) {
        if (tries > 1_200) throw new Error("what was due while the database was away is not refreshed");
        await sleep(100);
      }
    }
    const lastEndMs = this.#dueMs + awaySeconds * 2_200 + 20_000;
    await sleep(Math.max(0, lastEndMs - Date.now()) + 2_000);
  }

  async #close(): Promise<void> {
    for (const agents of [this.#agents, this.#agentsAtHubs]) await agents.stop();
    await this.#crowd?.close();
    for (const spoke of this.#spokes) await spoke.kill("SIGKILL");
    await this.#fleet?.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #file(name: string, text: string): string {
    const path = join(this.#folder, name);
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  }
}

/** What is wrong with what was seen. */
export function crowdFailures(report: CrowdStormReport): string[] {
  const { resets, lapsed, noticed, dueWhileAway, refreshedWhileAway, overlaps, broken } = report;
  const found = [...new Set(noticed), ...broken];
  if (resets > 0) found.push(`${resets} streams had to begin anew`);
  if (lapsed > 0) found.push(`${lapsed} connections had a token that ended in the hands of a spoke`);
  if (dueWhileAway < 1)
    found.push("nothing was due while the database was away: give what comes before more time");
  if (refreshedWhileAway > 0) found.push("a provider was asked while the database was away");
  if (overlaps > 0) found.push(`${overlaps} requests of one grant overlapped`);
  return found;
}

async function answers({ status }: Pick<Clients, "status">): Promise<boolean> {
  return await status.getStatus({}).then(
    () => true,
    () => false,
  );
}

function since(startedMs: number): number {
  return seconds(performance.now() - startedMs);
}

function seconds(ms: number): number {
  return Math.round(ms / 10) / 100;
}
