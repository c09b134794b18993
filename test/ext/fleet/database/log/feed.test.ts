import { describe, expect, onTestFinished, test } from "vitest";
import { FleetDiverged, FleetOutrun } from "../../../../../src/ext/fleet/database/connection/fleet_error.js";
import type { FleetDatabase } from "../../../../../src/ext/fleet/database/fleet_database.js";
import type { DatabaseLog } from "../../../../../src/ext/fleet/database/log/database_log.js";
import { decodeFrames, encodeArray } from "../../../../../src/ext/fleet/database/log/frames.js";
import type { LogBatch, ReplicaPosition } from "../../../../../src/ext/fleet/replication/log.js";
import { ManualClock } from "../../../../fakes/manual_clock.js";
import fc from "../../../../property.js";
import { aFleetBed, aProxyTo } from "../fleet_bed.js";
import { aBatch, aWrite, firstEpoch } from "../samples.js";

const bed = aFleetBed();

const proxy = aProxyTo(bed);

async function leader(): Promise<DatabaseLog> {
  const database = await bed.connect();
  const lease = database.lease({ address: "hub-a:7443", leaseMs: 60_000, onLost: () => undefined });
  await lease.acquire();
  const log = database.leaderLog(lease.fence ?? 0n, firstEpoch);
  onTestFinished(() => log.close());
  return log;
}

/** Reads on until the test ends. */
function follow(database: FleetDatabase, after: ReplicaPosition) {
  const ending = new AbortController();
  const read: LogBatch[] = [];
  const ended = (async () => {
    for await (const batches of database.feed(after, ending.signal)) read.push(...batches);
  })();
  ended.catch(() => undefined);
  onTestFinished(async () => {
    ending.abort();
    await ended.catch(() => undefined);
  });
  return { read, ended, positions: () => read.map(({ position }) => Number(position)) };
}

const upTo = (last: number) => Array.from({ length: last }, (_, index) => index + 1);

test("a follower hears each batch in order, with its writes as they were made", async () => {
  const log = await leader();
  const first = aBatch(0n, [aWrite("meta", "k", "v"), aWrite("numbers", "gone"), aWrite("empty", "", "")]);
  await log.append(first);
  const { read, positions } = follow(await bed.connect(), bed.begin);
  await expect.poll(positions).toEqual([1]);
  await log.append(aBatch(1n));
  await expect.poll(positions).toEqual([1, 2]);

  expect(read[0]?.id).toBe(first.id);
  expect(
    read[0]?.writes.map(({ key, value, database }) => [database, String(key), value && String(value)]),
  ).toEqual([
    ["meta", "k", "v"],
    ["numbers", "gone", undefined],
    ["empty", "", ""],
  ]);
});

test("a follower gets each batch by its notification, while its clock stands still", async () => {
  const log = await leader();
  const clock = new ManualClock(Date.now());
  const { positions } = follow(await bed.connect({ clock }), bed.begin);
  for (let after = 0n; after < 5n; after++) {
    await log.append(aBatch(after));
    await expect.poll(positions).toEqual(upTo(Number(after) + 1));
  }
});

test("without a notification it looks by itself", async () => {
  const log = await leader();
  const clock = new ManualClock(Date.now());
  const { positions } = follow(await bed.connect({ clock }), bed.begin);
  await log.append(aBatch(0n));
  await expect.poll(positions).toEqual([1]);
  // As if the notification were lost: a row that nobody announces.
  await bed.postgres.query("INSERT INTO nexus.log SELECT 2, gen_random_uuid(), 1, now(), ''");
  await expect
    .poll(() => {
      clock.advance(300);
      return positions();
    })
    .toEqual([1, 2]);
});

test("more than a page comes whole", async () => {
  const { positions } = follow(await bed.connect(), bed.begin);
  await bed.postgres.query(
    "INSERT INTO nexus.log SELECT n, gen_random_uuid(), 1, now(), '' FROM generate_series(1, 1777) n; NOTIFY nexus",
  );

  await expect.poll(positions).toEqual(upTo(1777));
});

