import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { SeenIds } from "../../../../src/domain/access/seen_ids.js";
import { ReadAudit } from "../../../../src/domain/reading/read_audit.js";
import { Subscribers } from "../../../../src/domain/reading/watch/subscribers.js";
import { TokenWatch } from "../../../../src/domain/reading/watch/token_watch.js";
import type { WatchEvent } from "../../../../src/domain/reading/watch/watch_event.js";
import { WatchedReads } from "../../../../src/domain/reading/watch/watch_fanout.js";
import { admin, at, owner, type Principal } from "../../../../src/model/access/principal.js";
import type { Connection } from "../../../../src/model/connections/connection.js";
import { Changes } from "../../../../src/runtime/changes.js";
import type { StreamSource } from "../../../../src/runtime/stream_sink.js";
import type { Store } from "../../../../src/store/store.js";
import { Fleet } from "../../../ext/fleet/replication/fleet.js";
import { ManualClock } from "../../../fakes/manual_clock.js";
import { perTest } from "../../../lifetimes.js";
import { aConnection, nowMs, seesAll } from "../../../samples.js";
import { silentLog } from "../../../silent_log.js";
import { openStore } from "../../../store/temporary_store.js";
import { storeReader } from "../store_reader.js";

/** Streams of a store, whose reads are put on record in the commits that they follow. */
class Watched {
  readonly subscribers = new Subscribers({ changes: new Changes() });
  readonly readAudit: ReadAudit;
  /** What had to become durable for reads alone. */
  records = 0;
  readonly #watch: TokenWatch;

  constructor(
    readonly store: Store,
    clock: ManualClock,
  ) {
    const record: Store["record"] = (change) => {
      this.records++;
      return store.record(change);
    };
    this.readAudit = new ReadAudit({ store: { record }, clock, log: silentLog });
    const reader = storeReader(store);
    const parts = {
      store,
      reader,
      subscribers: this.subscribers,
      readAudit: this.readAudit,
      clock,
      log: silentLog,
    };
    const seen = new SeenIds({ store, changes: new Changes() });
    this.#watch = new TokenWatch({ ...parts, seen, random: () => 0.5 });
    store.observe(new WatchedReads(parts));
    store.onCommitted((changes) => this.subscribers.announce(changes));
  }

  /** @returns what it got, and where it leaves */
  async opened(
    principal: Principal,
    change: { seesChange?: () => boolean; userId?: string } = {},
  ): Promise<{ reportedReason: string[]; source: StreamSource; hasRoom: boolean }> {
    const reportedReason: string[] = [];
    const got = { reportedReason, hasRoom: true, source: undefined as unknown as StreamSource };
    const send = (event: WatchEvent): boolean => {
      reportedReason.push(event.kind === "state" ? `r${event.view.token?.revision}` : event.kind);
      return got.hasRoom;
    };
    const { userId, ...sees } = change;
    const options = { connectionIds: undefined, userId, position: undefined, bookmarkIntervalMs: 5_000 };
    const view = { ...seesAll, ...sees };
    got.source = this.#watch.open(
      { ...options, principal, view },
      { send, end: () => reportedReason.push("end") },
    );
    await expect.poll(() => reportedReason.at(-1)).toBe("bookmark");
    reportedReason.length = 0;
    return got;
  }

  put(id: string, credentialRevision: bigint, change: Partial<Connection> = {}): Promise<void> {
    const connection = aConnection({ id, status: "active", userId: "ada", ...change, credentialRevision });
    return this.store.commit((tx) => tx.putConnection(connection));
  }

  /** Of the newest events first, who read, or how often. */
  told(revision: bigint): string[] {
    return this.store
      .listAuditEvents({ limit: 200 })
      .events.filter(({ event }) => event.revision === revision)
      .map(({ event: { type, principal, count } }) => `${type} ${principal} ${count ?? 1}`);
  }
}

