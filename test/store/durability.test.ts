import { statSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { connectionStatuses } from "../../src/model/connections/connection.js";
import { lockDataFolder } from "../../src/store/files/data_folder.js";
import { checkStoreFile } from "../../src/store/lmdb/file_check.js";
import { DataFolderInUse } from "../../src/store/lmdb/store_error.js";
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

test("a file that a killed process leaves passes", async () => {
  const folder = temporaryFolder();
  for (const lines of [1, 30]) {
    const child = startChild("commit_for_ever", [folder]);
    for (let i = 0; i < lines; i++) await child.nextLine();
    await child.kill();
    checkStoreFile(join(folder, storeFileName));
  }
});

test("an event and its change are in one commit: after kill -9 there are both or neither, and the chain holds", async () => {
  const folder = temporaryFolder();
  let next = 1;
  for (const lines of [3, 40, 120]) {
    const child = startChild("audit_for_ever", [folder, String(next)]);
    let acknowledged = 0;
    for (let i = 0; i < lines; i++) acknowledged = Number(await child.nextLine());
    await child.kill();
    const store = Store.open({ folder, nowMs });
    const newest = store.getConnection("c1")?.failedRefreshes ?? 0;
    expect(newest).toBeGreaterThanOrEqual(acknowledged);
    const verdict = store.verifyAudit().step(100_000);
    expect(verdict).toMatchObject({ checked: BigInt(newest), violation: undefined });
    const reasons = store.listAuditEvents({ limit: 2 }).events.map(({ event }) => event.reason);
    expect(reasons[0]).toBe(`change ${newest}`);
    await store.close();
    next = newest + 1;
  }
});

test("one process holds a data folder at a time; its death by kill -9 frees it", async () => {
  const folder = temporaryFolder();
  const holder = startChild("hold_folder", [folder]);
  expect(await holder.nextLine()).toBe("held");
  const refusal = `the data folder ${folder} is in use by process ${holder.pid}`;
  expect(() => lockDataFolder(folder)).toThrow(DataFolderInUse);
  expect(() => lockDataFolder(folder)).toThrow(refusal);
  const second = startChild("hold_folder", [folder]);
  expect(await second.nextLine()).toContain(refusal);
  await holder.kill();
  const lock = lockDataFolder(folder);
  expect(() => lockDataFolder(folder)).toThrow(`process ${process.pid}`);
  lock.release();
  lock.release();
  lockDataFolder(folder).release();
});
