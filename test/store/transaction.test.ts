import { describe, expect, test } from "vitest";
import { connectionStatuses } from "../../src/model/connections/connection.js";
import type { Transaction } from "../../src/store/transaction.js";
import { aConnection, aProfile, nowMs, pending, sealed, stateHash } from "../samples.js";
import { openStore } from "./temporary_store.js";

const noneByStatus = Object.fromEntries(connectionStatuses.map((status) => [status, 0]));

test("a transaction reads a connection as it has written it last, announced or not", async () => {
  const store = openStore();
  const stored = aConnection({ id: "c1" });
  await store.commit((tx) => {
    expect(tx.getConnection("c1")).toBeUndefined();
    tx.putConnection(stored);
    expect(tx.getConnection("c1")).toEqual(stored);
    tx.putConnection({ ...stored, providerName: "second" });
    expect(tx.getConnection("c1")?.providerName).toBe("second");
    tx.putUnannounced({ ...stored, providerName: "third" });
    expect(tx.getConnection("c1")?.providerName).toBe("third");
    tx.deleteConnection("c1");
    expect(tx.getConnection("c1")).toBeUndefined();
  });
});

describe("provider names", () => {
  test("follow a rename and free the old name", async () => {
    const store = openStore();
    await store.commit((tx) => tx.putProvider(aProfile({ id: "p1", name: "old" })));
    await store.commit((tx) => tx.putProvider(aProfile({ id: "p1", name: "new" })));
    expect(store.findProviderByName("old")).toBeUndefined();
    expect(store.findProviderByName("new")?.id).toBe("p1");
    await store.commit((tx) => tx.putProvider(aProfile({ id: "p2", name: "old" })));
    expect(store.findProviderByName("old")?.id).toBe("p2");
  });

  test("have one holder", async () => {
    const store = openStore();
    await store.commit((tx) => tx.putProvider(aProfile({ id: "p1", name: "taken" })));
    const second = store.commit((tx) => tx.putProvider(aProfile({ id: "p2", name: "taken" })));
    await expect(second).rejects.toThrow("taken");
    expect(store.getProvider("p2")).toBeUndefined();
  });

  test("end with the profile, which leaves its connections", async () => {
    const store = openStore();
    await store.commit((tx) => {
      tx.putProvider(aProfile({ id: "p1" }));
      tx.putConnection(aConnection({ id: "c1" }));
    });
    await store.commit((tx) => tx.deleteProvider("p1"));
    await store.commit((tx) => tx.deleteProvider("unknown"));
    expect(store.findProviderByName("name-p1")).toBeUndefined();
    expect(store.listProviders({ limit: 10 })).toEqual([]);
    expect(store.getConnection("c1")).toBeDefined();
    expect(store.countConnections("p1")).toBe(1);
  });

  test("page in their order, by prefix", async () => {
    const store = openStore();
    const names = ["b2", "a", "b1", "c", "b", "b10"];
    await store.commit((tx) => {
      for (const name of names) tx.putProvider(aProfile({ id: `id-${name}`, name }));
    });
    const list = (page: Parameters<typeof store.listProviders>[0]) =>
      store.listProviders(page).map((p) => p.name);
    expect(list({ limit: 100 })).toEqual(["a", "b", "b1", "b10", "b2", "c"]);
    expect(list({ limit: 2 })).toEqual(["a", "b"]);
    expect(list({ limit: 2, afterName: "b" })).toEqual(["b1", "b10"]);
    expect(list({ limit: 9, afterName: "b11" })).toEqual(["b2", "c"]);
    expect(list({ limit: 9, namePrefix: "b" })).toEqual(["b", "b1", "b10", "b2"]);
    expect(list({ limit: 1, namePrefix: "b1", afterName: "b1" })).toEqual(["b10"]);
    expect(list({ limit: 9, namePrefix: "b", afterName: "a" })).toEqual(["b", "b1", "b10", "b2"]);
    expect(list({ limit: 9, namePrefix: "b", afterName: "c" })).toEqual([]);
    expect(list({ limit: 9, namePrefix: "d" })).toEqual([]);
  });
});

