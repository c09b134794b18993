import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, onTestFinished, test, vi } from "vitest";
import { Connector } from "../../../../src/ext/fleet/database/connection/connector.js";
import { type Layout, layout } from "../../../../src/ext/fleet/database/connection/layouts.js";
import type { Member } from "../../../../src/ext/fleet/database/members.js";
import { type MigrationOptions, migrate } from "../../../../src/ext/fleet/database/migrations.js";
import { SystemClock } from "../../../../src/runtime/clock.js";
import { ManualClock } from "../../../fakes/manual_clock.js";
import { temporaryFolder } from "../../../temporary_folder.js";
import { nextLayouts } from "../upgrade/next_layout.js";
import { aFleetBed } from "./fleet_bed.js";
import { aBatch, aMember, firstEpoch } from "./samples.js";

const bed = aFleetBed();
/** What a version does that knows one layout more. */
const next = (more: MigrationOptions = {}) =>
  migrate(new Connector(bed.postgres.url(), new SystemClock()), { steps: nextLayouts, ...more });
const own = (more: MigrationOptions = {}) =>
  migrate(new Connector(bed.postgres.url(), new SystemClock()), more);
const [first, expanded, contracted] = [
  { layout, minLayout: layout },
  { layout: layout + 1, minLayout: layout },
  { layout: layout + 1, minLayout: layout + 1 },
];

/** A hub of this version. */
async function aHub(change: Partial<Member> = {}, onLost = () => {}) {
  const clock = new ManualClock(Date.now());
  const member = aMember(change);
  const database = await bed.connect({ member, clock });
  await database.members.heartbeat(member);
  const lease = database.lease({ address: member.address, leaseMs: 60_000, onLost });
  return { database, lease, member, clock };
}

async function aLeader(change: Partial<Member> = {}, onLost = () => {}) {
  const hub = await aHub(change, onLost);
  expect(await hub.lease.acquire()).toBe(true);
  const log = hub.database.leaderLog(hub.lease.fence ?? 0n, firstEpoch);
  onTestFinished(() => log.close());
  return { ...hub, log };
}

/** It was not heard of for so long that it is taken for gone. */
async function silence({ owner }: Member): Promise<void> {
  await bed.postgres.queryWith(
    "UPDATE nexus.member SET seen_at = seen_at - interval '1 minute' WHERE owner = $1",
    [owner],
  );
}

/** A hub of the next layout says that it is there. */
async function aNextHub(address: string): Promise<void> {
  await bed.postgres.queryWith(
    `SELECT nexus.heartbeat_2(gen_random_uuid(), $1, '0.2.0', ${layout + 1}, '{}', 0, 'west')`,
    [address],
  );
}

/** Everything in the schema but what tests put into the tables. */
async function shape(): Promise<unknown> {
  return [
    await bed.postgres.query(
      "SELECT table_name, column_name, data_type, is_nullable, column_default FROM information_schema.columns WHERE table_schema = 'nexus' ORDER BY 1, 2",
    ),
    await bed.postgres.query(
      "SELECT proname, pg_get_functiondef(oid) AS text FROM pg_proc WHERE pronamespace = 'nexus'::regnamespace ORDER BY 2",
    ),
    await bed.postgres.query("SELECT * FROM nexus.layout"),
  ];
}

test("an expanded fleet goes on with older hubs, those that are connected and those that come", async () => {
  const { log, database } = await aLeader();
  expect(await log.append(aBatch(0n))).toBe("ok");
  const [, migration] = await Promise.all([log.append(aBatch(1n)), next()]);
  expect(migration).toEqual({ from: first, to: expanded });
  expect(await log.append(aBatch(2n))).toBe("ok");

  expect((await database.judge()).tables).toEqual(expanded);
  const { database: other, lease } = await aHub();
  expect(other.verdict).toMatchObject({ newest: 3n, tables: expanded });
  expect(await lease.acquire(), "while another leads").toBe(false);
});

test("done again, nothing changes, and an older version changes nothing", async () => {
  await next();
  const before = await shape();
  expect(await next()).toEqual({ from: expanded, to: expanded });
  await expect(own()).rejects.toThrow(
    `of layout ${layout + 1}, and this nexusd knows layout ${layout}: run this command of a newer`,
  );
  expect(await shape()).toEqual(before);
  expect(await next({ contract: true })).toEqual({ from: expanded, to: contracted });
  const after = await shape();
  expect(await next({ contract: true })).toEqual({ from: contracted, to: contracted });
  expect(await next()).toEqual({ from: contracted, to: contracted });
  await expect(own({ contract: true })).rejects.toMatchObject({ reason: "new_layout" });
  expect(await shape()).toEqual(after);
});

test("of many at once each finds the tables whole", async () => {
  const made = await Promise.all(
    Array.from({ length: 6 }, (_, index) => next({ contract: index % 2 === 0 })),
  );

  expect(made.filter(({ from }) => from.layout === layout)).toHaveLength(1);
  expect((await bed.postgres.query("SELECT layout, min_layout FROM nexus.layout"))[0]).toEqual({
    layout: layout + 1,
    min_layout: layout + 1,
  });
});

