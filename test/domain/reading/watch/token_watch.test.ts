import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { SeenIds } from "../../../../src/domain/access/seen_ids.js";
import { ReadAudit } from "../../../../src/domain/reading/read_audit.js";
import { Subscribers } from "../../../../src/domain/reading/watch/subscribers.js";
import { TokenWatch } from "../../../../src/domain/reading/watch/token_watch.js";
import type { WatchEvent } from "../../../../src/domain/reading/watch/watch_event.js";
import { admin, at, owner, type Principal } from "../../../../src/model/access/principal.js";
import { Unavailable } from "../../../../src/model/errors.js";
import { Changes } from "../../../../src/runtime/changes.js";
import type { StreamSink, StreamSource } from "../../../../src/runtime/stream_sink.js";
import type { Store } from "../../../../src/store/store.js";
import { ManualClock } from "../../../fakes/manual_clock.js";
import { perTest } from "../../../lifetimes.js";
import { aConnection, nowMs, seesAll } from "../../../samples.js";
import { silentLog } from "../../../silent_log.js";
import { openStore } from "../../../store/temporary_store.js";
import { storeReader } from "../store_reader.js";

/** What a stream got, in words. */
class Got implements StreamSink<WatchEvent> {
  readonly reportedReason: string[] = [];
  hasRoom = true;
  source!: StreamSource;
  onSend: (event: WatchEvent) => void = () => undefined;

  send(event: WatchEvent): boolean {
    this.onSend(event);
    this.reportedReason.push(event.kind === "state" ? `r${event.view.token?.revision}` : event.kind);
    return this.hasRoom;
  }

  end(error?: unknown): void {
    this.reportedReason.push(error instanceof Unavailable ? "unavailable" : "end");
  }
}

