import { expect, onTestFinished, test } from "vitest";
import { FleetDiverged } from "../../../../src/ext/fleet/database/connection/fleet_error.js";
import type { Postgres } from "../../../fakes/postgres.js";
import { TcpProxy } from "../../../fakes/tcp_proxy.js";
import { aFleetBed } from "./fleet_bed.js";
import { aBatch, aMember, aWrite, firstEpoch } from "./samples.js";

const bed = aFleetBed();

/** A leader and a feed behind one address, which leads to the primary, whichever server that is. */
async function aFleet() {
  const proxy = await TcpProxy.postgres(bed.postgres.socketPath);
  const url = bed.postgres.url(proxy.folder);
  const [leading, following] = [await bed.connect({ url, member: aMember() }), await bed.connect({ url })];
  const lease = leading.lease({ address: "a", leaseMs: 60_000, onLost: () => undefined });
  await lease.acquire();
  const log = leading.leaderLog(lease.fence ?? 0n, firstEpoch);
  const ending = new AbortController();
  const read: string[] = [];
  const fed = (async () => {
    for await (const batches of following.feed(bed.begin, ending.signal))
      read.push(...batches.map(({ id }) => id));
  })();
  fed.catch(() => undefined);
  onTestFinished(async () => {
    ending.abort();
    await log.close();
    await proxy.close();
  });
  return { proxy, log, read, fed, following };
}

async function stored(server: Postgres): Promise<string[]> {
  const rows = await server.query<{ id: string }>(
    "SELECT id FROM nexus.log WHERE position > 0 ORDER BY position",
  );
  return rows.map(({ id }) => id);
}

test("a synchronous standby that is promoted has every batch that was acknowledged; then one without them is diverged", {
  timeout: 120_000,
}, async () => {
  const standby = await bed.postgres.standby({ name: "sync" });
  onTestFinished(() => standby.close());
  await bed.postgres.set("synchronous_standby_names", "sync");
  const { proxy, log, read, fed, following } = await aFleet();
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
  await expect.poll(() => read, { timeout: 20_000 }).toEqual([...acknowledged, last.id]);

  // An asynchronous standby misses what the feed has brought: its link is cut before.
  await expect.poll(() => stored(lossy)).toEqual([...acknowledged, last.id]);
  await lossy.set("primary_conninfo", "");
  await expect.poll(() => lossy.query("SELECT 1 FROM pg_stat_wal_receiver")).toEqual([]);
  const lost = aBatch(21n);
  expect(await log.append(lost)).toBe("ok");
  await expect.poll(() => read.at(-1)).toBe(lost.id);
  standby.kill();
  await lossy.promote();
  proxy.target = lossy.socketPath;
  proxy.reset();
  const next = await log.append(aBatch(22n));

  expect(next).toBe("diverged");
  await expect(fed).rejects.toThrow(FleetDiverged);
  expect((await following.judge({ position: 22n, batchId: lost.id })).history).toBe("diverged");
});
