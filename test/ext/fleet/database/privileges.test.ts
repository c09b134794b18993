import { beforeEach, expect, test } from "vitest";
import { Connector } from "../../../../src/ext/fleet/database/connection/connector.js";
import { initialise } from "../../../../src/ext/fleet/database/initialise.js";
import { migrate } from "../../../../src/ext/fleet/database/migrations.js";
import { SystemClock } from "../../../../src/runtime/clock.js";
import { aFleetBed } from "./fleet_bed.js";
import { databaseId, firstEpoch } from "./samples.js";

const bed = aFleetBed();

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
