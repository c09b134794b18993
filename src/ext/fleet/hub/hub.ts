import type { LeaderTerm } from "../../../core/registry.js";
import { type Clock, delay, type Log } from "../../../runtime/runtime.js";
import { FleetUnreachable } from "../database/connection/fleet_error.js";
import type { FleetDatabase } from "../database/fleet_database.js";
import type { Lease, LeaseHolder } from "../database/lease.js";
import type { CommitWait } from "../database/log/commit_wait.js";
import type { DatabaseLog } from "../database/log/database_log.js";
import { CatchUp, type HubRole } from "./catch_up.js";
import type { FleetConfig } from "./fleet_settings.js";
import type { OpenFleet } from "./open_fleet.js";

/** How often the lease is looked at: the next hub leads so soon after one has given it back. */
const pollIntervalMs = 500;
const retryMs = 1_000;
/** A lease that could not be looked at for so long, while the database answers. */
const leaseSilentMs = 10_000;
/** How long a hub that stands back leaves the lease to the others: each takes it within a second. */
const standBackMs = 10_000;
/** A hub that ends keeps the lead for no longer, whatever a provider takes: what is answered later goes into its spool file. */
const restMs = 10_000;
/** A hub that ends does not wait longer for a database that is away. */
const releaseMs = 3_000;

export interface HubOptions {
  readonly config: FleetConfig;
  readonly fleet: OpenFleet;
  /** Why this hub may not lead now, each in one sentence. */
  readonly mayNotLead: () => readonly string[];
  /** Whether this hub leads only where no other hub does. */
  readonly isBackingOff: () => boolean;
  readonly clock: Clock;
  readonly log: Log;
  /** Called once: the process must end, and be started again. */
  readonly onEnded: (error: HubEnded) => void;
}

/** This process can be no part of the fleet any more, and is one again when it is started again. */
export class HubEnded extends Error {
  override readonly name = "HubEnded";
}

/**
 * What this hub is to its fleet: it follows the log, takes the lease where nobody holds it, leads until it loses it. A leader becomes a
 * follower again as a new process alone: what it has in memory cannot outlive its reign.
 */
export class Hub {
  readonly #stop = new AbortController();
  readonly #feeding = new AbortController();
  readonly #leading = new AbortController();
  readonly catchUp: CatchUp;
  #database: FleetDatabase | undefined;
  #lease: Lease | undefined;
  #leaderLog: DatabaseLog | undefined;
  #term: LeaderTerm | undefined;
  #role: HubRole = "follower";
  #holder: LeaseHolder | undefined;
  #running: Promise<unknown>[] = [];
  #changed = new Set<() => void>();
  #isEnded = false;
  /** When the lease was looked at; undefined before the database was reached. */
  #lookedMs: number | undefined;
  #leaseFailure: unknown;

  constructor(private readonly options: HubOptions) {
    this.#database = options.fleet.database;
    this.catchUp = new CatchUp({ ...options, hub: this, store: options.fleet.store });
  }

  get role(): HubRole {
    return this.#role;
  }

  get database(): FleetDatabase | undefined {
    return this.#database;
  }

  /** Who leads, as far as this hub knows. */
  get holder(): LeaseHolder | undefined {
    return this.#holder;
  }

