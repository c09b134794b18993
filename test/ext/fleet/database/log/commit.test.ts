import { randomUUID } from "node:crypto";
import { beforeEach, expect, test } from "vitest";
import { layout } from "../../../../../src/ext/fleet/database/connection/layouts.js";
import { aFleetBed } from "../fleet_bed.js";
import { firstEpoch } from "../samples.js";

const bed = aFleetBed();
const owner = "11111111-1111-4111-8111-111111111111";
const other = "22222222-2222-4222-8222-222222222222";
const id = "33333333-3333-4333-8333-333333333333";

/** SQL literals of a call, in the order of the arguments. */
async function call(name: string, ...values: readonly (string | number | null)[]): Promise<unknown> {
  const literals = values.map((value) => (typeof value === "string" ? `'${value}'` : String(value)));
  const [row] = await bed.postgres.query<{ value: unknown }>(
    `SELECT nexus.${name}(${literals.join(", ")}) AS value`,
  );
  return row?.value;
}

const commit = (
  change: {
    owner?: string | null;
    fence?: number | null;
    epoch?: string | null;
    id?: string | null;
    after?: number | null;
  } = {},
) => {
  const given = { owner, fence: 1, epoch: firstEpoch, id, after: 0, ...change };
  return call("commit_1", given.owner, given.fence, given.epoch, given.id, given.after, "\\x00");
};

async function positions(): Promise<string[]> {
  const rows = await bed.postgres.query<{ position: string }>(
    "SELECT position FROM nexus.log ORDER BY position",
  );
  return rows.map(({ position }) => position);
}

beforeEach(async () => {
  await call("acquire_1", owner, 10_000, "a", layout);
});

test("a batch of the leader is stored once, however often it is asked", async () => {
  expect(await commit()).toBe("ok");
  expect(await commit()).toBe("ok");
  expect(await commit({ id: other, after: 1 })).toBe("ok");

  expect(await positions()).toEqual(["0", "1", "2"]);
});

test("asking again writes, so that its answer waits for the standbys", async () => {
  await commit();
  const written = "SELECT xmin::text FROM nexus.log WHERE position = 1";
  const [before] = await bed.postgres.query<{ xmin: string }>(written);
  await commit();
  const [after] = await bed.postgres.query<{ xmin: string }>(written);

  expect(after?.xmin).not.toBe(before?.xmin);
});

test.each([
  ["no fence", { fence: null }, "fenced"],
  ["an older fence", { fence: 0 }, "fenced"],
  ["a fence that was not given", { fence: 2 }, "fenced"],
  ["another's name with its fence", { owner: other }, "fenced"],
  ["no owner", { owner: null }, "fenced"],
  ["another epoch", { epoch: other }, "epoch"],
  ["no epoch", { epoch: null }, "epoch"],
  ["a position ahead", { after: 1 }, "diverged"],
  ["a position behind", { after: -1 }, "diverged"],
  ["no position", { after: null }, "diverged"],
])("a batch with %s stores nothing", async (_, change, verdict) => {
  expect(await commit(change)).toBe(verdict);
  expect(await positions()).toEqual(["0"]);
});

test("a batch without an id is an error, and stores nothing", async () => {
  await expect(commit({ id: null })).rejects.toThrow("not-null");
  expect(await positions()).toEqual(["0"]);
});

test("the id of a batch at another position is diverged", async () => {
  await commit();

  expect(await commit({ after: 1 })).toBe("diverged");
  expect(await commit({ after: 5 })).toBe("diverged");
  expect(await positions()).toEqual(["0", "1"]);
});

test.each([
  ["deleted", "DELETE FROM nexus.lease"],
  ["truncated", "TRUNCATE nexus.lease"],
  ["stolen", `UPDATE nexus.lease SET owner = '${other}'`],
  ["stolen with a fence", `UPDATE nexus.lease SET owner = '${other}', fence = fence + 1`],
  ["given another fence", "UPDATE nexus.lease SET fence = fence + 1"],
  ["renamed", "UPDATE nexus.lease SET name = 'follower'"],
])("after the row of the lease was %s nothing that asks a fence writes", async (_, harm) => {
  await bed.postgres.query(harm);

  expect(await commit()).toBe("fenced");
  expect(await call("renew_1", owner, 1, 10_000)).toBe(false);
  expect(await call("release_1", owner, 1)).toBe(false);
  expect(await call("fold_1", owner, 1, 0, null, "{}", "{}", "{}")).toBe("fenced");
  expect(await call("upkeep_1", owner, 1, 0, 1)).toBe(-1);
  expect(await positions()).toEqual(["0"]);
});

