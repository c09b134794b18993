import { randomUUID } from "node:crypto";
import type { TokenSpool } from "../../../domain/grants/grants.js";
import { markRestored } from "../../../domain/operations/operations.js";
import { type AuditEvent, daemon } from "../../../model/access/access.js";
import type { SpoolOutcome } from "../../../model/connections/connections.js";
import { NotLeader, StoreFailed } from "../../../model/model.js";
import { type Clock, delay, type Log } from "../../../runtime/runtime.js";
import { FleetUnreachable } from "../database/connection/fleet_error.js";
import type { Restored } from "../database/restored.js";
import type { FleetSpool } from "../database/spool.js";
import type { LeaderCalls } from "../link/leader_calls.js";
import { LogRefused } from "../replication/log_error.js";
import { encodeRecordedEvent } from "../replication/outbox_codec.js";
import type { ReplicaStore } from "../replication/replica_store.js";

const maxEntries = 500;
/** What is put on record meanwhile goes along. */
const roundMs = 1_000;
/** A hub that ends waits no longer for the database: what is not left there stays in the spool file. */
const bringHomeMs = 3_000;
/** Who reads the audit log waits no longer for what is not in it yet. */
const recordedMs = 2_000;
/** When the database lost batches, every hub starts again, and leaves what it has newer. */
const undoneMs = 10_000;

export interface HandoverDeps {
  readonly store: ReplicaStore;
  readonly spool: TokenSpool;
  /** Of the database; undefined until it was reached. */
  readonly left: () => FleetSpool | undefined;
  /** As `left`. */
  readonly restored: () => Pick<Restored, "awaited" | "settle"> | undefined;
  readonly calls: LeaderCalls;
  /** Address of this hub, for the audit log. */
  readonly via: string;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * What hubs hold for the leader. Audit events of reads are sent to it. Token sets of a former term are left in the database for any leader.
 */
export class Handover {
  readonly #stop = new AbortController();
  /** Digests of what this version cannot read: it waits for a hub that can. */
  readonly #unreadable: Uint8Array[] = [];
  #running: Promise<void> = Promise.resolve();
  #isSpoolDone = false;
  #handing: Promise<void> | undefined;

  constructor(private readonly deps: HandoverDeps) {}

  start(): void {
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  /** Leaves what came when this hub led no more, before the process ends. */
  async drainOutbox(): Promise<void> {
    const { clock, log } = this.deps;
    const late = delay(clock, bringHomeMs).then(() => {
      throw new FleetUnreachable("the database does not answer in time");
    });
    try {
      await Promise.race([this.#leave(), late]);
    } catch (error) {
      log.warn({ err: error }, "token sets stay in the spool file until the next start");
    }
  }

  /**
   * The reign begins: takes in what others left before it. It waits for the database, in a new epoch for the other hubs, and after a restore
   * of the database for each hub that the fleet had. What then is left may have been used: it is marked.
   *
   * @throws StoreFailed
   */
  async importAll(isNewEpoch: boolean): Promise<void> {
    const { store, clock, restored } = this.deps;
    if (isNewEpoch) await delay(clock, undoneMs, this.#stop.signal);
    const wasRestored = await this.#awaitRestored();
    await this.#again(() => this.#importTokenSet());
    if (!isNewEpoch && !wasRestored) return;
    const { marked: count } = await markRestored(store, clock.nowMs());
    await store.commit((tx) =>
      tx.appendAudit({ timeMs: clock.nowMs(), principal: daemon.name, type: "store.restored", count }),
    );
    await this.#again(async () => await restored()?.settle());
  }

  /** @returns whether the database went back in time, and no reign has settled that yet */
  async #awaitRestored(): Promise<boolean> {
    let told: string | undefined;
    for (;;) {
      const missing = await this.#again(async () => await this.deps.restored()?.awaited());
      if (missing === undefined) return false;
      if (missing.length === 0) return true;
      const hubs = missing.join(", ");
      if (hubs !== told)
        this.deps.log.warn(
          { hubs },
          "the database was restored: waits up to five minutes for the copies of these hubs",
        );
      told = hubs;
      await delay(this.deps.clock, roundMs, this.#stop.signal);
    }
  }

  /** Waits through outages of the database. */
  async #again<T>(work: () => Promise<T>): Promise<T> {
    const { signal } = this.#stop;
    for (;;) {
      signal.throwIfAborted();
      try {
        return await work();
      } catch (error) {
        if (!(error instanceof FleetUnreachable)) throw error;
        await delay(this.deps.clock, roundMs, signal);
      }
    }
  }

  /** Has the hub that leads put on record what this one cannot any more. */
  async recordAt(event: AuditEvent): Promise<void> {
    const { calls, clock, log, via } = this.deps;
    // Its own outbox is on the disk that does not go on.
    const entries = [{ sequence: 1n, record: encodeRecordedEvent(event) }];
    const source = randomUUID();
    const late = new AbortController();
    const handed = calls.hand(late.signal, (client, options) =>
      client.appendAudit({ source, entries, via }, options),
    );
    await Promise.race([handed, delay(clock, recordedMs)]).catch((error: unknown) =>
      log.warn({ err: error }, "no hub puts on record why this one leads no more"),
    );
    late.abort();
    await handed.catch(() => undefined);
  }

  /** Resolves when what this hub has put on record is in the log, as far as a hub that leads takes it within two seconds. */
  async recorded(): Promise<void> {
    const { store, clock, log } = this.deps;
    const handed = store.role === "leader" ? store.settled() : this.#handed();
    try {
      await Promise.race([handed, delay(clock, recordedMs)]);
    } catch (error) {
      log.debug({ err: error }, "the hub that leads did not take what this one has put on record");
    }
  }

  async #run(): Promise<void> {
    const { clock, log, store } = this.deps;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        if (store.role === "follower") await this.#handed();
        if (store.role === "leader") await this.#importTokenSet();
      } catch (error) {
        log.debug({ err: error }, "what hubs hold for the one that leads was not handed over");
      }
      await delay(clock, roundMs, signal);
    }
  }