  /** Why the lease cannot be looked at, for ten seconds now; undefined where it can. */
  get leaseFailure(): unknown {
    const agoMs = this.options.clock.monotonicMs() - (this.#lookedMs ?? Number.POSITIVE_INFINITY);
    return agoMs >= leaseSilentMs ? this.#leaseFailure : undefined;
  }

  /** Where the leader is asked; undefined while nobody is known to lead, and while this hub begins or ends to. */
  get leader(): string | "here" | undefined {
    if (this.#role === "leader") return "here";
    const holder = this.#holder;
    return holder === undefined || holder.owner === this.options.fleet.owner ? undefined : holder.address;
  }

  /** What the commits of this hub wait for, while it leads; undefined while the database takes them. */
  get commitWait(): CommitWait | undefined {
    return this.#leaderLog?.wait;
  }

  /** Resolves when another hub leads, or this one. */
  leaderChanged(): Promise<void> {
    return new Promise((resolve) => void this.#changed.add(resolve));
  }

  /** Whether a request to a provider may begin: no other hub can lead before it is over. */
  maySend(): boolean {
    return this.#lease?.isSafeToSend() === true;
  }

  start(term: LeaderTerm): void {
    this.#term = term;
    this.#running = [this.#run()];
  }

  /** Gives the lease back when nothing is under way, so that another hub leads within a second. */
  async resign(): Promise<void> {
    const { log, fleet } = this.options;
    const led = this.#role === "leader";
    this.#setRole("resigned");
    this.#stop.abort();
    const rested = new AbortController();
    const resting = led ? this.#term?.end().finally(() => rested.abort()) : undefined;
    await Promise.race([resting, delay(this.options.clock, led ? restMs : 0, rested.signal)]);
    this.#leading.abort();
    if (led) await fleet.store.follow();
    if ((await this.#release()) && led) log.info({}, "gave the lead of the fleet back");
    await resting;
  }

  /**
   * The process ends at once: this hub leads no more, and what it would still commit waits for nothing. What it has on its way to providers
   * is marked, and the next leader leaves that alone for longer than a request lasts.
   *
   * @returns whether it had the lease, and gave it back
   */
  async abandon(): Promise<boolean> {
    this.#isEnded = true;
    if (this.#role !== "resigned") this.#setRole("resigned");
    void this.#leaderLog?.close();
    return await this.#release();
  }

  /** After `resign`, also where that waits for what does not come to rest: the lease is given back as in `abandon`. */
  async close(): Promise<void> {
    this.#feeding.abort();
    this.#stop.abort();
    this.#leading.abort();
    await this.#release();
    await this.#leaderLog?.close();
    await this.#database?.close();
    await Promise.allSettled(this.#running);
  }

  /** @returns whether this hub had the lease, and gave it back in time */
  async #release(): Promise<boolean> {
    const { clock, log } = this.options;
    const released = this.#lease?.release().catch((error: unknown) => {
      log.warn({ err: error }, "the lease could not be given back: it runs out by itself");
      return false;
    });
    return (await Promise.race([released, delay(clock, releaseMs).then(() => false)])) === true;
  }

  async #run(): Promise<void> {
    this.#database ??= await this.#connected();
    const database = this.#database;
    if (database === undefined || this.#stop.signal.aborted) return;
    for (const warning of database.verdict.warnings)
      this.options.log.warn({ warning }, "look at the fleet's database");
    this.#lease = database.lease({
      address: this.options.config.address,
      leaseMs: this.options.config.leaseMs,
      onLost: () => this.end("another hub leads the fleet now"),
    });
    const feed = this.#follow(database);
    this.#running.push(feed);
    await this.#elect(database, this.#lease, feed);
  }

  /** A hub that has a copy serves from it until the database is back. */
  async #connected(): Promise<FleetDatabase | undefined> {
    const { clock, fleet, log } = this.options;
    while (!this.#stop.signal.aborted) {
      try {
        const database = await fleet.connect();
        if (database.verdict.history === "known") return database;
        await database.close();
        this.end("the copy of the store must be made again");
        return undefined;
      } catch (error) {
        if (!(error instanceof FleetUnreachable)) {
          this.end("the database of the fleet cannot be used", error);
          return undefined;
        }
        log.debug({ reason: error.message }, "the database of the fleet cannot be reached");
      }
      await delay(clock, retryMs, this.#stop.signal);
    }
    return undefined;
  }

  async #follow(database: FleetDatabase): Promise<void> {
    const { store } = this.options.fleet;
    const { position } = store;
    if (position === undefined) throw new Error("a copy has a position");
    try {
      for await (const batches of database.feed(position, this.#feeding.signal)) await store.apply(batches);
    } catch (error) {
      if (!this.#feeding.signal.aborted)
        this.end("the copy of the store does not go on as the log does", error);
    }
  }

  async #elect(database: FleetDatabase, lease: Lease, feed: Promise<void>): Promise<void> {
    const { clock, log, fleet } = this.options;
    const { signal } = this.#stop;
    this.#lookedMs = clock.monotonicMs();
    let isTold = false;
    while (!signal.aborted) {
      try {
        this.#observe(await lease.holder());
        this.#lookedMs = clock.monotonicMs();
        isTold = false;
        const holder = this.#holder;
        const leftMs = this.options.isBackingOff() ? standBackMs : 0;
        const isFree = holder?.owner === fleet.owner || (holder?.remainingMs ?? -leftMs) <= -leftMs;
        const mayLead = this.#role === "follower" && isFree && this.options.mayNotLead().length === 0;
        if (mayLead && (await lease.acquire(holder))) {
          await this.#takeOver(database, lease, feed);
        }
      } catch (error) {
        this.#leaseFailure = error;
        log.debug({ err: error }, "the lease of the fleet could not be looked at");
        if (this.leaseFailure !== undefined && !isTold)
          log.warn(
            { err: error },
            "no connection for the lease of the fleet in ten seconds: see nexusd fleet",
          );
        isTold = this.leaseFailure !== undefined;
      }
      await delay(clock, pollIntervalMs * (0.75 + Math.random() / 2), signal);
    }
  }

  /** The lease is ours: no other process writes any more, and what was written is the newest there will be. */
  async #takeOver(database: FleetDatabase, lease: Lease, feed: Promise<void>): Promise<void> {
    const { fleet, log } = this.options;
    const [{ store }, { fence }] = [fleet, lease];
    if (fence === undefined) return;
    const startedMs = this.options.clock.monotonicMs();
    this.#setRole("taking_over");
    log.info({ fence: fence.toString() }, "takes over the lead of the fleet");
    try {
      await store.waitFor(await this.#newest(database), this.#stop.signal);
      this.#feeding.abort();
      await feed;
      const epoch = await database.epoch();
      // It ends meanwhile: a log that were opened now would be closed by nobody.
      if (this.#role !== "taking_over") return;
      this.#leaderLog = database.leaderLog(fence, epoch);
      await store.lead(this.#leaderLog);
      // A hub found that the database had lost batches: with this commit every watcher of the fleet starts again.
      const isNewEpoch = store.epoch !== epoch;
      if (isNewEpoch) await store.beginEpoch(epoch);
      await this.#term?.begin(isNewEpoch);
    } catch (error) {
      if (!this.#stop.signal.aborted) this.end("the lead of the fleet could not be taken over", error);
      return;
    }
    if (this.#role !== "taking_over") return await this.#term?.end();
    this.#setRole("leader");
    this.#running.push(database.imageKeeper(fence).run(this.#leading.signal));
    const tookMs = Math.round(this.options.clock.monotonicMs() - startedMs);
    log.info({ fence: fence.toString(), tookMs }, "leads the fleet");
  }

  async #newest(database: FleetDatabase): Promise<bigint> {
    for (;;) {
      try {
        return await database.newest();
      } catch (error) {
        if (!(error instanceof FleetUnreachable)) throw error;
        await delay(this.options.clock, retryMs, this.#stop.signal);
        this.#stop.signal.throwIfAborted();
      }
    }
  }

  #observe(holder: LeaseHolder | undefined): void {
    const isOther = holder?.owner !== this.#holder?.owner;
    this.#holder = holder;
    if (!isOther) return;
    if (holder)
      this.options.log.info(
        { leader: holder.address, fence: holder.fence.toString() },
        "a hub leads the fleet",
      );
    this.#tell();
  }

  #setRole(role: HubRole): void {
    this.#role = role;
    this.#tell();
  }

  #tell(): void {
    const waiting = this.#changed;
    this.#changed = new Set();
    for (const resolve of waiting) resolve();
  }

  /** Ends this hub, once. */
  end(why: string, cause?: unknown): void {
    if (this.#isEnded || this.#role === "resigned") return;
    this.#isEnded = true;
    this.#setRole("resigned");
    this.options.onEnded(new HubEnded(why, cause === undefined ? undefined : { cause }));
  }
}
