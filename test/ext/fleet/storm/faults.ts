import { setTimeout as sleep } from "node:timers/promises";
import type { Postgres } from "../../../fakes/postgres.js";
import type { TcpProxy } from "../../../fakes/tcp_proxy.js";

/** A process, and its links. */
export interface StormHub {
  readonly owner: string;
  readonly isLeader: boolean;
  /** One for each host of its URL. */
  readonly databaseLinks: readonly TcpProxy[];
  /** That of all hubs. */
  readonly providerLink: TcpProxy;
  readonly hubLink: TcpProxy;
  signal(name: NodeJS.Signals): void;
}

/** A process whose event loop stands still for so long of a window passes nothing on in time: a hub waits 1.5 s for an answer. */
const stallMs = 500;
const windowMs = 1_500;
const lookEveryMs = 50;

/** What was done to whom, for the explanation of a loss. */
export interface Fault {
  /** `stall`: nothing was done, and the process of the storm, with the provider and all links in it, did not run all the same. */
  readonly kind: FaultKind | "stall";
  /** Of the process that it met; empty: the database; `every`: a link that all have. */
  readonly owner: string;
  readonly fromMs: number;
  untilMs: number;
}

export const faultKinds = [
  "pause",
  "kill",
  "terminate",
  "cut database",
  "half-open database",
  "slow database",
  "cut provider",
  "half-open provider",
  "slow provider",
  "full provider",
  "cut hubs",
  "kill database",
  "promote standby",
] as const;
export type FaultKind = (typeof faultKinds)[number];

/** How often a fault is drawn, 10 where nothing is said. Links to the provider lose answers, and prove little. */
const weights: Partial<Record<FaultKind, number>> = {
  pause: 60,
  kill: 12,
  "cut provider": 4,
  "half-open provider": 4,
  "promote standby": 6,
};

/** The primary and its synchronous standby. */
export interface Servers {
  primary: Postgres;
  standby: Postgres;
}

/** Does harm, one thing after the other, and several at once. */
export class Faults {
  readonly done: Fault[] = [];
  /** Since the first fault, until `close`. */
  readonly stalls: Fault[] = [];
  #watch: NodeJS.Timeout | undefined;
  #startedMs = 0;
  #stoodMs = 0;
  readonly #underWay = new Set<Promise<void>>();
  /** How many processes were seen to lead. */
  reigns = 0;

  constructor(
    private readonly hubs: readonly StormHub[],
    private readonly servers: Servers,
    /** Milliseconds, around which pauses and cuts last. */
    private readonly leaseMs: number,
    /** Milliseconds between two, on average. */
    private readonly betweenMs = 2_300,
    /** Uniform in [0, 1): what happens, when, and for how long. */
    private readonly random: () => number = Math.random,
  ) {}

  /** One after the other, for some minutes; and waits until all are over. */
  async rage(minutes: number, say: (kind: FaultKind) => void): Promise<void> {
    const endMs = performance.now() + minutes * 60_000;
    let isDatabaseHarmed = false;
    let leader = "";
    this.#startedMs = performance.now();
    this.#watch ??= this.#watchStalls();
    while (performance.now() < endMs) {
      await sleep(2 * this.betweenMs * this.random());
      const leads = this.hubs.find(({ isLeader }) => isLeader)?.owner ?? leader;
      if (leads !== leader) this.reigns++;
      leader = leads;
      const kind = drawn(this.random);
      const isOfDatabase = kind === "kill database" || kind === "promote standby";
      // A primary and its standby that fail at once are beyond what replication promises.
      if (isOfDatabase && isDatabaseHarmed) continue;
      say(kind);
      const done = this.begin(kind);
      if (kind === "promote standby" && this.random() < 0.5) void this.begin("kill");
      if (!isOfDatabase) continue;
      isDatabaseHarmed = true;
      void done.then(() => {
        isDatabaseHarmed = false;
      });
    }
    await this.settled();
  }

