import { describe, expect, test } from "vitest";
import type { Applied } from "../../../../src/ext/fleet/replication/applied.js";
import type { LogBatch } from "../../../../src/ext/fleet/replication/log.js";
import { LogDiverged } from "../../../../src/ext/fleet/replication/log_error.js";
import { ReplicaStore } from "../../../../src/ext/fleet/replication/replica_store.js";
import type { Change } from "../../../../src/store/store.js";
import { aConnection, aProfile } from "../../../samples.js";
import { entriesOf, Fleet, openReplica, replicaFolder } from "./fleet.js";

async function withFollower(): Promise<{ fleet: Fleet; leader: ReplicaStore; follower: ReplicaStore }> {
  const fleet = await Fleet.make(1);
  return { fleet, leader: fleet.leader, follower: fleet.followers[0] as ReplicaStore };
}

function put(store: ReplicaStore, id: string, change = {}): Promise<void> {
  return store.commit((tx) => tx.putConnection(aConnection({ id, ...change })));
}

describe("batches that a follower applies", () => {
  test("are announced as the leader's commits were: each connection once, its newest change, in the order of the revisions", async () => {
    const { fleet, leader, follower } = await withFollower();
    const heard: (readonly Change[])[] = [];
    const told: Applied[] = [];
    follower.onCommitted((changes) => heard.push(changes));
    follower.onApplied((applied) => told.push(applied));
    await put(leader, "c1", { dueAtMs: 5 });
    await put(leader, "c2");
    await put(leader, "c1", { status: "active", dueAtMs: 7 });
    await leader.commit((tx) => tx.deleteConnection("c2"));
    await leader.commit((tx) => tx.putProvider(aProfile({ id: "p1" })));
    await fleet.feed();
    expect(heard).toHaveLength(1);
    expect(heard[0]).toMatchObject([
      { revision: 3n, connectionId: "c1", removed: false, providerId: "p1", dueAtMs: 7 },
      { revision: 4n, connectionId: "c2", removed: true, dueAtMs: undefined },
    ]);
    expect(told).toHaveLength(1);
    expect(told[0]).toMatchObject({ providerIds: ["p1"], apiKeyIds: [], storeRecord: false });
    expect(follower.settledRevision).toBe(4n);
    expect(follower.position).toEqual(leader.position);
    expect(follower.due(10, 9)).toEqual([{ connectionId: "c1", dueAtMs: 7 }]);
  });

  test("are taken once, however often they come", async () => {
    const { fleet, leader, follower } = await withFollower();
    let heard = 0;
    follower.onCommitted(() => heard++);
    await put(leader, "c1");
    await put(leader, "c2");
    const all = fleet.log.after(0n);
    await Promise.all([follower.apply(all.slice(0, 1)), follower.apply(all), follower.apply(all)]);
    expect(heard).toBe(2);
    expect(entriesOf(follower)).toEqual(entriesOf(leader));
  });

  const [first, second]: LogBatch[] = [1n, 2n].map((position) => ({
    id: `batch ${position}`,
    after: position - 1n,
    position,
    writes: [{ database: "providers", key: Buffer.from("p1"), value: Buffer.from("x") }],
  }));
  test.each<[string, (LogBatch | undefined)[]]>([
    ["a gap", [second]],
    ["another batch at the position that is here", [{ ...(first as LogBatch), id: "another" }]],
    ["a batch that follows another one", [{ ...(second as LogBatch), after: 0n }]],
    [
      "a database that this version does not have",
      [
        {
          ...(second as LogBatch),
          after: 1n,
          writes: [{ database: "later", key: Buffer.from("k"), value: undefined }],
        },
      ],
    ],
  ])("are refused with %s, and nothing is written", async (what, batches) => {
    const follower = openReplica(await replicaFolder());
    if (what !== "a gap") await follower.apply([first as LogBatch]);
    const before = entriesOf(follower);
    const { position } = follower;
    await expect(follower.apply(batches as LogBatch[])).rejects.toThrow(LogDiverged);
    expect(entriesOf(follower)).toEqual(before);
    expect(follower.position).toEqual(position);
    expect(follower.isFailed).toBe(false);
  });

  test("change the epoch where the leader began another one", async () => {
    const { fleet, leader, follower } = await withFollower();
    const before = follower.epoch;
    const told: boolean[] = [];
    follower.onApplied(({ storeRecord }) => told.push(storeRecord));
    await leader.commit((tx) => tx.beginEpoch());
    await fleet.feed();
    expect(follower.epoch).not.toBe(before);
    expect(told).toEqual([true]);
  });
});

describe("waiting for a position", () => {
  test("ends when the batch is here and was announced", async () => {
    const { fleet, leader, follower } = await withFollower();
    const events: string[] = [];
    follower.onCommitted(() => events.push("heard"));
    const waiting = follower.waitFor(2n).then(() => events.push("waited"));
    await put(leader, "c1");
    await fleet.feed();
    expect(events).toEqual(["heard"]);
    await put(leader, "c2");
    await fleet.feed();
    await waiting;
    expect(events).toEqual(["heard", "heard", "waited"]);
    await follower.waitFor(1n);
    await leader.waitFor(2n);
  });

  test("is given up by its signal", async () => {
    const { follower } = await withFollower();
    const over = new AbortController();
    const waiting = follower.waitFor(1n, over.signal);
    over.abort(new Error("too long"));
    await expect(waiting).rejects.toThrow("too long");
    await expect(follower.waitFor(1n, over.signal)).rejects.toThrow("too long");
  });
});

describe("a copy", () => {
  test("takes the place of a store as a whole, or not at all", async () => {
    const { fleet, leader } = await withFollower();
    await put(leader, "c1");
    const folder = await replicaFolder(leader);
    const broken = async function* () {
      yield [{ database: "providers", key: Buffer.from("p"), value: Buffer.from("x") }];
      throw new Error("the connection was cut");
    };
    const at = { position: 9n, batchId: "nine" };
    await expect(ReplicaStore.copyInto(folder, { entries: broken(), position: at })).rejects.toThrow("cut");
    const kept = openReplica(folder);
    expect(kept.position).toEqual(leader.position);
    expect(entriesOf(kept)).toEqual(entriesOf(leader));
    expect(fleet.log.position).toBe(1n);
  });
});
