import { describe, expect, test } from "vitest";
import { LogRefused } from "../../../../src/ext/fleet/replication/log_error.js";
import { ReplicaStore } from "../../../../src/ext/fleet/replication/replica_store.js";
import { NotLeader, StoreFailed } from "../../../../src/store/lmdb/store_error.js";
import { type Change, Store } from "../../../../src/store/store.js";
import { aConnection, aProfile, nowMs } from "../../../samples.js";
import { temporaryFolder } from "../../../temporary_folder.js";
import { entriesOf, Fleet, openReplica, replicaFolder } from "./fleet.js";

function put(store: Store, id: string): Promise<void> {
  return store.commit((tx) => tx.putConnection(aConnection({ id })));
}

describe("a leader's commit", () => {
  test("resolves with what its callback returned, when the log has it, and is not readable before", async () => {
    const { leader, log } = await Fleet.make();
    log.hold();
    const asked = log.nextAsked();
    const heard: (readonly Change[])[] = [];
    leader.onCommitted((changes) => heard.push(changes));
    const commit = leader.commit((tx) => {
      tx.putConnection(aConnection({ id: "c1" }));
      return tx.getConnection("c1")?.id;
    });
    await asked;
    expect(leader.getConnection("c1")).toBeUndefined();
    expect(leader.revision).toBe(0n);
    expect(heard).toEqual([]);
    log.release();
    expect(await commit).toBe("c1");
    expect(leader.getConnection("c1")).toBeDefined();
    expect(heard.flat().map(({ connectionId }) => connectionId)).toEqual(["c1"]);
    expect(leader.settledRevision).toBe(1n);
    expect(leader.position).toEqual({ position: 1n, batchId: log.after(0n)[0]?.id });
  });

  test("shares the next batch with those asked for while one is in flight", async () => {
    const { leader, log } = await Fleet.make();
    log.hold();
    const asked = log.nextAsked();
    const first = put(leader, "c0");
    await asked;
    const later = Array.from({ length: 40 }, (_, index) => put(leader, `c${index + 1}`));
    log.release();
    await Promise.all([first, ...later]);
    expect(log.asked).toBe(2);
    expect(leader.listConnections({ limit: 100 })).toHaveLength(41);
  });

  test("is rolled back alone when its callback throws, and so is what it had put", async () => {
    const fleet = await Fleet.make();
    const { leader } = fleet;
    const violation = new Error("no");
    const outcomes = await Promise.allSettled([
      put(leader, "c1"),
      leader.commit((tx) => {
        tx.putProvider(aProfile({ id: "p1" }));
        tx.putConnection(aConnection({ id: "c1", status: "active", dueAtMs: 1 }));
        tx.putConnection(aConnection({ id: "c2" }));
        tx.appendAudit({ timeMs: nowMs, type: "oauth_error", principal: "x" });
        throw violation;
      }),
      leader.commit(() => Promise.resolve()),
      put(leader, "c3"),
    ]);
    expect(outcomes.map((outcome) => outcome.status)).toEqual([
      "fulfilled",
      "rejected",
      "rejected",
      "fulfilled",
    ]);
    expect(outcomes[1]).toEqual({ status: "rejected", reason: violation });
    expect(fleet.log.asked).toBe(1);
    await fleet.feed();
    for (const store of fleet.stores) {
      expect(store.getProvider("p1")).toBeUndefined();
      expect(store.getConnection("c1")?.status).toBe("pending");
      expect(store.getConnection("c2")).toBeUndefined();
      expect(store.listAuditEvents({ limit: 1 }).events).toEqual([]);
      expect(store.changesSince(0n, 10).map((change) => change.connectionId)).toEqual(["c1", "c3"]);
      expect(store.countByStatus().pending).toBe(2);
    }
  });

  test("cannot begin inside another, and asks the log for nothing when nothing was written", async () => {
    const { leader, log } = await Fleet.make(0);
    let inner: Promise<void> | undefined;
    expect(
      await leader.commit((tx) => {
        inner = put(leader, "c1");
        inner.catch(() => undefined);
        return tx.getConnection("c1");
      }),
    ).toBeUndefined();
    await expect(inner).rejects.toThrow("inside");
    expect(log.asked).toBe(0);
  });

  test("runs after those asked for before it and sees them, in one batch and in the next", async () => {
    const { leader } = await Fleet.make(0);
    const seen: (number | undefined)[] = [];
    const add = (): Promise<void> =>
      leader.commit((tx) => {
        const before = tx.getConnection("c1")?.failedRefreshes ?? 0;
        seen.push(before);
        tx.putConnection(aConnection({ id: "c1", failedRefreshes: before + 1 }));
      });
    const first = [add(), add(), add()];
    await Promise.resolve();
    await Promise.all([...first, add(), add()]);
    await add();
    expect(seen).toEqual([0, 1, 2, 3, 4, 5]);
  });

  test.each(["fenced", "epoch", "diverged"] as const)(
    "that the log refuses (%s) ends the store, and nothing of it is here",
    async (verdict) => {
      const fatal: unknown[] = [];
      const { leader, log } = await Fleet.make(0, { onFatal: (error) => fatal.push(error) });
      await put(leader, "c1");
      log.hold();
      const asked = log.nextAsked();
      log.verdicts.push(verdict);
      const refused = put(leader, "c2");
      await asked;
      const next = put(leader, "c3");
      log.release();
      for (const commit of [refused, next]) await expect(commit).rejects.toThrow(StoreFailed);
      await expect(put(leader, "c4")).rejects.toThrow(StoreFailed);
      expect(fatal).toHaveLength(1);
      const { cause } = fatal[0] as StoreFailed;
      expect(cause).toBeInstanceOf(LogRefused);
      expect((cause as LogRefused).verdict).toBe(verdict);
      expect(leader.isFailed).toBe(true);
      expect(leader.listConnections({ limit: 9 }).map(({ id }) => id)).toEqual(["c1"]);
      expect(leader.position?.position).toBe(1n);
    },
  );

  test.each([
    ["is closed", (leader: ReplicaStore) => leader.close()],
    ["gives the lead back", (leader: ReplicaStore) => leader.follow()],
  ])("is refused while the store %s, which waits for those under way: nothing was done", async (_, end) => {
    const { leader, log } = await Fleet.make(0);
    const commits = [put(leader, "c1"), put(leader, "c2")];
    const ended = end(leader);
    await expect(put(leader, "c3")).rejects.toThrow(NotLeader);
    await ended;
    await Promise.all(commits);
    expect(log.position).toBe(1n);
  });
});

