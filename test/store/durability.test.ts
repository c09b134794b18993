import { statSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { connectionStatuses } from "../../src/model/connections/connection.js";
import { lockDataFolder } from "../../src/store/files/data_folder.js";
import { Store, storeFileName } from "../../src/store/store.js";
import { nowMs } from "../samples.js";
import { temporaryFolder } from "../temporary_folder.js";
import { startChild } from "./child.js";

/** Indexes and counters against a full scan. */
function expectConsistent(store: Store): void {
  const all = store.listConnections({ limit: 1000 });
  const counts = store.countByStatus();
  for (const status of connectionStatuses) {
    expect(counts[status]).toBe(all.filter((c) => c.status === status).length);
  }
  expect(store.countConnections("p1")).toBe(all.length);
  expect(store.listConnections({ limit: 1000, providerId: "p1" })).toEqual(all);
  expect(store.due(Number.MAX_SAFE_INTEGER, 1000)).toEqual(
    all
      .map((c) => ({ connectionId: c.id, dueAtMs: c.dueAtMs }))
      .sort((a, b) => (a.dueAtMs ?? 0) - (b.dueAtMs ?? 0)),
  );
  const present = store.changesSince(0n, 100_000).filter((change) => !change.removed);
  expect(present.map((change) => change.connectionId).sort()).toEqual(all.map((c) => c.id).sort());
}

test("what was acknowledged is there after kill -9, whole, time after time", async () => {
  const folder = temporaryFolder();
  let next = 1;
  for (const lines of [1, 2, 40, 150]) {
    const child = startChild("commit_for_ever", [folder, String(next)]);
    let acknowledged = 0;
    for (let i = 0; i < lines; i++) acknowledged = Number(await child.nextLine());
    await child.kill();
    for (let line = await child.nextLine(); line !== undefined; line = await child.nextLine()) {
      acknowledged = Number(line);
    }
    expect(acknowledged).toBeGreaterThanOrEqual(next);
    const lock = lockDataFolder(folder);
    const store = Store.open({ folder, nowMs });
    const stored = store.getConnection(`c${acknowledged % 50}`)?.failedRefreshes ?? 0;
    expect(stored).toBeGreaterThanOrEqual(acknowledged);
    const newest = Math.max(...store.listConnections({ limit: 1000 }).map((c) => c.failedRefreshes));
    expect(newest - acknowledged).toBeLessThanOrEqual(1);
    expect(store.getCredential(`c${newest % 50}`)?.revision).toBe(BigInt(newest));
    expectConsistent(store);
    await store.close();
    lock.release();
    next = newest + 1;
  }
});

test("a commit that cannot be written is fatal: nothing is acknowledged any more, and the file stays whole", async () => {
  const folder = temporaryFolder();
  const child = startChild("commit_until_failure", [folder], "trap '' XFSZ; ulimit -f 2000");
  const report = JSON.parse((await child.nextLine()) ?? "{}");
  expect(report.acknowledged).toBeGreaterThan(2);
  expect(report.errors).toHaveLength(3);
  for (const error of report.errors)
    expect(error).toMatch(/^StoreFailed Error: (File too large|Input\/output error)/);
  expect(report.fatal).toHaveLength(1);
  expect(report.readable).toBe(true);
  expect(report.unhandled).toEqual([]);
  await child.kill();
  const store = Store.open({ folder, nowMs });
  expect(store.getCredential(`c${report.acknowledged}`)).toBeDefined();
  expect(store.getCredential(`c${report.acknowledged + 1}`)).toBeUndefined();
  expect(store.getCredential("c5000")).toBeUndefined();
  await store.commit((tx) => tx.deleteCredential(`c${report.acknowledged}`));
  await store.close();
});

test("the files are for their owner only", async () => {
  const folder = temporaryFolder();
  const store = Store.open({ folder, nowMs });
  for (const name of [storeFileName, `${storeFileName}-lock`]) {
    expect(statSync(join(folder, name)).mode & 0o777).toBe(0o600);
  }
  await store.close();
});