describe("the reads of watchers", () => {
  let watched: Watched;
  const clock = perTest(() => new ManualClock(nowMs));
  beforeEach(async () => {
    watched = new Watched(openStore(), clock);
    await watched.put("c1", 1n);
  });
  afterEach(() => watched.store.close());

  it("are on record in the commit of the revision, once for each reader, and nothing else is flushed", async () => {
    const streams = [
      await watched.opened(at(owner, "unix")),
      await watched.opened(at(owner, "unix")),
      await watched.opened(at(admin, "10.0.0.1:5")),
      await watched.opened(at(admin, "10.0.0.1:6")),
    ];
    let onRecord: string[] = [];
    watched.store.onCommitted((changes) => {
      onRecord = watched.told(2n);
      watched.subscribers.announce(changes);
    });
    watched.records = 0;
    await watched.put("c1", 2n);
    expect(onRecord.sort()).toEqual(["token_retrieved admin 1", "token_retrieved owner 1"]);
    await expect
      .poll(() => streams.map(({ reportedReason }) => reportedReason))
      .toEqual(streams.map(() => ["r2"]));
    expect(watched.told(2n)).toHaveLength(2);
    expect(watched.records).toBe(0);
  });

  it("are counted with the next revision, those made while it became durable too", async () => {
    await watched.opened(owner);
    await watched.opened(owner);
    const changed = watched.put("c1", 2n);
    expect(watched.readAudit.read(owner, "c1", 1n)).toBeUndefined();
    await changed;
    await watched.put("c1", 3n);
    // The first stream read revision 1 as its snapshot, the second one after it, then the call.
    await expect.poll(() => watched.told(1n).filter((event) => event.includes("counted"))).not.toEqual([]);
    const counts = watched.told(1n).filter((event) => event.includes("counted"));
    const total = counts.reduce((sum, event) => sum + Number(event.split(" ")[2]), 0);
    expect(total).toBe(2);
    expect(watched.told(2n)).toEqual(["token_reads_counted owner 1", "token_retrieved owner 1"]);
  });

  it("stay on record of a watcher that leaves before it is told, which gets nothing", async () => {
    const stream = await watched.opened(owner);
    watched.store.onCommitted((changes) => {
      stream.source.cancel();
      watched.subscribers.announce(changes);
    });
    await watched.put("c1", 2n);
    expect(stream.reportedReason).toEqual([]);
    expect(watched.told(2n)).toEqual(["token_retrieved owner 1"]);
    // It is a reader as any other: it is not recorded again, and what it reads now is counted.
    expect(watched.readAudit.read(owner, "c1", 2n)).toBeUndefined();
  });

  it("are none where the commit is rolled back: the delivery of the next one has its own", async () => {
    const stream = await watched.opened(owner);
    const violation = new Error("no");
    const refused = watched.store.commit((tx) => {
      tx.putConnection(aConnection({ id: "c1", status: "active", userId: "ada", credentialRevision: 2n }));
      throw violation;
    });
    await expect(refused).rejects.toBe(violation);
    expect(watched.told(2n)).toEqual([]);
    expect(watched.readAudit.read(owner, "c1", 2n)).toBeInstanceOf(Promise);
    await watched.put("c1", 3n);
    await expect.poll(() => stream.reportedReason).toEqual(["r3"]);
    expect(watched.told(3n)).toEqual(["token_retrieved owner 1"]);
  });

  it.each<[string, { seesChange?: () => boolean; userId?: string }, Partial<Connection>]>([
    ["who may not see the connection", { seesChange: () => false }, {}],
    ["of another user's connections", { userId: "bob" }, {}],
    ["where there is no token to be had", {}, { status: "attention" }],
    ["where the token has ended", {}, { expiresAtMs: nowMs }],
  ])("are none of a watcher %s", async (_, stream, change) => {
    await watched.opened(owner, stream);
    let onRecord: string[] | undefined;
    watched.store.onCommitted(() => {
      onRecord = watched.told(2n);
    });
    await watched.put("c1", 2n, change);
    expect(onRecord).toEqual([]);
  });

  it("are none of a watcher without room, which is on record when it takes the newest state", async () => {
    const stream = await watched.opened(owner);
    stream.hasRoom = false;
    await watched.put("c1", 2n);
    await watched.put("c1", 3n);
    expect(watched.told(3n)).toEqual([]);
    stream.hasRoom = true;
    stream.source.resume();
    await expect.poll(() => stream.reportedReason).toEqual(["r2", "r3"]);
    expect(watched.told(3n)).toEqual(["token_retrieved owner 1"]);
  });

  it("hold the commit up for 64 readers at most: the others are on record before they are told", async () => {
    const names = Array.from({ length: 70 }, (_, index) => `key:agent-${index}`);
    const streams: { reportedReason: string[] }[] = [];
    for (const name of names) streams.push(await watched.opened({ name, kind: "key" }));
    let within = 0;
    watched.store.onCommitted((changes) => {
      within = watched.told(2n).length;
      watched.subscribers.announce(changes);
    });
    watched.records = 0;
    await watched.put("c1", 2n);
    await expect.poll(() => streams.every(({ reportedReason }) => reportedReason.includes("r2"))).toBe(true);
    expect(within).toBe(64);
    expect(watched.told(2n)).toHaveLength(70);
    expect(watched.records).toBe(1);
  });
});

describe("the reads of watchers in a fleet", () => {
  it("lie in the leader's batch for its own, and in the follower's outbox for the others", async () => {
    const fleet = await Fleet.make();
    const clock = new ManualClock(nowMs);
    const [leader, follower] = fleet.stores.map((store) => new Watched(store, clock));
    if (!leader || !follower) throw new RangeError("a fleet has a leader and a follower");
    await leader.put("c1", 1n);
    await fleet.feed();
    const here = await leader.opened(owner);
    const there = await follower.opened({ name: "key:far", kind: "key" });
    const asked = fleet.log.asked;
    [leader.records, follower.records] = [0, 0];
    await leader.put("c1", 2n);
    await expect.poll(() => here.reportedReason).toEqual(["r2"]);
    expect(leader.told(2n)).toEqual(["token_retrieved owner 1"]);
    expect([leader.records, fleet.log.asked - asked]).toEqual([0, 1]);
    await fleet.feed();
    await expect.poll(() => there.reportedReason).toEqual(["r2"]);
    expect(follower.records).toBe(1);
    expect(fleet.followers[0]?.outbox.take(9).entries).toHaveLength(2);
  });
});