test("it does not contract while an older hub is there, and names that", async () => {
  const { member } = await aHub({ address: "hub-b:7443", version: "0.1.7" });
  const before = await shape();
  await expect(next({ contract: true })).rejects.toMatchObject({
    reason: "old_hubs",
    message: expect.stringContaining(`hub-b:7443 (layout ${layout}, version 0.1.7)`),
  });
  expect(await shape(), "not expanded either").toEqual(before);
  await next();
  await expect(next({ contract: true })).rejects.toMatchObject({ reason: "old_hubs" });
  await silence(member);

  expect(await next({ contract: true })).toEqual({ from: expanded, to: contracted });
});

test("a hub that was replaced at its address is there no more", async () => {
  await aHub({ address: "hub-b:7443" });
  await next();
  await aNextHub("hub-b:7443");

  expect(await next({ contract: true })).toEqual({ from: expanded, to: contracted });
});

test("a leader of the new layout keeps its lease when it contracts", async () => {
  const { log, member } = await aLeader();
  await log.append(aBatch(0n));
  await next();
  await bed.postgres.queryWith("UPDATE nexus.member SET layout = $2 WHERE owner = $1", [
    member.owner,
    layout + 1,
  ]);
  await next({ contract: true });

  expect(await bed.postgres.query("SELECT owner, fence FROM nexus.lease")).toEqual([
    { owner: member.owner, fence: "1" },
  ]);
});

test("an older leader that was stopped meanwhile writes no more, and leads no more", async () => {
  const onLost = vi.fn();
  const { lease, database, log, member, clock } = await aLeader({}, onLost);
  await log.append(aBatch(0n));
  await silence(member);
  await next({ contract: true });
  const [answer] = await bed.postgres.queryWith<{ verdict: string }>(
    "SELECT nexus.commit_2($1, $2, $3, gen_random_uuid(), 1, '', 'late') AS verdict",
    [member.owner, "1", firstEpoch],
  );
  expect(answer?.verdict).toBe("fenced");
  clock.advance(12_000);
  await expect.poll(() => onLost.mock.calls.length).toBe(1);
  expect(lease.isSafeToSend()).toBe(false);
  const again = database.lease({ address: member.address, onLost: () => {} });
  expect(await again.acquire(), "though nobody else leads").toBe(false);
});

test("an older follower that was stopped meanwhile reads nothing of what is written from then on", async () => {
  const { log, member } = await aLeader();
  await log.append(aBatch(0n));
  const follower = await bed.connect({ member });
  const read: bigint[] = [];
  const followed = (async () => {
    for await (const batches of follower.feed(bed.begin, new AbortController().signal))
      read.push(...batches.map(({ position }) => position));
  })();
  followed.catch(() => undefined);
  await expect.poll(() => read).toEqual([1n]);
  await silence(member);
  await next({ contract: true });
  await bed.postgres.query("INSERT INTO nexus.log VALUES (2, gen_random_uuid(), 1, now(), '', 'new')");
  await bed.postgres.query("NOTIFY nexus");

  await expect(followed).rejects.toMatchObject({
    reason: "new_layout",
    message: `the fleet takes hubs of layout ${layout + 1} or newer, and this nexusd knows layout ${layout}: start a newer version`,
  });
  expect(read).toEqual([1n]);
  await expect(follower.judge()).rejects.toMatchObject({ reason: "new_layout" });
  await expect(bed.connect()).rejects.toMatchObject({ reason: "new_layout" });
});

test("a table that is in use is waited for, and commits do not wait for the migration meanwhile", async () => {
  const { log } = await aLeader();
  const dump = await bed.postgres.client();
  onTestFinished(() => dump.end());
  await dump.query("BEGIN; LOCK TABLE nexus.log IN ACCESS SHARE MODE");
  const migrated = next();
  const waits =
    "SELECT 1 FROM pg_stat_activity WHERE application_name = 'nexusd migrate' AND wait_event_type = 'Lock'";
  await expect.poll(async () => (await bed.postgres.query(waits)).length).toBe(1);
  // It has given way by then.
  expect(await log.append(aBatch(0n))).toBe("ok");
  expect(await bed.postgres.query("SELECT layout FROM nexus.layout")).toEqual([{ layout }]);
  await dump.query("COMMIT");

  expect(await migrated).toEqual({ from: first, to: expanded });
}, 60_000);

test("a step that fails leaves everything as it was", async () => {
  const broken = join(temporaryFolder(), "broken.sql");
  writeFileSync(broken, "CREATE TABLE nexus.half (); SELECT 1 / 0");
  const before = await shape();
  const steps: readonly Layout[] = [...nextLayouts, { expand: [pathToFileURL(broken).href], contract: [] }];
  await expect(next({ steps })).rejects.toThrow("division by zero");

  expect(await shape()).toEqual(before);
});

test("every order of the parts leads to the same tables", async () => {
  const more = join(temporaryFolder(), "more.sql");
  writeFileSync(more, "ALTER TABLE nexus.spool ADD COLUMN zone text");
  const steps: readonly Layout[] = [...nextLayouts, { expand: [pathToFileURL(more).href], contract: [] }];
  await next({ contract: true });
  await next({ steps, contract: true });
  const each = await shape();
  await bed.reset();
  expect(await next({ steps })).toMatchObject({ to: { layout: layout + 2, minLayout: layout } });
  await next({ steps, contract: true });
  expect(await shape()).toEqual(each);
  await bed.postgres.query("DROP SCHEMA nexus CASCADE");
  expect(await next({ steps }), "nobody knows less").toMatchObject({
    to: { layout: layout + 2, minLayout: layout + 2 },
  });

  expect(await shape()).toEqual(each);
});
