import type { FleetRole } from "../../../gen/nexus/v1/status_pb.js";
import type { Clock, Log } from "../../../runtime/runtime.js";
import type { FleetDatabase } from "../database/fleet_database.js";
import type { ReplicaStore } from "../replication/replica_store.js";

/** A call waits no longer for what another hub may have done a moment ago. */
const callMs = 2_000;
/** A start that takes longer is better than one that waits for ever. */
const startMs = 10_000;

export type HubRole = Lowercase<Exclude<keyof typeof FleetRole, "UNSPECIFIED">>;

export interface CatchUpDeps {
  readonly hub: { readonly role: HubRole; readonly database: FleetDatabase | undefined };
  readonly store: ReplicaStore;
  readonly clock: Clock;
  readonly log: Log;
}

/** Waits until the copy of a hub that follows has what the log has. */
export class CatchUp {
  #asked: Promise<bigint> | undefined;
  #next: Promise<bigint> | undefined;

  constructor(private readonly deps: CatchUpDeps) {}

  /** Resolves when the replica has a position, or when `signal` aborts. */
  async applied(position: bigint, signal: AbortSignal): Promise<void> {
    if (this.deps.hub.role !== "follower") return;
    await this.deps.store.waitFor(position, signal).catch(() => undefined);
  }

  /** Brings the replica to the newest position of now; gives up after two seconds, or at once where the database is away. */
  async toNow(): Promise<void> {
    const { hub, log } = this.deps;
    const { database } = hub;
    if (hub.role !== "follower" || database === undefined) return;
    await this.#within(callMs, async (signal) => {
      try {
        await this.applied(await this.#newest(database), signal);
      } catch (error) {
        log.debug({ err: error }, "the newest position of the fleet could not be asked for");
      }
    });
  }

  /** Resolves when the replica has what the log had at the start; after ten seconds, or without a database, anyway. */
  async toStart(): Promise<void> {
    const { database } = this.deps.hub;
    if (database === undefined) return;
    await this.#within(startMs, (signal) => this.applied(database.verdict.newest, signal));
  }

  /** A caller that asks while the database is queried shares the question after that one: what was before it is in its answer. */
  #newest(database: FleetDatabase): Promise<bigint> {
    if (this.#next !== undefined) return this.#next;
    const ask = (): Promise<bigint> => {
      this.#next = undefined;
      const asked = database.newest().finally(() => {
        if (this.#asked === asked) this.#asked = undefined;
      });
      this.#asked = asked;
      return asked;
    };
    if (this.#asked === undefined) return ask();
    this.#next = this.#asked.then(ask, ask);
    return this.#next;
  }

  async #within(ms: number, work: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const late = new AbortController();
    const timer = this.deps.clock.setTimer(ms, () => late.abort());
    try {
      await work(late.signal);
    } finally {
      timer.cancel();
    }
  }
}
