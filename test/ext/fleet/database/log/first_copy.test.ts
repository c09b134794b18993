import { randomBytes, randomInt } from "node:crypto";
import { expect, onTestFinished, test } from "vitest";
import { Channel } from "../../../../../src/ext/fleet/database/connection/channel.js";
import { Connector } from "../../../../../src/ext/fleet/database/connection/connector.js";
import { FleetOutrun } from "../../../../../src/ext/fleet/database/connection/fleet_error.js";
import type { FleetDatabase } from "../../../../../src/ext/fleet/database/fleet_database.js";
import { ImageKeeper } from "../../../../../src/ext/fleet/database/log/image.js";
import type { RawWrite } from "../../../../../src/ext/fleet/replication/log.js";
import { SystemClock } from "../../../../../src/runtime/clock.js";
import { silentLog } from "../../../../silent_log.js";
import { aFleetBed } from "../fleet_bed.js";
import { aBatch, aMember, aWrite, firstEpoch } from "../samples.js";

const bed = aFleetBed();

type Image = Map<string, string>;

function put(image: Image, writes: readonly RawWrite[]): void {
  for (const { database, key, value } of writes) {
    const name = `${database}:${Buffer.from(key).toString("hex")}`;
    if (value === undefined) image.delete(name);
    else image.set(name, Buffer.from(value).toString("hex"));
  }
}

async function copied(database: FleetDatabase): Promise<{ image: Image; position: bigint; batchId: string }> {
  const copy = database.firstCopy();
  const image: Image = new Map();
  for await (const writes of copy.entries) put(image, writes);
  return { image, ...copy.position };
}

async function leading(keep?: { readonly ms: number; readonly batches: number }) {
  const member = aMember();
  const database = await bed.connect({ member });
  const lease = database.lease({ address: "hub-a:7443", leaseMs: 60_000, onLost: () => undefined });
  await lease.acquire();
  const fence = lease.fence ?? 0n;
  const log = database.leaderLog(fence, firstEpoch);
  const channel = new Channel(new Connector(bed.postgres.url(), new SystemClock()), "members");
  const keeper = new ImageKeeper({
    channel,
    owner: member.owner,
    fence,
    log: silentLog,
    ...(keep && { keep }),
  });
  onTestFinished(async () => {
    await log.close();
    await channel.close();
  });
  return { database, log, keeper };
}

/** Few keys, so that most writes meet others; removals, empty keys and values, bytes of all kinds. */
function someWrites(): RawWrite[] {
  const writes = new Map<string, RawWrite>();
  for (let count = randomInt(0, 12); count > 0; count--) {
    const database = ["meta", "connections", "due", "Ünïcode"][randomInt(4)] ?? "meta";
    const key = new Uint8Array(randomInt(5) === 0 ? [] : [randomInt(256), randomInt(3)]);
    const value = randomInt(3) === 0 ? undefined : new Uint8Array(randomBytes(randomInt(40)));
    writes.set(`${database}:${key}`, { database, key, value });
  }
  return [...writes.values()];
}

test("a copy is the store at its position, while batches come and the image moves", async () => {
  const { database, log, keeper } = await leading();
  const images: Image[] = [new Map()];
  const ids: string[] = [bed.begin.batchId];
  let isWriting = true;
  const writing = (async () => {
    for (let after = 0n; isWriting; after++) {
      const batch = aBatch(after, someWrites());
      const image = new Map(images.at(-1));
      put(image, batch.writes);
      images.push(image);
      ids.push(batch.id);
      expect(await log.append(batch)).toBe("ok");
      if (randomInt(10) === 0) await keeper.fold();
    }
  })();
  for (let copies = 0; copies < 25; copies++) {
    const copy = await copied(database);
    const at = Number(copy.position);
    expect(copy.batchId).toBe(ids[at]);
    expect(copy.image).toEqual(images[at]);
  }
  isWriting = false;
  await writing;
});

test("what a folder held at the beginning is copied, in pages", async () => {
  const entries = Array.from({ length: 12_345 }, (_, index) =>
    aWrite("connections", `key ${index}`, `value ${index}`),
  );
  await bed.reset([entries.slice(0, 7_000), entries.slice(7_000)]);
  const copy = await copied(await bed.connect());

  expect(copy.image.size).toBe(12_345);
  expect({ position: copy.position, batchId: copy.batchId }).toEqual(bed.begin);
});

test("entries that fill pages of bytes are copied", async () => {
  const entries = Array.from({ length: 9 }, (_, index) => ({
    ...aWrite("credentials", `key ${index}`),
    value: new Uint8Array(1_500_000).fill(index),
  }));
  await bed.reset([entries]);
  const copy = await copied(await bed.connect());

  expect([...copy.image.values()].map((value) => value.length)).toEqual(Array(9).fill(3_000_000));
});

test("a batch of many writes goes into the image in pieces, and moves it once", async () => {
  const { database, log, keeper } = await leading();
  const writes = Array.from({ length: 7_001 }, (_, index) => aWrite("connections", `key ${index}`, "v"));
  await log.append(aBatch(0n, writes));
  await log.append(
    aBatch(
      1n,
      writes.slice(0, 5_000).map(({ database: name, key }) => ({ database: name, key, value: undefined })),
    ),
  );
  expect(await keeper.fold()).toBe("ok");
  const [row] = await bed.postgres.query<{ position: string; entries: string }>(
    "SELECT position, (SELECT count(*) FROM nexus.entry) AS entries FROM nexus.image",
  );

  expect(row).toEqual({ position: "2", entries: "2001" });
  expect((await copied(database)).image.size).toBe(2_001);
});

test("the log keeps what is young, what is not in the image, and the newest batches", async () => {
  const { database, log, keeper } = await leading({ ms: 60_000, batches: 3 });
  const left = async () =>
    (await bed.postgres.query<{ position: string }>("SELECT position FROM nexus.log ORDER BY position")).map(
      ({ position }) => position,
    );
  for (let after = 0n; after < 6n; after++) await log.append(aBatch(after));
  await keeper.fold();
  await keeper.upkeep();
  expect(await left(), "young").toEqual(["0", "1", "2", "3", "4", "5", "6"]);
  await bed.postgres.query("UPDATE nexus.log SET at = at - interval '2 minutes'");
  await log.append(aBatch(6n));
  await bed.postgres.query("UPDATE nexus.image SET position = 2");
  await keeper.upkeep();
  expect(await left(), "not in the image").toEqual(["3", "4", "5", "6", "7"]);
  await keeper.fold();
  await keeper.upkeep();
  expect(await left(), "the newest").toEqual(["5", "6", "7"]);

  const ended = (async () => {
    for await (const _ of database.feed(bed.begin, new AbortController().signal));
  })();
  await expect(ended).rejects.toThrow(FleetOutrun);
});

test("who does not lead any more leaves image and log as they are", async () => {
  const { log, keeper } = await leading({ ms: 0, batches: 1 });
  await log.append(aBatch(0n, [aWrite("meta", "k", "v")]));
  await bed.postgres.query("UPDATE nexus.lease SET fence = fence + 1");

  expect(await keeper.fold()).toBe("fenced");
  await keeper.upkeep();
  expect(await bed.postgres.query("SELECT * FROM nexus.entry")).toEqual([]);
  expect(await bed.postgres.query("SELECT * FROM nexus.log")).toHaveLength(2);
});
