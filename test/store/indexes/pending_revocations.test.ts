import { expect, it } from "vitest";
import { nothing } from "../../../src/store/lmdb/databases.js";
import type { Table } from "../../../src/store/lmdb/table.js";
import type { Store } from "../../../src/store/store.js";
import { nowMs, sealed } from "../../samples.js";
import { openStore } from "../temporary_store.js";

const revocation = {
  id: "r",
  connectionId: "c",
  providerId: "p",
  revision: 1n,
  tokenTypeHint: "refresh_token" as const,
  attempts: 0,
  createdAtMs: nowMs,
  nextAttemptMs: nowMs,
  sealed: { ...sealed("x"), keyId: "a" },
};
const due = [{ id: "r", providerId: "p", nextAttemptMs: nowMs }];

/** As versions before 1.0 wrote it. */
async function putInFirstForm(store: Store): Promise<void> {
  await store.commit((tx) => {
    tx.revocations.put(revocation);
    tx.raw(({ revocationsDue }) => {
      revocationsDue.removeSync(["p", nowMs, "r"]);
      (revocationsDue as unknown as Table<[number, string]>).putSync([nowMs, "r"], nothing);
    });
  });
}

it("finds what a version before 1.0 queued, beside what this one does", async () => {
  const store = openStore();
  await putInFirstForm(store);
  expect(store.revocations.due(10)).toEqual(due);
  const other = { ...revocation, id: "s", providerId: "q" };
  await store.commit((tx) => tx.revocations.put(other));
  expect(store.revocations.due(10)).toEqual([...due, { ...due[0], id: "s", providerId: "q" }]);
});

it("queues it once after its next attempt, and not at all when it is done", async () => {
  const store = openStore();
  await putInFirstForm(store);
  await store.commit((tx) => tx.revocations.put({ ...revocation, nextAttemptMs: nowMs + 1 }));
  expect(store.revocations.due(10)).toEqual([{ ...due[0], nextAttemptMs: nowMs + 1 }]);
  await putInFirstForm(store);
  await store.commit((tx) => tx.revocations.delete("r"));
  expect(store.revocations.due(10)).toEqual([]);
});