  close(): void {
    clearInterval(this.#watch);
  }

  /** The part of the time since the first fault in which the process of the storm did not run. */
  get stalled(): number {
    return this.#stoodMs / (performance.now() - this.#startedMs);
  }

  /** While a laden machine does not let this process run, the provider hears and answers nothing. */
  #watchStalls(): NodeJS.Timeout {
    let seenMs = Date.now();
    let late: { readonly fromMs: number; readonly untilMs: number }[] = [];
    return setInterval(() => {
      const nowMs = Date.now();
      if (nowMs - seenMs > 2 * lookEveryMs) {
        late.push({ fromMs: seenMs, untilMs: nowMs });
        this.#stoodMs += nowMs - seenMs;
      }
      seenMs = nowMs;
      late = late.filter(({ untilMs }) => untilMs > nowMs - windowMs);
      const stoodMs = late.reduce((sum, { fromMs, untilMs }) => sum + untilMs - fromMs, 0);
      const [first] = late;
      if (first && stoodMs > stallMs)
        this.stalls.push({ kind: "stall", owner: "every", fromMs: first.fromMs, untilMs: nowMs });
    }, lookEveryMs);
  }

  /** Begins one, and resolves when it is over. Most meet the leader. */
  begin(kind: FaultKind): Promise<void> {
    const leader = this.hubs.find(({ isLeader }) => isLeader);
    const any = this.hubs[Math.floor(this.random() * this.hubs.length)];
    const hub = (this.random() < 0.75 && leader) || any;
    if (!hub) return Promise.resolve();
    const fault = {
      kind,
      owner: this.#metBy(kind, hub),
      fromMs: Date.now(),
      untilMs: Number.POSITIVE_INFINITY,
    };
    this.done.push(fault);
    const doing = this.#do(kind, hub).finally(() => {
      fault.untilMs = Date.now();
      this.#underWay.delete(doing);
    });
    this.#underWay.add(doing);
    return doing;
  }

  #metBy(kind: FaultKind, hub: StormHub): string {
    if (kind === "kill database" || kind === "promote standby") return "";
    return kind.endsWith(" provider") ? "every" : hub.owner;
  }

  async settled(): Promise<void> {
    await Promise.all(this.#underWay);
  }

  async #do(kind: FaultKind, hub: StormHub): Promise<void> {
    const lastsMs = 300 + this.random() * 2.5 * this.leaseMs;
    const links = { database: hub.databaseLinks, provider: [hub.providerLink], hubs: [hub.hubLink] };
    if (kind === "kill") return hub.signal("SIGKILL");
    if (kind === "terminate") return hub.signal("SIGTERM");
    if (kind === "kill database") return await this.#killDatabase(lastsMs);
    if (kind === "promote standby") return await this.#promote(this.random() < 0.5 ? 0 : lastsMs);
    if (kind === "pause") {
      hub.signal("SIGSTOP");
      await sleep(lastsMs);
      return hub.signal("SIGCONT");
    }
    if (kind === "full provider") return await fullFor(hub.providerLink, lastsMs);
    const [how = "", where = "database"] = kind.split(" ");
    const delayMs = 20 + this.random() * 200;
    for (const link of links[where as keyof typeof links]) {
      if (how === "cut") link.cut();
      else if (how === "slow") link.slow(delayMs);
      else link.halfOpen();
    }
    await sleep(lastsMs);
    for (const link of links[where as keyof typeof links]) link.heal();
  }

  async #killDatabase(awayMs: number): Promise<void> {
    const { primary } = this.servers;
    primary.kill();
    await sleep(Math.min(awayMs, 3_000));
    await primary.start();
  }

  /**
   * The standby becomes the primary, and gets a standby of its own, which takes the place of the old primary; commits wait until that has all.
   *
   * @param aliveMs for which the old primary lives on beside it, and takes connections
   */
  async #promote(aliveMs: number): Promise<void> {
    const { primary, standby } = this.servers;
    if (aliveMs === 0) primary.kill();
    await standby.promote();
    this.servers.primary = standby;
    await sleep(aliveMs);
    await primary.close();
    this.servers.standby = await standby.standby({ name: "sync", synchronous: "sync" });
    for (const { databaseLinks } of this.hubs)
      for (const link of databaseLinks)
        if (link.target === primary.socketPath) link.target = this.servers.standby.socketPath;
  }
}

/** The provider takes no connection, and refuses none. */
async function fullFor(link: TcpProxy, lastsMs: number): Promise<void> {
  // Where it lasts already, this one is over when that is.
  if (link.isFull) return;
  await link.fill();
  await sleep(lastsMs);
  await link.empty();
}

function drawn(random: () => number): FaultKind {
  const tickets = faultKinds.flatMap((kind) => Array<FaultKind>(weights[kind] ?? 10).fill(kind));
  return tickets[Math.floor(random() * tickets.length)] ?? "pause";
}
