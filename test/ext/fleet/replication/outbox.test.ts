import { cpSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { Outbox } from "../../../../src/ext/fleet/replication/outbox.js";
import { encodeRecordedEvent, importOutbox } from "../../../../src/ext/fleet/replication/outbox_codec.js";
import { rawEntries } from "../../../../src/ext/fleet/replication/raw_entries.js";
import { ReplicaStore } from "../../../../src/ext/fleet/replication/replica_store.js";
import { StoreFailure } from "../../../../src/store/lmdb/store_failure.js";
import type { Store } from "../../../../src/store/store.js";
import { nowMs } from "../../../samples.js";
import { openStore } from "../../../store/temporary_store.js";
import { temporaryFolder } from "../../../temporary_folder.js";
import { beginning, entriesOf, Fleet, openReplica, replicaFolder } from "./fleet.js";

const failure = new StoreFailure(undefined);

function read(store: Store, count: number): Promise<void> {
  return store.record((tx) =>
    tx.appendAudit({ timeMs: nowMs, type: "token_retrieved", principal: "p", count }),
  );
}

function told(store: Store): (number | undefined)[] {
  return store
    .listAuditEvents({ limit: 100 })
    .events.map(({ event }) => event.count)
    .reverse();
}

/** A leader ships by itself. */
async function shipped(leader: ReplicaStore): Promise<void> {
  while (leader.outbox?.count !== 0) await new Promise((resolve) => setImmediate(resolve));
}

/** As a hub does: what a follower has on record goes to the leader, whose answer may be lost. */
async function ship(
  from: ReplicaStore,
  to: ReplicaStore,
  answer: "comes" | "is lost",
  via?: string,
): Promise<number> {
  const { outbox } = from;
  const { source, entries } = outbox.take(100);
  if (entries.length === 0) return 0;
  await to.commit((tx) => importOutbox(tx, source, entries, { via, nowMs }));
  if (answer === "comes") await outbox.drop(entries.at(-1)?.sequence ?? 0n);
  return entries.length;
}

describe("what is only put on record", () => {
  test("is an ordinary commit of a store that is the only one", async () => {
    const store = openStore();
    await read(store, 1);
    expect(told(store)).toEqual([1]);
  });

  test("is durable at a follower when it resolves, and comes into the log once, whatever answer is lost", async () => {
    const fleet = await Fleet.make(1);
    const follower = fleet.followers[0] as ReplicaStore;
    let woken = 0;
    follower.onRecorded(() => woken++);
    await Promise.all([read(follower, 1), read(follower, 2)]);
    expect(woken).toBe(2);
    expect(follower.outbox?.count).toBe(2);
    expect(told(follower)).toEqual([]);
    await ship(follower, fleet.leader, "is lost");
    await read(follower, 3);
    await ship(follower, fleet.leader, "comes");
    expect(follower.outbox?.count).toBe(0);
    expect(await ship(follower, fleet.leader, "comes")).toBe(0);
    await fleet.feed();
    expect(told(fleet.leader)).toEqual([1, 2, 3]);
    expect(told(follower)).toEqual([1, 2, 3]);
    expect(entriesOf(follower)).toEqual(entriesOf(fleet.leader));
    expect(follower.verifyAudit().step(100)?.violation).toBeUndefined();
  });

  test("comes into the log once, and whole, where a folder is the copy of another hub's", async () => {
    const fleet = await Fleet.make(0);
    const folder = await replicaFolder();
    const before = openReplica(folder);
    for (const count of [1, 2]) await read(before, count);
    await ship(before, fleet.leader, "is lost");
    await read(before, 3);
    await before.close();
    const copy = temporaryFolder();
    cpSync(folder, copy, { recursive: true });
    const hubs = [openReplica(folder), openReplica(copy)] as const;
    for (const [index, hub] of hubs.entries())
      for (const count of [4, 5]) await read(hub, index * 10 + count);
    for (const hub of [hubs[1], hubs[0]]) while ((await ship(hub, fleet.leader, "comes")) > 0);
    expect(told(fleet.leader)).toEqual([1, 2, 3, 14, 15, 4, 5]);
  });

  test("is forgotten of a hub that is gone for 90 days, not of one that comes back before, or of an older version", async () => {
    const fleet = await Fleet.make(0);
    const dayMs = 24 * 3_600_000;
    const imported = (source: string, sequence: bigint, day: number) =>
      fleet.leader.commit((tx) => {
        const event = { timeMs: nowMs, type: "token_retrieved", principal: source } as const;
        const entries = [{ sequence, record: encodeRecordedEvent(event) }];
        importOutbox(tx, source, entries, { via: "hub", nowMs: nowMs + day * dayMs });
      });
    const sources = () =>
      fleet.leader.raw((databases) =>
        Array.from(databases.meta.getKeys(), String).filter((key) => key.startsWith("outbox ")),
      );
    await imported("back", 1n, 0);
    await imported("gone", 1n, 0);
    await fleet.leader.commit((tx) =>
      tx.raw(({ meta }) => meta.putSync("outbox older", Buffer.from("0000000000000007", "hex"))),
    );
    await imported("back", 2n, 60);
    await imported("new", 1n, 89);
    expect(sources()).toEqual(["outbox back", "outbox gone", "outbox new", "outbox older"]);
    await imported("next", 1n, 91);
    expect(sources()).toEqual(["outbox back", "outbox new", "outbox next", "outbox older"]);
    // Their answers were lost.
    await imported("back", 2n, 92);
    await imported("older", 7n, 92);
    const { events } = fleet.leader.listAuditEvents({ limit: 100 });
    expect(events.map(({ event }) => event.principal).reverse()).toEqual([
      ...["back", "gone", "back", "new", "next"],
    ]);
    await imported("last", 1n, 182);
    expect(sources()).toEqual(["outbox back", "outbox last", "outbox older"]);
  });

  test("waits at a leader for no log, which has it afterwards", async () => {
    const { leader, log } = await Fleet.make(0);
    log.hold();
    const asked = log.nextAsked();
    await read(leader, 1);
    await asked;
    await read(leader, 2);
    expect(told(leader)).toEqual([]);
    expect(leader.outbox?.count).toBe(2);
    log.release();
    await shipped(leader);
    expect(told(leader)).toEqual([1, 2]);
  });

  test("is shipped by the next leader when the process dies before", async () => {
    const folder = await replicaFolder();
    const before = openReplica(folder);
    await read(before, 1);
    await before.close();
    const fleet = await Fleet.make(0);
    // Its replica was copied anew, instead of the old one: the outbox stays.
    await fleet.leader.follow();
    await ReplicaStore.copyInto(folder, { entries: fleet.leader.raw(rawEntries), position: beginning });
    const after = openReplica(folder);
    after.lead(fleet.log);
    await shipped(after);
    expect(told(after)).toEqual([1]);
    expect(fleet.log.position).toBe(1n);
  });

  test("notes the use of an API key, the newest", async () => {
    const fleet = await Fleet.make(1);
    const follower = fleet.followers[0] as ReplicaStore;
    const key = {
      ...{
        id: "k1",
        name: "ci",
        digest: Buffer.alloc(32, 1),
        role: "agent" as const,
        restriction: undefined,
      },
      ...{ createdAtMs: nowMs, createdBy: "owner", expiresAtMs: undefined },
      ...{
        old: undefined,
        lease: undefined,
        revokedAtMs: undefined,
        revokedBy: undefined,
        lastUsedAtMs: undefined,
      },
    };
    await fleet.leader.commit((tx) => tx.putApiKey(key));
    await follower.record((tx) => tx.useApiKey("k1", 7_200_000));
    await follower.record((tx) => tx.useApiKey("k1", 3_600_000));
    await follower.record((tx) => tx.useApiKey("nobody's", 3_600_000));
    await ship(follower, fleet.leader, "comes");
    expect(fleet.leader.getApiKey("k1")?.lastUsedAtMs).toBe(7_200_000);
  });

  test("comes into the log behind an entry that cannot be read, which is counted there in its place", async () => {
    const fleet = await Fleet.make(1);
    const follower = fleet.followers[0] as ReplicaStore;
    const unreadable = [Buffer.from([0xff]), Buffer.from("no record")];
    const counted = { type: "audit.entries_unreadable", principal: "daemon", count: 2, timeMs: nowMs };
    for (const [store, via] of [[fleet.leader], [follower, ["10.0.0.2:7443"]]] as const) {
      await read(store, 1);
      await store.outbox?.add(unreadable);
      await read(store, 2);
      if (store === follower) await ship(follower, fleet.leader, "comes", via?.[0]);
      await shipped(store);
      const { events } = fleet.leader.listAuditEvents({ limit: 3 });
      expect(events.map(({ event }) => event).reverse()).toMatchObject([
        { count: 1 },
        { ...counted, ...(via && { via }) },
        { count: 2 },
      ]);
    }
  });

  test("is in the chain with the hub whose outbox it was, behind the spoke that it came through", async () => {
    const fleet = await Fleet.make(1);
    const follower = fleet.followers[0] as ReplicaStore;
    const event = { timeMs: nowMs, type: "token_retrieved", principal: "p" } as const;
    await follower.record((tx) => tx.appendAudit(event));
    await follower.record((tx) => tx.appendAudit({ ...event, via: ["jwt:spoke"] }));
    await ship(follower, fleet.leader, "comes", "10.0.0.2:7443");
    await fleet.leader.record((tx) => tx.appendAudit(event));
    await shipped(fleet.leader);
    const { events } = fleet.leader.listAuditEvents({ limit: 3 });
    expect(events.map(({ event: { via } }) => via).reverse()).toEqual([
      ["10.0.0.2:7443"],
      ["jwt:spoke", "10.0.0.2:7443"],
      undefined,
    ]);
    const verdict = fleet.leader.verifyAudit().step(100);
    expect([verdict?.checked, verdict?.violation]).toEqual([3n, undefined]);
  });
});

describe("an outbox", () => {
  test("gives no sequence twice, and each entry the source that it has, over restarts", async () => {
    const folder = temporaryFolder();
    const first = new Outbox(folder, failure);
    await first.add([Buffer.from("a"), Buffer.from("b")]);
    expect(first.take(1).entries.map(({ sequence }) => sequence)).toEqual([1n]);
    await first.drop(2n);
    await first.add([Buffer.from("c")]);
    const { source } = first.take(1);
    await first.close();
    await new Outbox(folder, failure).close();
    const second = new Outbox(folder, failure);
    await second.add([Buffer.from("d")]);
    const taken = () => {
      const { source, entries } = second.take(9);
      return [source, entries.map(({ sequence, record }) => [sequence, Buffer.from(record).toString()])];
    };
    expect([second.count, taken()]).toEqual([2, [source, [[3n, "c"]]]]);
    await second.drop(3n);
    const own = second.take(1).source;
    expect([own === source, taken()]).toEqual([false, [own, [[4n, "d"]]]]);
    await second.drop(4n);
    expect([second.count, second.take(9).entries]).toEqual([0, []]);
    await second.close();
  });
});
