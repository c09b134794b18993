import { type Clock, delay, type Log } from "../../../runtime/runtime.js";
import type { ClockCheck } from "../database/clock_check.js";
import { FleetRefused } from "../database/connection/fleet_error.js";
import { isOfServer } from "../database/connection/session.js";
import type { FleetDatabase } from "../database/fleet_database.js";
import { reasonOf } from "../database/log/commit_wait.js";
import type { SeenMember } from "../database/members.js";
import { type FleetVerdict, maxClockOffsetMs } from "../database/verdict.js";
import type { Hub } from "./hub.js";
import type { OpenFleet } from "./open_fleet.js";

const roundMs = 5_000;
/** Who was seen so lately has sent a message since the last round. */
const thisRoundMs = 6_000;

/** Announces this hub to the others, and learns who they are. */
export class Heartbeat {
  readonly #stop = new AbortController();
  #running: Promise<void> = Promise.resolve();
  #lastContactMs: number;
  #members: readonly (SeenMember & { readonly isLeader: boolean })[] = [];
  /** Of the leader, a round ago: what is behind that is behind for five seconds. */
  #expected = 0n;
  #isBehind = false;
  #verdict: FleetVerdict | undefined;
  #refusal: string | undefined;
  #troubleOfLeader = "";
  #sharedAddresses: readonly string[] = [];
  /** Owners that the last round listed. */
  #seenBefore: ReadonlySet<string> = new Set();

  constructor(
    private readonly deps: {
      readonly hub: Hub;
      readonly fleet: OpenFleet;
      readonly clock: Clock;
      readonly clockCheck: ClockCheck;
      readonly log: Log;
      /** Why the hub that leads writes nothing, as it says; empty where it does, where it does not answer, and where this hub leads. */
      readonly askLeader: () => Promise<string>;
    },
  ) {
    this.#lastContactMs = deps.clock.monotonicMs();
  }

  /**
   * Resolves when the database was asked once, whether it answered or not.
   *
   * @param onRound what else is looked at in each round
   */
  async start(onRound: () => Promise<void>): Promise<void> {
    const first = this.#beat(onRound);
    this.#running = first.then(() => this.#run(onRound));
    await first;
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  /** For how long the database has not answered. */
  get silentMs(): number {
    const { database, role } = this.deps.hub;
    const own = this.deps.clock.monotonicMs() - this.#lastContactMs;
    return database === undefined || role !== "follower" ? own : Math.min(own, database.silentMs);
  }

  get isBehind(): boolean {
    return this.#isBehind && this.deps.hub.role === "follower";
  }

  /** Newest position that the leader has reported. */
  get newest(): bigint {
    return this.#expected;
  }

  /** Why the clock of this machine is in the way of leading; undefined when it is not. */
  get clockViolation(): string | undefined {
    const { clockCheck, hub } = this.deps;
    const offsetMs = clockCheck.offsetMs ?? hub.database?.verdict.clockOffsetMs ?? 0;
    if (Math.abs(offsetMs) <= maxClockOffsetMs) return undefined;
    return `the clock is ${Math.round(offsetMs)} ms off the database's: set the one that is wrong`;
  }

  /** What the database is: its settings, its role, and its tables may change while this hub runs. */
  get verdict(): FleetVerdict | undefined {
    return this.#verdict ?? this.deps.hub.database?.verdict;
  }

  /** Why the database may not be used, as it reported in the last round: a failover may have left a standby behind the address. */
  get refusal(): string | undefined {
    return this.#refusal;
  }

  /** Why the hub that leads writes nothing, as it said in the last round; empty: it does. */
  get troubleOfLeader(): string {
    return this.#troubleOfLeader;
  }

  /** Addresses that two hubs announce which both run: the others reach one of them only. */
  get sharedAddresses(): readonly string[] {
    return this.#sharedAddresses;
  }

  /** This hub too. */
  get members() {
    return this.#members;
  }

  /** Addresses of the other hubs. */
  get others(): readonly string[] {
    const { owner } = this.deps.fleet;
    return this.#members.filter((member) => member.owner !== owner).map(({ address }) => address);
  }

  async #run(onRound: () => Promise<void>): Promise<void> {
    const { signal } = this.#stop;
    for (;;) {
      await delay(this.deps.clock, roundMs, signal);
      if (signal.aborted) return;
      await this.#beat(onRound);
    }
  }

  async #beat(onRound: () => Promise<void>): Promise<void> {
    try {
      await this.#round(onRound);
      this.#refusal = undefined;
    } catch (error) {
      if (error instanceof FleetRefused) this.#refuse(error);
      else if (isOfServer(error)) this.#refusal = `the database refuses a heartbeat: ${reasonOf(error)}`;
      this.deps.log.debug({ err: error }, "the database of the fleet did not answer a heartbeat");
    }
  }

  #refuse(error: FleetRefused): void {
    this.#refusal = error.message;
    // Its copy can go on no more, whatever happens to the database.
    if (error.reason === "new_layout") this.deps.hub.end(error.message, error);
  }

  async #round(onRound: () => Promise<void>): Promise<void> {
    const { hub, fleet, clock, clockCheck } = this.deps;
    const { database } = hub;
    if (database === undefined) return;
    // First: what follows may call what a newer layout has no more.
    this.#verdict = await database.judge(fleet.store.position);
    await clockCheck.measure(() => database.members.heartbeat(fleet.member()));
    const listed = await database.members.list();
    this.#lastContactMs = clock.monotonicMs();
    this.#findShared(listed);
    const seen = newestOfEach(listed);
    await this.#checkHistory(database);
    const leader = hub.holder?.owner;
    this.#members = seen.map((member) => ({ ...member, isLeader: member.owner === leader }));
    const applied = fleet.store.position.position;
    this.#isBehind = applied < this.#expected;
    this.#expected = seen.find(({ owner }) => owner === leader)?.applied ?? this.#expected;
    this.#troubleOfLeader = await this.deps.askLeader();
    await onRound();
  }

  /** A hub that was started again is not two: the process before it sends nothing more. */
  #findShared(listed: readonly SeenMember[]): void {
    const now = new Map<string, string[]>();
    for (const { address, owner, seenMsAgo } of listed)
      if (seenMsAgo < thisRoundMs) now.set(address, [...(now.get(address) ?? []), owner]);
    const both = (owners: readonly string[]) =>
      owners.filter((owner) => this.#seenBefore.has(owner)).length > 1;
    const shared = [...now].filter(([, owners]) => both(owners)).map(([address]) => address);
    for (const address of shared)
      if (!this.#sharedAddresses.includes(address))
        this.deps.log.error({ address }, "two hubs of the fleet announce one address");
    this.#sharedAddresses = shared;
    this.#seenBefore = new Set(listed.map(({ owner }) => owner));
  }

  /** A leader follows no log, which would reveal that its database lost batches. */
  async #checkHistory(database: FleetDatabase): Promise<void> {
    const { hub, fleet } = this.deps;
    const { position } = fleet.store;
    if (hub.role !== "leader" || position === undefined) return;
    if ((await database.newest()) < position.position)
      hub.end("the database of the fleet lost batches that this hub has");
  }
}

/** A hub that was started again is another process at the same address. */
function newestOfEach(seen: readonly SeenMember[]): SeenMember[] {
  const byAddress = new Map<string, SeenMember>();
  for (const member of seen.toSorted((one, other) => other.seenMsAgo - one.seenMsAgo))
    byAddress.set(member.address, member);
  return [...byAddress.values()].sort((one, other) => (one.address < other.address ? -1 : 1));
}
