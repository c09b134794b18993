import { describe, expect, test } from "vitest";
import type { Change } from "../../src/store/store.js";
import { Store } from "../../src/store/store.js";
import { aConnection, aProfile, nowMs } from "../samples.js";
import { temporaryFolder } from "../temporary_folder.js";
import { openStore } from "./temporary_store.js";

function put(store: Store, id: string): Promise<void> {
  return store.commit((tx) => tx.putConnection(aConnection({ id })));
}

describe("a commit", () => {
  test("resolves with what its callback returned", async () => {
    expect(await openStore().commit(() => 42)).toBe(42);
  });

  test("that throws leaves nothing, and does not disturb the others in its batch", async () => {
    const store = openStore();
    const violation = new Error("no");
    const outcomes = await Promise.allSettled([
      put(store, "c1"),
      store.commit((tx) => {
        tx.putProvider(aProfile({ id: "p1" }));
        tx.putConnection(aConnection({ id: "c1", status: "active", dueAtMs: 1 }));
        tx.putConnection(aConnection({ id: "c2" }));
        tx.appendAudit({ timeMs: nowMs, type: "oauth_error", principal: "x" });
        throw violation;
      }),
      put(store, "c3"),
    ]);
    expect(outcomes[1]).toEqual({ status: "rejected", reason: violation });
    expect(outcomes.map((outcome) => outcome.status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
    expect(store.getProvider("p1")).toBeUndefined();
    expect(store.getConnection("c1")?.status).toBe("pending");
    expect(store.getConnection("c2")).toBeUndefined();
    expect(store.nextDueMs()).toBeUndefined();
    expect(store.listAuditEvents({ limit: 1 }).events).toEqual([]);
    expect(store.countByStatus().pending).toBe(2);
    expect(store.changesSince(0n, 10).map((change) => change.connectionId)).toEqual(["c1", "c3"]);
    expect(store.revision).toBe(2n);
  });

  test("refuses a callback that is not synchronous, and leaves nothing", async () => {
    const store = openStore();
    const late = store.commit((tx) => {
      tx.putConnection(aConnection({ id: "c1" }));
      return Promise.resolve();
    });
    await expect(late).rejects.toThrow("synchronous");
    expect(store.getConnection("c1")).toBeUndefined();
  });

  test("cannot begin inside another", async () => {
    const store = openStore();
    let inner: Promise<void> | undefined;
    await store.commit(() => {
      inner = put(store, "c1");
      inner.catch(() => undefined);
    });
    await expect(inner).rejects.toThrow("inside");
  });

  test("runs after those asked for before it and sees them", async () => {
    const store = openStore();
    const seen: (number | undefined)[] = [];
    const add = (): Promise<void> =>
      store.commit((tx) => {
        const before = tx.getConnection("c1")?.failedRefreshes ?? 0;
        seen.push(before);
        tx.putConnection(aConnection({ id: "c1", failedRefreshes: before + 1 }));
      });
    const first = [add(), add(), add()];
    await Promise.resolve();
    await Promise.all([...first, add(), add()]);
    expect(seen).toEqual([0, 1, 2, 3, 4]);
  });

  test("is not readable before it is done", async () => {
    const store = openStore();
    const commit = put(store, "c1");
    expect(store.getConnection("c1")).toBeUndefined();
    await commit;
    expect(store.getConnection("c1")).toBeDefined();
  });

  test("is refused after close, which waits for those under way and can be repeated", async () => {
    const folder = temporaryFolder();
    const store = Store.open({ folder, nowMs });
    const commits = [put(store, "c1"), put(store, "c2")];
    const closed = store.close();
    await expect(put(store, "c3")).rejects.toThrow("closed");
    await closed;
    await store.close();
    await Promise.all(commits);
    expect(() => store.getConnection("c1")).toThrow();
    const again = openStore(folder);
    expect(again.listConnections({ limit: 9 }).map((c) => c.id)).toEqual(["c1", "c2"]);
  });
});

describe("the listener", () => {
  test("hears each connection of a commit once, its newest change, before the commit resolves", async () => {
    const store = openStore();
    const heard: (readonly Change[])[] = [];
    store.onCommitted((changes) => heard.push(changes));
    await store.commit((tx) => {
      tx.putConnection(aConnection({ id: "c1" }));
      tx.putConnection(aConnection({ id: "c2" }));
      tx.putConnection(aConnection({ id: "c1", status: "active" }));
      tx.putConnection(aConnection({ id: "c3" }));
      tx.deleteConnection("c3");
    });
    const change = (revision: bigint, connectionId: string, removed = false) => {
      const userId = `user of ${connectionId}`;
      return { revision, connectionId, removed, userId, providerId: "p1", label: "" };
    };
    expect(heard).toEqual([[change(2n, "c2"), change(3n, "c1"), change(5n, "c3", true)]]);
    expect(store.settledRevision).toBe(5n);
  });

  test("is not called for a commit without a change of a connection", async () => {
    const store = openStore();
    let calls = 0;
    store.onCommitted(() => calls++);
    await store.commit((tx) => tx.putProvider(aProfile({ id: "p1" })));
    expect(calls).toBe(0);
  });

  test("is called once per commit, in the order of the revisions, never behind `settledRevision`", async () => {
    const store = openStore();
    const events: string[] = [];
    let announced = 0n;
    store.onCommitted((changes) => {
      expect(store.settledRevision).toBe(announced);
      for (const { revision, connectionId } of changes) {
        expect(revision).toBeGreaterThan(announced);
        expect(store.getConnection(connectionId)).toBeDefined();
        announced = revision;
        events.push(`heard ${connectionId}`);
      }
    });
    const commits: Promise<void>[] = [];
    for (let i = 0; i < 60; i++) {
      commits.push(put(store, `c${i}`).then(() => void events.push(`done c${i}`)));
      if (i % 7 === 0) await new Promise((resolve) => setImmediate(resolve));
      expect(store.settledRevision).toBe(announced);
      expect(store.revision).toBeGreaterThanOrEqual(announced);
    }
    await Promise.all(commits);
    expect(events.filter((event) => event.startsWith("heard"))).toEqual(commits.map((_, i) => `heard c${i}`));
    for (let i = 0; i < 60; i++) {
      expect(events.indexOf(`heard c${i}`)).toBeLessThan(events.indexOf(`done c${i}`));
    }
    expect(store.settledRevision).toBe(60n);
  });
});