describe("connections", () => {
  test("page in the order of their ids, all or those of one provider", async () => {
    const store = openStore();
    await store.commit((tx) => {
      for (const id of ["c3", "c1", "c4", "c2"]) tx.putConnection(aConnection({ id }));
      tx.putConnection(aConnection({ id: "c25", providerId: "p2" }));
      tx.putConnection(aConnection({ id: "c26", providerId: "p" }));
    });
    const list = (page: Parameters<typeof store.listConnections>[0]) =>
      store.listConnections(page).map((c) => c.id);
    expect(list({ limit: 10 })).toEqual(["c1", "c2", "c25", "c26", "c3", "c4"]);
    expect(list({ limit: 2, afterId: "c2" })).toEqual(["c25", "c26"]);
    expect(list({ limit: 2, afterId: "c24" })).toEqual(["c25", "c26"]);
    expect(list({ limit: 10, providerId: "p1" })).toEqual(["c1", "c2", "c3", "c4"]);
    expect(list({ limit: 2, providerId: "p1", afterId: "c2" })).toEqual(["c3", "c4"]);
    expect(list({ limit: 10, providerId: "p2" })).toEqual(["c25"]);
    expect(list({ limit: 10, providerId: "p3" })).toEqual([]);
    expect(list({ limit: 10, afterId: "c9" })).toEqual([]);
  });

  test("are counted by provider and status through every change", async () => {
    const store = openStore();
    await store.commit((tx) => {
      tx.putConnection(aConnection({ id: "c1" }));
      tx.putConnection(aConnection({ id: "c2" }));
      tx.putConnection(aConnection({ id: "c2", status: "active" }));
      expect(tx.countConnections("p1")).toBe(2);
    });
    expect(store.countByStatus()).toEqual({ ...noneByStatus, pending: 1, active: 1 });
    await store.commit((tx) =>
      tx.putConnection(aConnection({ id: "c1", providerId: "p2", status: "active" })),
    );
    expect([store.countConnections("p1"), store.countConnections("p2")]).toEqual([1, 1]);
    expect(store.listConnections({ limit: 9, providerId: "p1" }).map((c) => c.id)).toEqual(["c2"]);
    expect(store.countByStatus()).toEqual({ ...noneByStatus, active: 2 });
    await store.commit((tx) => {
      tx.deleteConnection("c1");
      tx.deleteConnection("c2");
      tx.deleteConnection("c2");
    });
    expect(store.countByStatus()).toEqual(noneByStatus);
    expect([store.countConnections("p1"), store.countConnections("p2")]).toEqual([0, 0]);
  });

  test("have one entry in the due queue, which is in the order of the times", async () => {
    const store = openStore();
    expect(store.nextDueMs()).toBeUndefined();
    const times = [9, 1000, 256, 70_000_000_000_000, 1, 99_999];
    await store.commit((tx) => {
      for (const dueAtMs of times) tx.putConnection(aConnection({ id: `c-${dueAtMs}`, dueAtMs }));
      tx.putConnection(aConnection({ id: "never" }));
    });
    expect(store.due(Number.MAX_SAFE_INTEGER, 100).map((entry) => entry.dueAtMs)).toEqual(
      [...times].sort((a, b) => a - b),
    );
    expect(store.due(256, 100)).toEqual([
      { connectionId: "c-1", dueAtMs: 1 },
      { connectionId: "c-9", dueAtMs: 9 },
      { connectionId: "c-256", dueAtMs: 256 },
    ]);
    expect(store.due(256, 2)).toHaveLength(2);
    await store.commit((tx) => {
      tx.putConnection(aConnection({ id: "c-1", dueAtMs: 500 }));
      tx.putConnection(aConnection({ id: "c-9" }));
      tx.deleteConnection("c-256");
      tx.putConnection(aConnection({ id: "never", dueAtMs: 500 }));
    });
    expect(store.nextDueMs()).toBe(500);
    expect(store.due(999, 100)).toEqual([
      { connectionId: "c-1", dueAtMs: 500 },
      { connectionId: "never", dueAtMs: 500 },
    ]);
  });

  test("are deleted with credential, due entry and pending authorization", async () => {
    const store = openStore();
    await store.commit((tx) => {
      tx.putConnection(aConnection({ id: "c1", dueAtMs: 5, pendingStateHash: stateHash(1) }));
      tx.putCredential("c1", { revision: 1n, sealed: sealed("x") });
      tx.putAuthorization(stateHash(1), pending("c1"));
    });
    await store.commit((tx) => tx.deleteConnection("c1"));
    expect(store.getConnection("c1")).toBeUndefined();
    expect(store.getCredential("c1")).toBeUndefined();
    expect(store.getAuthorization(stateHash(1))).toBeUndefined();
    expect(store.nextDueMs()).toBeUndefined();
    expect(store.listConnections({ limit: 9, providerId: "p1" })).toEqual([]);
  });
});

