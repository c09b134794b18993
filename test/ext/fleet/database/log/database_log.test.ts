import { beforeEach, expect, onTestFinished, test } from "vitest";
import type { FleetDatabase } from "../../../../../src/ext/fleet/database/fleet_database.js";
import type { DatabaseLog } from "../../../../../src/ext/fleet/database/log/database_log.js";
import { SystemClock } from "../../../../../src/runtime/clock.js";
import { ManualClock } from "../../../../fakes/manual_clock.js";
import { aFleetBed, aProxyTo } from "../fleet_bed.js";
import { aBatch, aMember, aWrite, firstEpoch } from "../samples.js";

const bed = aFleetBed();
const proxy = aProxyTo(bed);

let database: FleetDatabase;
let log: DatabaseLog;

/** A leader behind the proxy. */
async function lead(clock: SystemClock | ManualClock = new SystemClock()): Promise<void> {
  database = await bed.connect({ url: bed.postgres.url(proxy.folder), clock, member: aMember() });
  const lease = database.lease({ address: "hub-a:7443", leaseMs: 60_000, onLost: () => undefined });
  await lease.acquire();
  log = database.leaderLog(lease.fence ?? 0n, firstEpoch);
}

async function positions(): Promise<string[]> {
  const rows = await bed.postgres.query<{ position: string }>(
    "SELECT position FROM nexus.log ORDER BY position",
  );
  return rows.map(({ position }) => position);
}

beforeEach(() => async () => await log?.close());

test("a batch whose answer was lost is found by its id, and acknowledged once", async () => {
  await lead();
  await log.append(aBatch(0n));
  proxy.loseAnswerTo("commit_1");

  expect(await log.append(aBatch(1n, [aWrite("meta", "k", "v")]))).toBe("ok");
  expect(await positions()).toEqual(["0", "1", "2"]);
  expect(await log.append(aBatch(2n))).toBe("ok");
});

test("a batch that never arrived is asked again", async () => {
  await lead();
  await log.append(aBatch(0n));
  proxy.reset();

  expect(await log.append(aBatch(1n))).toBe("ok");
  expect(await positions()).toEqual(["0", "1", "2"]);
});

test("a link that is half open is given up after three seconds, and the batch asked on a new one", async () => {
  const clock = new ManualClock(Date.now());
  const advance = async (byMs: number): Promise<void> => {
    clock.advance(byMs);
    // The deadline gives what has arrived one more turn.
    for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate);
  };
  await lead(clock);
  await log.append(aBatch(0n));
  proxy.halfOpen();
  const made = proxy.connections;
  const appended = log.append(aBatch(1n));
  await expect.poll(() => clock.pending).toBeGreaterThan(1);
  await advance(2_999);
  await advance(0);
  expect([log.waitingMs, proxy.connections]).toEqual([0, made]);
  await advance(1);
  await expect
    .poll(async () => {
      await advance(10);
      return proxy.connections;
    })
    .toBe(made + 1);
  expect(log.waitingMs).toBeLessThan(2_500);
  proxy.heal();
  let verdict: string | undefined;
  void appended.then((said) => {
    verdict = said;
  });
  await expect
    .poll(async () => {
      await advance(100);
      return verdict;
    })
    .toBe("ok");
  expect(await positions()).toEqual(["0", "1", "2"]);
});

test("whoever is fenced hears it also after an outage", async () => {
  await lead();
  await log.append(aBatch(0n));
  proxy.cut();
  const appended = log.append(aBatch(1n));
  await expect.poll(() => log.waitingMs).toBeGreaterThan(0);
  await bed.postgres.query("UPDATE nexus.lease SET owner = gen_random_uuid(), fence = fence + 1");
  proxy.heal();

  expect(await appended).toBe("fenced");
  expect(await positions()).toEqual(["0", "1"]);
});

test("closing ends a wait with an error", async () => {
  await lead();
  proxy.cut();
  const appended = log.append(aBatch(0n));
  await expect.poll(() => log.waitingMs).toBeGreaterThan(0);
  const judged = expect(appended).rejects.toThrow("was closed");
  await log.close();

  await judged;
});

test("a cancelled wait for the standbys is no acknowledgement", async () => {
  await lead();
  await log.append(aBatch(0n));
  await bed.postgres.set("synchronous_standby_names", "nobody");
  onTestFinished(() => bed.postgres.set("synchronous_standby_names", ""));
  let acknowledged = 1n;
  let isWaiting = false;
  // The server takes the setting when it comes to it: from then on the batch waits.
  const appending = (async () => {
    while (!isWaiting) {
      expect(await log.append(aBatch(acknowledged))).toBe("ok");
      acknowledged++;
    }
  })();
  const waiting =
    "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND application_name = 'nexusd commit'";
  const waits = async () => (await bed.postgres.query<{ pid: number }>(waiting)).map(({ pid }) => pid);
  await expect.poll(async () => (await waits()).length).toBe(1);
  isWaiting = true;
  const [cancelled] = await waits();
  const before = acknowledged;
  await bed.postgres.query(`SELECT pg_cancel_backend(${cancelled})`);
  // It is stored here, and asked again: which waits once more, on another connection.
  await expect.poll(waits).toEqual([expect.not.toSatisfy((pid) => pid === cancelled)]);
  expect(log.waitingMs).toBeGreaterThan(0);
  expect(acknowledged).toBe(before);
  expect((await positions()).at(-1)).toBe(String(before + 1n));
  await bed.postgres.set("synchronous_standby_names", "");
  await appending;

  expect(acknowledged).toBe(before + 1n);
  expect((await positions()).at(-1)).toBe(String(before + 1n));
});

test("a role without the right to write waits, and says what the database said", async () => {
  await lead();
  await bed.postgres.query("REVOKE INSERT ON nexus.log FROM nexus");
  const appended = log.append(aBatch(0n));
  await expect.poll(() => log.waitingMs).toBeGreaterThan(0);
  await bed.postgres.query("GRANT INSERT ON nexus.log TO nexus");

  expect(await appended).toBe("ok");
});
