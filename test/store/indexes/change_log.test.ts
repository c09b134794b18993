import { expect, test } from "vitest";
import { aConnection } from "../../samples.js";
import { openStore } from "../temporary_store.js";

test("a connection has one entry, its newest", async () => {
  const store = openStore();
  for (const id of ["c1", "c2", "c1", "c1"])
    await store.commit((tx) => tx.putConnection(aConnection({ id })));
  expect(store.changesSince(0n, 10).map((c) => [c.revision, c.connectionId])).toEqual([
    [2n, "c2"],
    [4n, "c1"],
  ]);
  expect(store.changesSince(2n, 10).map((c) => c.revision)).toEqual([4n]);
  expect(store.changesSince(0n, 1).map((c) => c.revision)).toEqual([2n]);
  expect(store.changesSince(4n, 10)).toEqual([]);
  expect(store.revision).toBe(4n);
});

test("a removal stays in the changes", async () => {
  const store = openStore();
  await store.commit((tx) => tx.putConnection(aConnection({ id: "c1" })));
  await store.commit((tx) => tx.deleteConnection("c1"));
  expect(store.changesSince(0n, 10)).toEqual([
    { revision: 2n, connectionId: "c1", removed: true, label: "", userId: "user of c1", providerId: "p1" },
  ]);
  expect(store.floorRevision).toBe(0n);
});

test("10 000 removals are kept; forgetting one raises the floor", async () => {
  const store = openStore();
  const ids = Array.from({ length: 10_003 }, (_, i) => `c${i}`);
  await store.commit((tx) => {
    for (const id of ids) tx.putConnection(aConnection({ id }));
    tx.putConnection(aConnection({ id: "kept" }));
  });
  const before = store.revision;
  await store.commit((tx) => {
    for (const id of ids.slice(0, 10_000)) tx.deleteConnection(id);
  });
  expect(store.floorRevision).toBe(0n);
  await store.commit((tx) => {
    for (const id of ids.slice(10_000)) tx.deleteConnection(id);
  });
  expect(store.floorRevision).toBe(before + 3n);
  const changes = store.changesSince(0n, 100_000);
  expect(changes.filter((change) => change.removed)).toHaveLength(10_000);
  expect(changes.filter((change) => !change.removed).map((change) => change.connectionId)).toEqual(["kept"]);
  expect(changes.at(-1)?.revision).toBe(store.revision);
});
