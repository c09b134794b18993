import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Connection } from "../../../src/model/connections/connection.js";
import type { Store } from "../../../src/store/store.js";
import { aConnection, nowMs } from "../../samples.js";
import { openStore } from "../temporary_store.js";

const name = { providerId: "p1", userId: "ada", label: "" };

describe("connections by their names", () => {
  let store: Store;
  beforeEach(() => {
    store = openStore();
  });
  afterEach(() => store.close());
  const put = (id: string, changes: Partial<Connection> = {}): Promise<void> =>
    store.commit((tx) => tx.putConnection(aConnection({ id, userId: "ada", ...changes })));
  const ids = (of = name): string[] => [...store.idsNamed(of)];

  it("are found by provider, user and label together, and by nothing less", async () => {
    await put("c1");
    await put("c2", { label: "work" });
    await put("c3", { userId: "bob" });
    await put("c4", { providerId: "p2" });
    expect(ids()).toEqual(["c1"]);
    expect(ids({ ...name, label: "work" })).toEqual(["c2"]);
    expect(ids({ ...name, userId: 'ada","' })).toEqual([]);
    expect(ids({ ...name, label: "home" })).toEqual([]);
  });

  it("stand in the order in which a name is theirs, which follows each change", async () => {
    await put("older", { createdAtMs: nowMs });
    await put("newer", { createdAtMs: nowMs + 1 });
    expect(ids()).toEqual(["older", "newer"]);
    await put("newer", { createdAtMs: nowMs + 1, status: "active" });
    expect(ids()).toEqual(["newer", "older"]);
    await put("older", { createdAtMs: nowMs, status: "active" });
    expect(ids()).toEqual(["older", "newer"]);
    await put("older", { createdAtMs: nowMs, status: "attention" });
    expect(ids()).toEqual(["newer", "older"]);
    await put("waits", { createdAtMs: nowMs - 1 });
    await put("lost", { createdAtMs: nowMs - 2, status: "failed" });
    await put("late", { createdAtMs: nowMs - 1, status: "expired" });
    await put("gone", { createdAtMs: nowMs + 9, status: "revoked" });
    expect(ids()).toEqual(["newer", "older", "waits", "late", "lost", "gone"]);
  });

  it("lose the name with the record, with another label and with another provider", async () => {
    await put("c1");
    await put("c1", { label: "work" });
    expect(ids()).toEqual([]);
    expect(ids({ ...name, label: "work" })).toEqual(["c1"]);
    await put("c1", { label: "work", providerId: "p2" });
    expect(ids({ ...name, label: "work" })).toEqual([]);
    await store.commit((tx) => tx.deleteConnection("c1"));
    expect(ids({ ...name, providerId: "p2", label: "work" })).toEqual([]);
  });

  it("are found with any text as user id, however long", async () => {
    for (const userId of ["", "\u0000", "🙂".repeat(256), "a/b", "ада"]) {
      await put(`c ${userId.length}`, { userId });
      expect(ids({ ...name, userId })).toEqual([`c ${userId.length}`]);
    }
  });

  it("are listed by the beginning of their ids, in pages", async () => {
    for (const id of ["aa11", "ab11", "ab22", "ab33", "b000"]) await put(id);
    const page = (options: object): string[] =>
      store.listConnections({ limit: 10, ...options }).map(({ id }) => id);
    expect(page({ idPrefix: "ab" })).toEqual(["ab11", "ab22", "ab33"]);
    expect(page({ idPrefix: "ab", limit: 2 })).toEqual(["ab11", "ab22"]);
    expect(page({ idPrefix: "ab", afterId: "ab22" })).toEqual(["ab33"]);
    expect(page({ idPrefix: "ab", providerId: "p1", afterId: "ab11" })).toEqual(["ab22", "ab33"]);
    expect(page({ idPrefix: "ab22" })).toEqual(["ab22"]);
    expect(page({ idPrefix: "ab", afterId: "b000" })).toEqual([]);
    expect(page({ idPrefix: "ab", providerId: "p2" })).toEqual([]);
    expect(page({ idPrefix: "c" })).toEqual([]);
  });
});