test("batches that fill more than a page of bytes come whole", async () => {
  const log = await leader();
  const value = new Uint8Array(5_000_000);
  for (let after = 0n; after < 5n; after++) {
    await log.append(aBatch(after, [{ ...aWrite("credentials", "k"), value }]));
  }
  const { read, positions } = follow(await bed.connect(), bed.begin);

  await expect.poll(positions, { timeout: 20_000 }).toEqual(upTo(5));
  expect(read.every(({ writes }) => writes[0]?.value?.length === 5_000_000)).toBe(true);
});

test("a batch that was replaced after a reconnection is diverged", async () => {
  const log = await leader();
  const follower = await bed.connect({ url: bed.postgres.url(proxy.folder) });
  const { ended, positions } = follow(follower, bed.begin);
  await log.append(aBatch(0n));
  await expect.poll(positions).toEqual([1]);
  proxy.cut();
  await bed.postgres.query("UPDATE nexus.log SET id = gen_random_uuid() WHERE position = 1");
  proxy.heal();

  await expect(ended).rejects.toThrow(FleetDiverged);
});

test("a log that ends before what a hub has is diverged", async () => {
  const { ended } = follow(await bed.connect(), { position: 3n, batchId: bed.begin.batchId });

  await expect(ended).rejects.toThrow(FleetDiverged);
});

test("a log that begins after what a hub has asks for a first copy", async () => {
  await bed.postgres.query(
    "INSERT INTO nexus.log SELECT n, gen_random_uuid(), 1, now(), '' FROM generate_series(1, 9) n; DELETE FROM nexus.log WHERE position < 5",
  );
  const { ended } = follow(await bed.connect(), bed.begin);

  await expect(ended).rejects.toThrow(FleetOutrun);
});

test("a new connection says that the hub is there before it reads", async () => {
  const database = await bed.connect();
  const { positions } = follow(database, bed.begin);
  const log = await leader();
  await log.append(aBatch(0n));
  await expect.poll(positions).toEqual([1]);

  expect(await database.members.list()).toMatchObject([{ address: "hub-a:7443", keyIds: ["k1"] }]);
  expect(database.silentMs).toBeLessThan(10_000);
});

describe("frames", () => {
  /** As PostgreSQL sends fields. */
  function frames(...fields: readonly Uint8Array[]): Buffer {
    return Buffer.concat(
      fields.flatMap((field) => {
        const length = Buffer.alloc(4);
        length.writeInt32BE(field.length);
        return [length, field];
      }),
    );
  }

  const entry = fc.record({
    database: fc.string({ unit: "grapheme", maxLength: 20 }),
    key: fc.uint8Array({ maxLength: 40 }),
    value: fc.uint8Array({ maxLength: 300 }),
  });

  test("entries come back as they were", () => {
    fc.assert(
      fc.property(fc.array(entry), (entries) => {
        const bytes = entries.map(({ database, key, value }) => frames(Buffer.from(database), key, value));
        const read = decodeFrames(Buffer.concat(bytes)).map(({ database, key, value }) => ({
          database,
          key: new Uint8Array(key),
          value: new Uint8Array(value ?? []),
        }));
        expect(read).toEqual(entries);
      }),
    );
  });

  test("bytes that end early are refused wherever they end", () => {
    const whole = frames(Buffer.from("meta"), new Uint8Array([1]), new Uint8Array([2, 3]));

    for (let length = 1; length < whole.length; length++) {
      expect(() => decodeFrames(whole.subarray(0, length))).toThrow("cut off");
    }
  });

  test.each(["-1", "-2147483648", "2147483647"])("a length of %s is refused", (length) => {
    const bytes = Buffer.alloc(16);
    bytes.writeInt32BE(Number(length));

    expect(() => decodeFrames(bytes)).toThrow("cut off");
  });

  test("PostgreSQL reads arrays as they were, of any bytes and with nulls", async () => {
    const arrays = fc.sample(fc.array(fc.option(fc.uint8Array({ maxLength: 50 }), { nil: undefined })), 30);
    for (const array of [[], ...arrays]) {
      const rows = await bed.postgres.queryWith<{ value: Buffer | null }>(
        "SELECT unnest($1::bytea[]) AS value",
        [encodeArray("bytea", array)],
      );
      expect(rows.map(({ value }) => value && new Uint8Array(value))).toEqual(
        array.map((element) => element ?? null),
      );
    }
  });
});
