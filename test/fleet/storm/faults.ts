import { setTimeout as sleep } from "node:timers/promises";
import type { Postgres } from "../postgres.js";
import type { HubProcess } from "./hub_process.js";

/** What was done to whom, for the explanation of a loss. */
export interface Fault {
  readonly kind: FaultKind;
  /** Of the process that it met; empty: the database. */
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
  "cut hubs",
  "kill database",
  "promote standby",
] as const;
export type FaultKind = (typeof faultKinds)[number];

/** The primary and its synchronous standby. */
export interface Servers {
  primary: Postgres;
  standby: Postgres;
}

/** Does harm, one thing after the other, and several at once. */
export class Faults {
  readonly done: Fault[] = [];
  readonly #underWay = new Set<Promise<void>>();

  constructor(
    private readonly hubs: readonly HubProcess[],
    private readonly servers: Servers,
    /** Milliseconds, around which pauses and cuts last. */
    private readonly leaseMs: number,
  ) {}

  /** Begins one. Most meet the leader. */
  begin(kind: FaultKind): void {
    const leader = this.hubs.find(({ isLeader }) => isLeader);
    const any = this.hubs[Math.floor(Math.random() * this.hubs.length)];
    const hub = (Math.random() < 0.75 && leader) || any;
    if (!hub) return;
    const isOfDatabase = kind === "kill database" || kind === "promote standby";
    const fault = {
      kind,
      owner: isOfDatabase ? "" : hub.owner,
      fromMs: Date.now(),
      untilMs: Number.POSITIVE_INFINITY,
    };
    this.done.push(fault);
    const doing = this.#do(kind, hub).finally(() => {
      fault.untilMs = Date.now();
      this.#underWay.delete(doing);
    });
    this.#underWay.add(doing);
  }

  async settled(): Promise<void> {
    await Promise.all(this.#underWay);
  }

  async #do(kind: FaultKind, hub: HubProcess): Promise<void> {
    const lastsMs = 300 + Math.random() * 2.5 * this.leaseMs;
    const links = { database: hub.databaseLink, provider: hub.providerLink, hubs: hub.hubLink };
    if (kind === "kill") return hub.signal("SIGKILL");
    if (kind === "terminate") return hub.signal("SIGTERM");
    if (kind === "kill database") return await this.#killDatabase(lastsMs);
    if (kind === "promote standby") return await this.#promote();
    if (kind === "pause") {
      hub.signal("SIGSTOP");
      await sleep(lastsMs);
      return hub.signal("SIGCONT");
    }
    const [how = "", where = "database"] = kind.split(" ");
    const link = links[where as keyof typeof links];
    if (how === "cut") link.cut();
    else if (how === "slow") link.slow(20 + Math.random() * 200);
    else link.halfOpen();
    await sleep(lastsMs);
    link.heal();
  }

  async #killDatabase(awayMs: number): Promise<void> {
    const { primary } = this.servers;
    primary.kill();
    await sleep(Math.min(awayMs, 3_000));
    await primary.start();
  }

  /** The standby becomes the primary, and gets a standby of its own; commits wait until that has all. */
  async #promote(): Promise<void> {
    const { primary, standby } = this.servers;
    primary.kill();
    await standby.promote();
    this.servers.primary = standby;
    for (const hub of this.hubs) hub.retarget(standby.socketPath);
    await primary.close();
    this.servers.standby = await standby.standby({ name: "sync" });
  }
}
