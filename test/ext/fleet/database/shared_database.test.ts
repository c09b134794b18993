import { createHash } from "node:crypto";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { Connector } from "../../../../src/ext/fleet/database/connection/connector.js";
import { FleetUnreachable } from "../../../../src/ext/fleet/database/connection/fleet_error.js";
import { layout } from "../../../../src/ext/fleet/database/connection/layouts.js";
import { initialise } from "../../../../src/ext/fleet/database/initialise.js";
import { migrate } from "../../../../src/ext/fleet/database/migrations.js";
import { SystemClock } from "../../../../src/runtime/clock.js";
import { aFleetBed, aProxyTo } from "./fleet_bed.js";
import { aMember, databaseId, firstEpoch } from "./samples.js";

const bed = aFleetBed();

describe("privileges", () => {
  /** In a database of somebody else, with nothing but what a test grants. */
  const url = () => bed.postgres.url().replace("nexus@/nexus", "hub@/shared");
  async function init() {
    const connector = new Connector(url(), new SystemClock());
    await migrate(connector);
    return await initialise(connector, { databaseId, epoch: firstEpoch, entries: [[]] });
  }

  beforeEach(async () => {
    await bed.postgres.query("DROP DATABASE IF EXISTS shared", "postgres");
    await bed.postgres.query(
      "DROP ROLE IF EXISTS hub, other; CREATE ROLE hub LOGIN; CREATE ROLE other LOGIN",
      "postgres",
    );
    await bed.postgres.query("CREATE DATABASE shared", "postgres");
  });

  test.each([
    ["may make schemas", "GRANT CREATE ON DATABASE shared TO hub"],
    ["owns the schema", "CREATE SCHEMA nexus AUTHORIZATION hub"],
    ["may use and fill the schema", "CREATE SCHEMA nexus; GRANT USAGE, CREATE ON SCHEMA nexus TO hub"],
  ])("a role that %s begins a fleet and uses it", async (_, grant) => {
    await bed.postgres.query(grant, "shared");
    const position = await init();

    expect((await bed.connect({ url: url(), position })).verdict.history).toBe("known");
  });

  test.each([
    ["may make no schema", "SELECT", "permission denied for database shared"],
    ["may not use the schema", "CREATE SCHEMA nexus", "permission denied for schema nexus"],
  ])("a role that %s is refused with what to grant", async (_, given, words) => {
    await bed.postgres.query(given, "shared");

    await expect(init()).rejects.toMatchObject({
      ...{ name: "FleetRefused", reason: "privileges" },
      message: expect.stringMatching(
        `${words}.*GRANT CREATE ON DATABASE "shared" TO "hub".*GRANT USAGE, CREATE ON SCHEMA nexus TO "hub"`,
      ),
    });
  });

  test("a hub whose role is not that of init is refused, and told to use one role", async () => {
    await bed.postgres.query("GRANT CREATE ON DATABASE shared TO hub", "shared");
    await init();
    await bed.postgres.query("GRANT USAGE ON SCHEMA nexus TO other", "shared");

    await expect(bed.connect({ url: url().replace("hub@", "other@") })).rejects.toMatchObject({
      ...{ reason: "privileges", message: expect.stringContaining("run nexusd fleet init as this role") },
    });
  });
});