test("a transaction sees its own writes", async () => {
  const store = openStore();
  await store.commit((tx) => {
    tx.putProvider(aProfile({ id: "p1" }));
    tx.putConnection(aConnection({ id: "c1", status: "active" }));
    tx.putCredential("c1", { revision: 4n, sealed: sealed("x") });
    tx.putAuthorization(stateHash(1), pending("c1"));
    expect(tx.getProvider("p1")?.name).toBe("name-p1");
    expect(tx.findProviderByName("name-p1")?.id).toBe("p1");
    expect(tx.getConnection("c1")?.status).toBe("active");
    expect(tx.getCredential("c1")?.revision).toBe(4n);
    expect(tx.getAuthorization(stateHash(1))?.connectionId).toBe("c1");
    tx.deleteCredential("c1");
    expect(tx.getCredential("c1")).toBeUndefined();
  });
  expect(store.getCredential("c1")).toBeUndefined();
});

test("one of two concurrent commits takes a pending authorization", async () => {
  const store = openStore();
  await store.commit((tx) => tx.putAuthorization(stateHash(1), pending("c1")));
  const takes = await Promise.all([1, 2].map(() => store.commit((tx) => tx.takeAuthorization(stateHash(1)))));
  expect(takes).toEqual([pending("c1"), undefined]);
});

test("a transaction is of no use outside its callback", async () => {
  const store = openStore();
  let kept: Transaction | undefined;
  await store.commit((tx) => {
    kept = tx;
  });
  expect(() => kept?.getProvider("p1")).toThrow("ended");
  expect(() => kept?.putProvider(aProfile({ id: "p1" }))).toThrow("ended");
  expect(() => kept?.appendAudit({ timeMs: nowMs, type: "oauth_error", principal: "x" })).toThrow("ended");
  expect(store.getProvider("p1")).toBeUndefined();
});

test("the newest 100 000 audit events are kept, and pages of them go backwards", async () => {
  const store = openStore();
  const count = 100_003;
  await store.commit((tx) => {
    for (let i = 1; i <= count; i++) tx.appendAudit({ timeMs: i, type: "oauth_error", principal: "daemon" });
  });
  const times = (page: Parameters<typeof store.listAuditEvents>[0]) =>
    store.listAuditEvents(page).events.map(({ event }) => event.timeMs);
  expect(times({ limit: 2 })).toEqual([count, count - 1]);
  expect(times({ limit: 2, beforeSequence: 7n })).toEqual([6, 5]);
  expect(times({ limit: 9, beforeSequence: 7n })).toEqual([6, 5, 4]);
  expect(times({ limit: 200_000 })).toHaveLength(100_000);
});