test.each([
  ["null", null, owner],
  ["foreign", 7, owner],
  ["another's", 1, other],
])("a fence that is %s is refused by each function", async (_, fence, who) => {
  expect(await commit({ fence, owner: who })).toBe("fenced");
  expect(await call("renew_1", who, fence, 10_000)).toBe(false);
  expect(await call("release_1", who, fence)).toBe(false);
  expect(await call("fold_1", who, fence, 0, null, "{}", "{}", "{}")).toBe("fenced");
  expect(await call("upkeep_1", who, fence, 0, 1)).toBe(-1);
});

test("a fence never comes twice, though the row of the lease was deleted", async () => {
  await commit();
  await bed.postgres.query("DELETE FROM nexus.lease");
  expect(await call("acquire_1", other, 10_000, "b", layout)).toBe("2");
  await bed.postgres.query("TRUNCATE nexus.lease; UPDATE nexus.head SET fence = 0");

  expect(await call("acquire_1", owner, 10_000, "a", layout), "above that of the newest batch").toBe("2");
});

test("a lease that has not ended is not given to another one", async () => {
  expect(await call("acquire_1", other, 10_000, "b", layout)).toBeNull();
  expect(await call("acquire_1", owner, 10_000, "a", layout), "asked again after a lost answer").toBe("1");

  await call("release_1", owner, 1);

  expect(await call("acquire_1", other, 10_000, "b", layout)).toBe("2");
  expect(await commit()).toBe("fenced");
});

test("a lease that ends in the far future was written by another clock", async () => {
  await bed.postgres.query("UPDATE nexus.lease SET until = until + interval '1 hour'");

  expect(await call("acquire_1", other, 10_000, "b", layout)).toBe("2");
});

test.each([
  ["no owner", [null, 10_000, "a", 1]],
  ["no duration", [owner, null, "a", 1]],
  ["a duration of nothing", [owner, 0, "a", 1]],
  ["no address", [owner, 10_000, null, 1]],
  ["no layout", [owner, 10_000, "a", null]],
])("a lease with %s is an error", async (_, values) => {
  await expect(call("acquire_1", ...values)).rejects.toThrow("a lease needs an owner");
});

test("the functions refuse a transaction that does not see what others commit", async () => {
  await expect(
    bed.postgres.query(
      `BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT nexus.commit_1('${owner}', 1, '${firstEpoch}', '${id}', 0, '')`,
    ),
  ).rejects.toThrow("READ COMMITTED");
});

test.each([
  ["off", "on"],
  ["local", "on"],
  ["remote_write", "on"],
  ["on", "on"],
  ["remote_apply", "remote_apply"],
])("where the role's synchronous_commit is %s, a commit has %s", async (given, used) => {
  const rows = await bed.postgres.query<{ used: string }>(
    `SELECT set_config('synchronous_commit', '${given}', true), nexus.guard_1()::text, current_setting('synchronous_commit') AS used`,
  );

  expect(rows[0]?.used).toBe(used);
});

test("of many who try, one leads", async () => {
  await call("release_1", owner, 1);
  const tries = await Promise.all(
    Array.from({ length: 8 }, () => call("acquire_1", randomUUID(), 10_000, "x", layout)),
  );

  expect(tries.filter((fence) => fence !== null)).toEqual(["2"]);
});

test("the epoch is changed once for all who found it over", async () => {
  const [first, second] = [
    await call("change_epoch_1", firstEpoch),
    await call("change_epoch_1", firstEpoch),
  ];

  expect(first).not.toBe(firstEpoch);
  expect(second).toBe(first);
  expect(await commit()).toBe("epoch");
});