describe("the spool", () => {
  const proxy = aProxyTo(bed);

  const texts = (found: readonly { readonly tokenSet: Buffer }[]): string[] =>
    found.map(({ tokenSet }) => tokenSet.toString());
  const digestOf = (text: string): Buffer => createHash("sha256").update(text).digest();

  test("what one hub leaves another one finds, in its order, until it is dropped", async () => {
    const [a, b] = [await bed.connect(), await bed.connect()];
    await a.spool.leave([Buffer.from("one")]);
    const long = "x".repeat(9_000);
    await a.spool.leave([Buffer.from("two")]);
    await a.spool.leave([Buffer.from(long)]);
    const found = await b.spool.list();
    expect(texts(found)).toEqual(["one", "two", long]);
    expect(found[0]?.digest).toEqual(digestOf("one"));
    await b.spool.drop([digestOf("one"), digestOf("none")]);
    expect(texts(await b.spool.list([digestOf(long)]))).toEqual(["two"]);
  });

  test("the same one is there once, also where its answer was lost", async () => {
    const database = await bed.connect({ url: bed.postgres.url(proxy.folder) });
    proxy.loseAnswerTo("hand_over_1");
    await expect(database.spool.leave([Buffer.from("one")])).rejects.toThrow(FleetUnreachable);
    await database.spool.leave([Buffer.from("one"), Buffer.from("two")]);
    expect(texts(await database.spool.list()).sort()).toEqual(["one", "two"]);
  });

  test("more than a page comes page by page", async () => {
    const { spool } = await bed.connect();
    await spool.leave(Array.from({ length: 120 }, (_, index) => Buffer.from(`set ${index}`)));
    const first = await spool.list();
    expect(first).toHaveLength(100);
    await spool.drop(first.map(({ digest }) => digest));
    expect(await spool.list()).toHaveLength(20);
  });

  test.each(["NULL", "ARRAY[NULL]::bytea[]", "ARRAY['\\x01'::bytea, NULL]"])(
    "%s is refused, and nothing is left",
    async (tokenSets) => {
      const leaving = bed.postgres.query(`SELECT nexus.hand_over_1(${tokenSets})`);
      await expect(leaving).rejects.toThrow("a token set is missing");
      expect(await (await bed.connect()).spool.list()).toEqual([]);
    },
  );

  test("nothing is dropped for a null", async () => {
    const { spool } = await bed.connect();
    await spool.leave([Buffer.from("one")]);
    await bed.postgres.query("SELECT nexus.taken_in_1(NULL), nexus.taken_in_1(ARRAY[NULL]::bytea[])");
    expect(await spool.list()).toHaveLength(1);
  });
});

describe("a standby", () => {
  /** From now on every commit waits for a standby that is not there. @returns the standby is there again */
  async function withoutStandby(): Promise<() => Promise<void>> {
    const names = async (value: string): Promise<void> => {
      await bed.postgres.set("synchronous_standby_names", value);
      const isTaken = async () =>
        (await bed.postgres.query(`SELECT 1 WHERE current_setting('synchronous_standby_names') = '${value}'`))
          .length;
      await expect.poll(isTaken).toBe(1);
    };
    await names("nobody");
    onTestFinished(() => names(""));
    return () => names("");
  }

  test("a hub knows that commits wait for a standby, how long, and when they go on", {
    timeout: 60_000,
  }, async () => {
    const member = aMember();
    const hub = await bed.connect({ member });
    const mend = await withoutStandby();
    await expect(hub.members.heartbeat(member)).rejects.toThrow("did not answer");
    const { standbyWaitMs, warnings } = await hub.judge(bed.begin);
    expect(standbyWaitMs).toBeGreaterThan(2_000);
    expect(warnings).toEqual([expect.stringMatching(/waited for a synchronous standby.*nothing is written/)]);
    await mend();

    await expect.poll(async () => (await hub.judge(bed.begin)).standbyWaitMs).toBe(0);
    await hub.members.heartbeat(member);
  });

  test("a fleet is not begun without the standby, and each attempt says why", {
    timeout: 60_000,
  }, async () => {
    const connector = new Connector(bed.postgres.url(), new SystemClock());
    const begin = () => initialise(connector, { databaseId, epoch: firstEpoch, entries: [[]] });
    await bed.postgres.query("TRUNCATE nexus.head");
    const mend = await withoutStandby();
    const refused = { name: "FleetRefused", reason: "no_standby" };
    await expect(begin()).rejects.toMatchObject(refused);
    await mend();
    await bed.postgres.query("DROP SCHEMA nexus CASCADE");
    const mendAgain = await withoutStandby();
    // The second one finds locked what the first has made, and still waits to commit.
    for (const _ of [1, 2]) await expect(migrate(connector)).rejects.toMatchObject(refused);
    await mendAgain();

    await expect.poll(async () => (await migrate(connector)).from.layout).toBe(layout);
    await begin();
  });
});