  /** One at a time: a caller that asks while it is under way has what was there before handed over after it. */
  async #handed(): Promise<void> {
    const before = this.#handing;
    const own = (async () => {
      await before?.catch(() => undefined);
      await this.#flushToLeader();
    })();
    this.#handing = own;
    await own;
  }

  async #flushToLeader(): Promise<void> {
    const { calls, store, via } = this.deps;
    const { outbox } = store;
    if (!this.#isSpoolDone) {
      await this.#leave();
      this.#isSpoolDone = true;
    }
    for (;;) {
      const taken = outbox.take(maxEntries);
      if (taken.entries.length === 0) return;
      const answer = await calls.hand(this.#stop.signal, (client, options) =>
        client.appendAudit({ ...taken, via }, options),
      );
      if (answer === "here") return;
      await outbox.drop(answer.sequence);
    }
  }

  async #leave(): Promise<void> {
    const { spool, left } = this.deps;
    await spool.flushToLeader(async (tokenSets) => {
      const there = left();
      if (there === undefined) throw new FleetUnreachable("the database was not reached yet");
      await there.leave(tokenSets);
    });
  }

  async #importTokenSet(): Promise<void> {
    const there = this.deps.left();
    if (there === undefined) return;
    for (;;) {
      const found = await there.list(this.#unreadable);
      if (found.length === 0) return;
      const outcomes = await Promise.all(found.map(({ tokenSet }) => this.#takenIn(tokenSet)));
      const digests = found.map(({ digest }) => digest);
      this.#unreadable.push(...digests.filter((_, index) => outcomes[index] === undefined));
      await there.drop(digests.filter((_, index) => outcomes[index] !== undefined));
    }
  }

  /** One that cannot be taken in stands in the way of no other: it stays where it is. @throws what no entry is to blame for */
  async #takenIn(tokenSet: Uint8Array): Promise<SpoolOutcome | undefined> {
    try {
      return await this.deps.spool.importTokenSet(tokenSet);
    } catch (error) {
      if ([StoreFailed, NotLeader, LogRefused, FleetUnreachable].some((kind) => error instanceof kind))
        throw error;
      this.deps.log.error({ err: error }, "what another hub left cannot be taken in");
      return undefined;
    }
  }
}
