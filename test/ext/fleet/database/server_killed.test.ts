import { expect, onTestFinished, test } from "vitest";
import { FleetDiverged } from "../../../../src/ext/fleet/database/connection/fleet_error.js";
import type { LogBatch } from "../../../../src/ext/fleet/replication/log.js";
import type { DatabaseServer } from "../../../fakes/database_server.js";
import { Postgres } from "../../../fakes/postgres.js";
import { TcpProxy } from "../../../fakes/tcp_proxy.js";
import { aFleetBedOn } from "./fleet_bed.js";
import { aBatch, aMember, aWrite, firstEpoch } from "./samples.js";

const bed = aFleetBedOn(() => Postgres.start());

/** A leader and a feed behind one address, which leads to the primary, whichever server that is. */
async function aFleet({ isLeaderBehind = true } = {}) {
  const proxy = await TcpProxy.postgres(bed.postgres.socketPath);
  const url = bed.postgres.url(proxy.folder);
  const leading = await bed.connect({ member: aMember(), ...(isLeaderBehind && { url }) });
  const following = await bed.connect({ url });
  const lease = leading.lease({ address: "a", leaseMs: 60_000, onLost: () => undefined });
  await lease.acquire();
  const log = leading.leaderLog(lease.fence ?? 0n, firstEpoch);
  const ending = new AbortController();
  const read: LogBatch[] = [];
  const fed = (async () => {
    for await (const batches of following.feed(bed.begin, ending.signal)) read.push(...batches);
  })();
  fed.catch(() => undefined);
  onTestFinished(async () => {
    ending.abort();
    await log.close();
    await proxy.close();
  });
  const ids = () => read.map(({ id }) => id);
  return { proxy, log, ids, positions: () => read.map(({ position }) => Number(position)), fed, following };
}

async function stored(server: DatabaseServer, column: "id" | "position" = "id"): Promise<string[]> {
  const from = column === "id" ? 1 : 0;
  const rows = await server.query<{ value: string }>(
    `SELECT ${column} AS value FROM nexus.log WHERE position >= ${from} ORDER BY position`,
  );
  return rows.map(({ value }) => value);
}

test("a batch waits while PostgreSQL is away, killed with -9, and is durable once when it is back", async () => {
  const { log } = await aFleet();
  await log.append(aBatch(0n));
  bed.postgres.kill();
  const appended = log.append(aBatch(1n, [aWrite("meta", "k", "v")]));
  await expect.poll(() => log.waitingMs).toBeGreaterThan(0);
  await bed.postgres.start();

  expect(await appended).toBe("ok");
  expect(log.waitingMs).toBe(0);
  expect(await stored(bed.postgres, "position")).toEqual(["0", "1", "2"]);
});

test("a cut, a server that was killed, and a link half open leave no gap", async () => {
  const { proxy, log, positions } = await aFleet({ isLeaderBehind: false });
  await log.append(aBatch(0n));
  await expect.poll(positions).toEqual([1]);
  proxy.cut();
  await log.append(aBatch(1n));
  proxy.heal();
  await expect.poll(positions).toEqual([1, 2]);
  bed.postgres.kill();
  await bed.postgres.start();
  await log.append(aBatch(2n));
  await expect.poll(positions).toEqual([1, 2, 3]);
  proxy.halfOpen();
  await log.append(aBatch(3n));
  proxy.heal();

  await expect.poll(positions).toEqual([1, 2, 3, 4]);
});

test("a synchronous standby that is promoted has every batch that was acknowledged; then one without them is diverged", {
  timeout: 120_000,
}, async () => {
  const standby = await bed.postgres.standby({ name: "sync" });
  onTestFinished(() => standby.close());
  await bed.postgres.set("synchronous_standby_names", "sync");
  const { proxy, log, ids, fed, following } = await aFleet();
  const acknowledged: string[] = [];
  for (let after = 0n; after < 20n; after++) {
    const batch = aBatch(after, [aWrite("meta", "k", String(after))]);
    expect(await log.append(batch)).toBe("ok");
    acknowledged.push(batch.id);
  }
  // One is under way when the primary dies.
  const last = aBatch(20n);
  const appended = log.append(last);
  bed.postgres.kill();
  await standby.promote();
  const lossy = await standby.standby({ name: "late" });
  onTestFinished(() => lossy.close());
  proxy.target = standby.socketPath;
  proxy.reset();
  expect(await appended).toBe("ok");
  expect(await stored(standby)).toEqual([...acknowledged, last.id]);
  await expect.poll(ids, { timeout: 20_000 }).toEqual([...acknowledged, last.id]);

  // An asynchronous standby misses what the feed has brought: its link is cut before.
  await expect.poll(() => stored(lossy)).toEqual([...acknowledged, last.id]);
  await lossy.set("primary_conninfo", "");
  await expect.poll(() => lossy.query("SELECT 1 FROM pg_stat_wal_receiver")).toEqual([]);
  const lost = aBatch(21n);
  expect(await log.append(lost)).toBe("ok");
  await expect.poll(() => ids().at(-1)).toBe(lost.id);
  standby.kill();
  await lossy.promote();
  proxy.target = lossy.socketPath;
  proxy.reset();
  const next = await log.append(aBatch(22n));

  expect(next).toBe("diverged");
  await expect(fed).rejects.toThrow(FleetDiverged);
  expect((await following.judge({ position: 22n, batchId: lost.id })).history).toBe("diverged");
});
