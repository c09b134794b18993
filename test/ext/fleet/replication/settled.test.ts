import { expect, test } from "vitest";
import type { ReplicaStore } from "../../../../src/ext/fleet/replication/replica_store.js";
import { StoreFailed } from "../../../../src/store/lmdb/store_error.js";
import { nowMs } from "../../../samples.js";
import { Fleet } from "./fleet.js";

test("a replica that is ended writes nothing more, into neither of its files", async () => {
  const fleet = await Fleet.make(1);
  const [leader, follower] = fleet.stores as [ReplicaStore, ReplicaStore];
  const event = { timeMs: nowMs, type: "token_retrieved", principal: "p" } as const;
  const record = (store: ReplicaStore) => store.record((tx) => tx.appendAudit(event));
  await leader.commit((tx) => tx.appendAudit(event));
  await record(follower);
  const begun = record(follower);
  for (const store of fleet.stores) store.end();
  await begun;
  for (const store of fleet.stores) {
    await expect(record(store)).rejects.toThrow(StoreFailed);
    await expect(store.commit((tx) => tx.appendAudit(event))).rejects.toThrow(StoreFailed);
    await store.settled();
  }
  await expect(fleet.feed()).rejects.toThrow(StoreFailed);
  await expect(follower.outbox?.drop(1n)).rejects.toThrow("takes nothing more");
  expect(follower.outbox?.count).toBe(2);
  expect(follower.position?.position).toBe(0n);
});