describe("TokenWatch", () => {
  let store: Store;
  const clock = perTest(() => new ManualClock(nowMs));
  const subscribers = perTest(() => new Subscribers({ changes: new Changes() }));
  let watch: TokenWatch;
  let seen: SeenIds;
  let readAudit: ReadAudit;
  let reader: ReturnType<typeof storeReader>;
  let commits: number;
  let isBroken: boolean;
  beforeEach(async () => {
    store = openStore();
    commits = 0;
    isBroken = false;
    const recording = {
      record: ((change) => {
        commits++;
        return isBroken ? Promise.reject(new Error("disk")) : store.record(change);
      }) as Store["record"],
    };
    reader = storeReader(store);
    readAudit = new ReadAudit({ store: recording, clock, log: silentLog });
    seen = new SeenIds({ store, changes: new Changes() });
    watch = new TokenWatch({ store, reader, subscribers, readAudit, clock, seen, random: () => 0.5 });
    store.onCommitted((changes) => subscribers.announce(changes));
    await change("c1", 1n);
  });
  afterEach(() => store.close());

  async function change(id: string, credentialRevision: bigint): Promise<void> {
    await store.commit((tx) => tx.putConnection(aConnection({ id, status: "active", credentialRevision })));
  }
  async function opened(principal: Principal = at(owner, "unix")): Promise<Got> {
    const got = new Got();
    const options = { connectionIds: undefined, userId: undefined, position: undefined };
    got.source = watch.open({ ...options, bookmarkIntervalMs: 5_000, principal, view: seesAll }, got);
    await expect.poll(() => got.reportedReason.at(-1)).toBe("bookmark");
    got.reportedReason.length = 0;
    return got;
  }
  const retrieved = (revision: bigint) =>
    store
      .listAuditEvents({ limit: 100 })
      .events.filter(({ event }) => event.type === "token_retrieved" && event.revision === revision)
      .map(({ event }) => event.principal);

  it("puts the reads of all streams on record in one commit before one of them has the state", async () => {
    const principals = [at(owner, "unix"), at(admin, "10.0.0.1:5"), at(admin, "10.0.0.2:5")];
    const streams: Got[] = [];
    for (let index = 0; index < 12; index++) streams.push(await opened(principals[index % 3]));
    const onRecord: number[] = [];
    for (const stream of streams) stream.onSend = () => onRecord.push(retrieved(2n).length);
    commits = 0;
    await change("c1", 2n);
    await expect
      .poll(() => streams.map(({ reportedReason }) => reportedReason))
      .toEqual(streams.map(() => ["r2"]));
    expect(commits).toBe(1);
    expect(onRecord).toEqual(streams.map(() => 3));
    expect(retrieved(2n).sort()).toEqual(["admin", "admin", "owner"]);
  });

  it("keeps one slot for each connection while a reader has no room, and reads the newest state then", async () => {
    const slow = await opened();
    const quick = await opened();
    slow.hasRoom = false;
    await change("c1", 2n);
    await expect.poll(() => slow.reportedReason).toEqual(["r2"]);
    for (let revision = 3n; revision <= 6n; revision++) {
      await change("c1", revision);
      await expect.poll(() => quick.reportedReason.at(-1)).toBe(`r${revision}`);
    }
    await change("c2", 1n);
    await expect.poll(() => quick.reportedReason.at(-1)).toBe("r1");
    clock.advance(10_000);
    expect(slow.reportedReason).toEqual(["r2"]);
    slow.hasRoom = true;
    slow.source.resume();
    await expect.poll(() => slow.reportedReason).toEqual(["r2", "r6", "r1", "bookmark"]);
  });

  it("sends no bookmark before what is being put on record", async () => {
    const stream = await opened();
    const changed = change("c1", 2n);
    store.onCommitted((changes) => {
      subscribers.announce(changes);
      clock.advance(6_000);
    });
    await changed;
    await expect.poll(() => stream.reportedReason).toEqual(["r2", "bookmark"]);
  });

  it("sends a bookmark though something is always being put on record", async () => {
    const stream = await opened();
    let next = 0;
    store.onCommitted((changes) => {
      subscribers.announce(changes);
      if (next === 40) clock.advance(6_000);
      if (next < 400) void change(`c${next++}`, 2n);
    });
    await Promise.all(["a", "b", "c", "d", "e", "f", "g", "h"].map((id) => change(id, 1n)));
    await expect
      .poll(() => stream.reportedReason.filter((reportedReason) => reportedReason !== "bookmark").length)
      .toBe(408);
    expect(stream.reportedReason.indexOf("bookmark")).toBeLessThan(300);
  });

  it("ends the streams whose reads cannot be put on record, and lets no token out", async () => {
    const streams = [await opened(), await opened()];
    isBroken = true;
    await change("c1", 2n);
    await expect
      .poll(() => streams.map(({ reportedReason }) => reportedReason))
      .toEqual([["unavailable"], ["unavailable"]]);
    expect(subscribers.size).toBe(0);
  });

  it("sends nothing more to a reader that left while its read was put on record", async () => {
    const [gone, here] = [await opened(), await opened()];
    const changed = change("c1", 2n);
    store.onCommitted((changes) => {
      subscribers.announce(changes);
      gone.source.cancel();
    });
    await changed;
    await expect.poll(() => here.reportedReason).toEqual(["r2"]);
    expect(gone.reportedReason).toEqual([]);
    expect(subscribers.size).toBe(1);
    here.source.cancel();
    expect([subscribers.size, clock.pending]).toEqual([0, 0]);
  });

  it("takes a commit that changes very many connections in portions", async () => {
    const stream = await opened();
    commits = 0;
    await store.commit((tx) => {
      for (let index = 0; index < 200; index++) {
        tx.putConnection(aConnection({ id: `c${index}`, status: "active", credentialRevision: 2n }));
      }
    });
    await expect.poll(() => stream.reportedReason.length).toBe(200);
    expect(commits).toBe(4);
    clock.advance(6_000);
    expect(stream.reportedReason.at(-1)).toBe("bookmark");
  });

  it("puts no read on record of what a stream names and does not get", async () => {
    await change("c2", 1n);
    await change("c3", 1n);
    const got = new Got();
    const view = { ...seesAll, seesConnection: ({ id }: { id: string }) => id !== "c2" };
    const options = { userId: "user of c1", position: undefined, bookmarkIntervalMs: 5_000, view };
    const principal = at(owner, "unix");
    got.source = watch.open({ ...options, connectionIds: new Set(["c1", "c2", "c3"]), principal }, got);
    await expect.poll(() => got.reportedReason).toEqual(["r1", "removed", "removed", "bookmark"]);
    expect(retrieved(1n)).toEqual(["owner"]);
  });

  it("tells all the others when the filter or the sink of one fails", async () => {
    const principal = at(owner, "unix");
    const streams = [await opened(principal), await opened(principal), await opened(principal)];
    const [, broken] = streams;
    if (broken) {
      broken.onSend = () => {
        throw new Error("of this stream alone");
      };
    }
    await change("c1", 2n);
    await expect
      .poll(() => streams.map(({ reportedReason }) => reportedReason))
      .toEqual([["r2"], ["end"], ["r2"]]);
    const blind = {
      filter: {
        connectionIds: new Set(["c1"]),
        userId: undefined,
        sees: () => {
          throw new Error("of this stream alone");
        },
      },
      marked: [] as string[],
      mark: (id: string) => void blind.marked.push(id),
      wake: () => undefined,
    };
    subscribers.subscribe(blind);
    await change("c1", 3n);
    await expect
      .poll(() => streams.map(({ reportedReason }) => reportedReason))
      .toEqual([["r2", "r3"], ["end"], ["r2", "r3"]]);
    // Whether it may see the connection is judged again when that is read.
    expect(blind.marked).toEqual(["c1"]);
    subscribers.unsubscribe(blind);
    expect(subscribers.size).toBe(2);
  });

  /** The store, and how many changes were read of it. */
  function countingChanges(): { readonly store: Store; read: number } {
    const counting = { read: 0, store };
    counting.store = new Proxy(store, {
      get: (target, name) => {
        if (name !== "changesSince") {
          const value = Reflect.get(target, name);
          return typeof value === "function" ? value.bind(target) : value;
        }
        return (revision: bigint, limit: number) => {
          const changes = target.changesSince(revision, limit);
          counting.read += changes.length;
          return changes;
        };
      },
    });
    return counting;
  }

  it("reads the log once for all confined callers who come, and come back, at once", async () => {
    await change("c1", 1n);
    await change("c2", 1n);
    const position = { epoch: `${store.epoch}.few`, revision: store.settledRevision };
    await change("c2", 2n);
    await store.commit((tx) => {
      for (let index = 0; index < 3_000; index++) tx.putConnection(aConnection({ id: `other${index}` }));
      tx.deleteConnection("other1");
    });
    const counting = countingChanges();
    const ids = new SeenIds({ store: counting.store, changes: new Changes() });
    const shared = {
      store: counting.store,
      subscribers,
      clock,
      seen: ids,
      random: () => 0.5,
      reader,
      readAudit,
    };
    const few = new TokenWatch(shared);
    const view = {
      ...seesAll,
      isRestricted: true,
      seesConnection: ({ id }: { id: string }) => id === "c1" || id === "c2",
      seesChange: ({ connectionId }: { connectionId: string }) =>
        connectionId === "c1" || connectionId === "c2",
      epochOf: (epoch: string) => `${epoch}.few`,
    };
    const streams = Array.from({ length: 40 }, (_, index) => {
      const got = new Got();
      const rest = { connectionIds: undefined, userId: undefined, bookmarkIntervalMs: 5_000, view };
      const from = index % 2 === 0 ? position : undefined;
      got.source = few.open({ ...rest, position: from, principal: at(owner, "unix") }, got);
      return got;
    });
    const told = streams.map((_, index) => (index % 2 === 0 ? ["r2", "bookmark"] : ["r1", "r2", "bookmark"]));
    await expect.poll(() => streams.map(({ reportedReason }) => reportedReason)).toEqual(told);
    // Two that are there, and as many as were made beside them.
    expect(counting.read).toBe(2 + 3_000);
  });

  it("looks up what a resumed stream names, and does not read all that changed since", async () => {
    const named = ["c1", "c2", "c3", "gone"];
    for (const id of named) await change(id, 1n);
    const position = { epoch: store.epoch, revision: store.settledRevision };
    await change("c2", 2n);
    await store.commit((tx) => {
      for (let index = 0; index < 3_000; index++) tx.putConnection(aConnection({ id: `other${index}` }));
      tx.deleteConnection("gone");
      tx.deleteConnection("other1");
    });
    const counting = countingChanges();
    const got = new Got();
    const sent: string[] = [];
    got.onSend = (event) => {
      if (event.kind === "removed") sent.push(event.connectionId);
      if (event.kind === "state") sent.push(event.view.connection.id);
    };
    const shared = { store: counting.store, subscribers, clock, seen, random: () => 0.5, reader, readAudit };
    const rest = { userId: undefined, bookmarkIntervalMs: 5_000, view: seesAll, position };
    new TokenWatch(shared).open(
      { ...rest, connectionIds: new Set(named), principal: at(owner, "unix") },
      got,
    );
    await expect.poll(() => got.reportedReason.at(-1)).toBe("bookmark");
    expect(sent).toEqual(["c2", "gone"]);
    expect(counting.read).toBe(0);
  });

  it("begins anew when removals were forgotten while it caught up", async () => {
    await store.commit((tx) => {
      for (let index = 0; index < 300; index++) tx.putConnection(aConnection({ id: `c${index}` }));
    });
    let floorRevision = 0n;
    const aging = {
      epoch: store.epoch,
      role: store.role,
      settledRevision: store.settledRevision,
      get floorRevision() {
        return floorRevision;
      },
      getConnection: (id: string) => store.getConnection(id),
      connectionIds: (afterId: string | undefined, limit: number) => store.connectionIds(afterId, limit),
      idsNamed: (name: Parameters<Store["idsNamed"]>[0]) => store.idsNamed(name),
      changesSince: (revision: bigint, limit: number) => store.changesSince(revision, limit),
      getStoredConnection: (id: string) => store.getStoredConnection(id),
      removalsSince: (revision: bigint, limit: number) => store.removalsSince(revision, limit),
    };
    const got = new Got();
    got.onSend = () => {
      if (got.reportedReason.length === 255) floorRevision = store.settledRevision;
    };
    const position = { epoch: store.epoch, revision: 0n };
    const all = { connectionIds: undefined, userId: undefined, bookmarkIntervalMs: 5_000, view: seesAll };
    const shared = { store: aging, subscribers, clock, seen, random: () => 0.5 };
    new TokenWatch({ ...shared, reader, readAudit }).open(
      { ...all, position, principal: at(owner, "unix") },
      got,
    );
    await expect.poll(() => got.reportedReason.at(-1)).toBe("bookmark");
    expect(got.reportedReason.indexOf("reset")).toBe(256);
    expect(got.reportedReason).toHaveLength(256 + 1 + 300 + 1);
  });

  it("drains subscribers of no connection at all too", async () => {
    const filter = { connectionIds: new Set<string>(), userId: undefined, sees: () => true };
    const subscriber = { filter, mark: () => undefined, wake: () => subscribers.unsubscribe(subscriber) };
    subscribers.subscribe(subscriber);
    await subscribers.drain();
    expect(subscribers.size).toBe(0);
  });

  it("ends every stream with a drain when the daemon drains, to one without room too", async () => {
    const streams = [await opened(), await opened()];
    const [slow] = streams;
    if (slow) slow.hasRoom = false;
    await change("c1", 2n);
    await expect.poll(() => slow?.reportedReason).toEqual(["r2"]);
    await subscribers.drain();
    expect(streams.map(({ reportedReason }) => reportedReason)).toEqual([
      ["r2", "drain", "end"],
      ["r2", "drain", "end"],
    ]);
  });
});