describe("a leader that dies between the log's answer and its own commit", () => {
  test("has the batch from the log at its next start, byte by byte what a follower has", async () => {
    const fleet = await Fleet.make(1);
    const { leader, log } = fleet;
    await put(leader, "c1");
    // What is on disk at this moment is what a killed process leaves.
    const folder = temporaryFolder();
    await leader.copyTo(folder);
    await put(leader, "c2");
    const restarted = openReplica(folder);
    expect(restarted.role).toBe("follower");
    expect(restarted.getConnection("c2")).toBeUndefined();
    await restarted.apply(log.after(restarted.position?.position ?? 0n));
    await fleet.feed();
    expect(entriesOf(restarted)).toEqual(entriesOf(leader));
    await leader.follow();
    restarted.lead(log);
    await put(restarted, "c3");
    await leader.apply(log.after(leader.position?.position ?? 0n));
    expect(leader.getConnection("c3")).toBeDefined();
    expect(entriesOf(leader)).toEqual(entriesOf(restarted));
  });

  test("is refused by the log when it goes on without that batch", async () => {
    const { leader, log } = await Fleet.make(0);
    const folder = temporaryFolder();
    await leader.copyTo(folder);
    await put(leader, "c1");
    const stale = openReplica(folder);
    stale.lead(log);
    await expect(put(stale, "c2")).rejects.toThrow(StoreFailed);
    expect(log.position).toBe(1n);
  });
});

describe("roles", () => {
  test("a follower refuses commits, and leads no log twice", async () => {
    const fleet = await Fleet.make(1);
    const [follower] = fleet.followers;
    await expect(put(follower as ReplicaStore, "c1")).rejects.toThrow(NotLeader);
    expect(follower?.role).toBe("follower");
    expect(fleet.leader.role).toBe("leader");
    expect(() => fleet.leader.lead(fleet.log)).toThrow("leads already");
    await expect(fleet.leader.apply([])).rejects.toThrow("follower");
    await fleet.leader.follow();
    expect(fleet.leader.role).toBe("follower");
    await expect(put(fleet.leader, "c1")).rejects.toThrow(NotLeader);
  });

  test("a store of its own is no replica, and a replica none of its own until it leaves", async () => {
    const folder = temporaryFolder();
    const single = Store.open({ folder, nowMs });
    await put(single, "c1");
    expect(single.role).toBe("single");
    const copy = await replicaFolder(single);
    await single.close();
    expect(() => ReplicaStore.open({ folder, nowMs })).toThrow("no replica");
    expect(() => Store.open({ folder: copy, nowMs })).toThrow("NEXUS_STORE");
    const left = Store.open({ folder: copy, nowMs, leavesLog: true });
    await put(left, "c2");
    await left.close();
    const again = Store.open({ folder: copy, nowMs });
    expect(again.listConnections({ limit: 9 }).map(({ id }) => id)).toEqual(["c1", "c2"]);
    expect(again.databaseId).toBe(single.databaseId);
    await again.close();
  });
});
