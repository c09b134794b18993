import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { rawEntries } from "../../src/ext/fleet/replication/raw_entries.js";
import { ReplicaStore } from "../../src/ext/fleet/replication/replica_store.js";
import { SpoolFile } from "../../src/store/files/spool_file.js";
import { Store } from "../../src/store/store.js";
import { MemoryLog } from "../ext/fleet/memory_log.js";
import type { HostileServer } from "../fakes/hostile_server.js";
import type { ManualClock } from "../fakes/manual_clock.js";
import { FencedLog } from "./fenced_log.js";
import { Life } from "./life.js";

/** How a hub ceases to lead. `stopped` and `cut` off it lives on, and hears of it when it is back. */
export type Ending = "ended" | "killed" | "stopped" | "cut";

interface FleetWorld {
  readonly clock: ManualClock;
  readonly server: HostileServer;
  readonly violations: string[];
  random(): number;
}

/** Two hubs on one log: one leads, life after life, the other follows and leads next. */
export class ModelFleet {
  /** Led before and does not know yet that it leads no more. */
  ghost: Life | undefined;
  follower: Life | undefined;
  readonly #log = new MemoryLog();
  readonly #folders: readonly [string, string];
  #leading: 0 | 1 = 0;
  #fence = 0;
  #leader: Life | undefined;
  #isBegun = false;
  #feeding: Promise<void> = Promise.resolve();
  /** By hub: the newest revision that its watchers heard of. */
  readonly #heard: [bigint, bigint] = [0n, 0n];

  constructor(
    private readonly folder: string,
    private readonly world: FleetWorld,
  ) {
    this.#folders = [this.#folderOf("one"), this.#folderOf("other")];
  }

  /** The next life of the hub that leads. */
  async lead(): Promise<Life> {
    if (!this.#isBegun) await this.#begin();
    return await this.#term(await this.#open(this.#leading));
  }

  /** The other hub leads from now on; the one before follows it, where it is no ghost. */
  async change(): Promise<Life> {
    const next = this.follower;
    if (!next) throw new Error("a hub follows");
    this.follower = undefined;
    await this.#fed(next);
    const before = this.#leading;
    this.#leading = before === 0 ? 1 : 0;
    const life = await this.#term(next);
    if (!this.ghost) this.follower = await this.#open(before);
    return life;
  }

  /** The hub that led before hears that it leads no more: what it was answered is in its spool file, and it follows. @returns whether it lived until then */
  async returned(ghost: Life): Promise<boolean> {
    await ghost.abandon();
    this.ghost = undefined;
    const isAlive = !ghost.isDead;
    await ghost.bury();
    this.follower = await this.#open(this.#leading === 0 ? 1 : 0);
    return isAlive;
  }

  /** The hub that follows hands over what is in its spool file. @returns false when the leader died of it */
  async flushToLeader(): Promise<boolean> {
    const leader = this.#leader;
    try {
      await this.follower?.domain.spool.flushToLeader(async (tokenSets) => {
        let isTaken = false;
        const importTokenSet = async (): Promise<void> => {
          for (const tokenSet of tokenSets) await leader?.domain.spool.importTokenSet(tokenSet);
          isTaken = true;
        };
        void importTokenSet();
        while (!isTaken && leader?.isDead === false)
          await new Promise<void>((resolve) => setImmediate(resolve));
        if (!isTaken) throw new Error("the hub that leads died");
      });
      return true;
    } catch {
      return false;
    }
  }

  /** As `Life.events`, of the hubs that do not lead. */
  get events(): number {
    return (this.follower?.events ?? 0) + (this.ghost?.events ?? 0);
  }

  /** Whether an answer may be on its way to the hub that led before. */
  isHeldElsewhere(owner: string | undefined): boolean {
    return this.ghost !== undefined && this.ghost.store.owner === owner;
  }

  /** The follower takes what the log has. */
  async feed(): Promise<void> {
    const { follower } = this;
    if (!follower || positionOf(follower) === this.#log.position) return;
    await this.#fed(follower);
  }

  /** What the follower and a fresh copy have otherwise than the leader. */
  async differences(): Promise<string[]> {
    const [leader, follower] = [this.#leader?.store, this.follower?.store];
    if (!leader || !follower) throw new Error("two hubs live");
    await leader.settled();
    await this.feed();
    const folder = this.#folderOf("copy");
    await ReplicaStore.copyInto(folder, {
      entries: leader.raw(rawEntries),
      position: { position: 0n, batchId: "" },
    });
    const copy = ReplicaStore.open({ folder, nowMs: 0 });
    await copy.apply(this.#log.after(0n));
    const expected = textOf(leader);
    const found = [
      ...(textOf(follower) === expected ? [] : ["the follower holds other bytes than the leader"]),
      ...(textOf(copy) === expected ? [] : ["a fresh copy holds other bytes than the leader"]),
    ];
    await copy.close();
    return found;
  }

  async end(): Promise<void> {
    this.ghost?.resume();
    await this.ghost?.bury();
    await this.follower?.bury();
  }

  async #begin(): Promise<void> {
    this.#isBegun = true;
    const first = Store.open({ folder: this.#folderOf("first"), nowMs: this.world.clock.nowMs() });
    const position = { position: 0n, batchId: "" };
    for (const folder of this.#folders)
      await ReplicaStore.copyInto(folder, { entries: first.raw(rawEntries), position });
    await first.close();
    this.follower = await this.#open(1);
  }

  /** A new process of a hub, which follows. */
  async #open(hub: 0 | 1): Promise<Life> {
    const { clock, server, violations } = this.world;
    const folder = this.#folders[hub];
    const store = ReplicaStore.open({ folder, nowMs: clock.nowMs() });
    if (store.settledRevision < this.#heard[hub]) violations.push("I11: a hub went back when it was started");
    const life: Life = new Life(store, clock, server, () => this.world.random(), SpoolFile.open(folder), {
      leader: () => this.#leader ?? life,
      applied: () => this.feed(),
      heard: (revisions) => this.#hear(hub, revisions),
    });
    await this.#fed(life);
    return life;
  }

  async #term(life: Life): Promise<Life> {
    const fence = ++this.#fence;
    this.#leader = life;
    await life.begin(new FencedLog(this.#log, () => this.#fence === fence));
    return life;
  }

  #hear(hub: 0 | 1, revisions: readonly bigint[]): void {
    for (const revision of revisions) {
      if (revision <= this.#heard[hub]) this.world.violations.push(`I11: a hub went back to ${revision}`);
      if (revision > this.#log.revision) this.world.violations.push(`I11: ${revision} is not in the log`);
      this.#heard[hub] = revision;
    }
  }

  #fed({ store }: Life): Promise<void> {
    const replica = store as ReplicaStore;
    this.#feeding = this.#feeding.then(() => replica.apply(this.#log.after(replica.position.position)));
    return this.#feeding;
  }

  #folderOf(name: string): string {
    const folder = join(this.folder, name);
    mkdirSync(folder, { recursive: true });
    return folder;
  }
}

function positionOf({ store }: Life): bigint {
  return (store as ReplicaStore).position.position;
}

function textOf(store: Store): string {
  const lines: string[] = [];
  for (const page of store.raw(rawEntries)) {
    for (const { database, key, value } of page)
      lines.push(
        `${database} ${Buffer.from(key).toString("hex")} ${Buffer.from(value ?? "").toString("hex")}`,
      );
  }
  return lines.join("\n");
}
