import { expect, onTestFinished, test } from "vitest";
import { Connector } from "../../../../src/ext/fleet/database/connection/connector.js";
import { initialise } from "../../../../src/ext/fleet/database/initialise.js";
import { migrate } from "../../../../src/ext/fleet/database/migrations.js";
import { SystemClock } from "../../../../src/runtime/clock.js";
import { aFleetBed } from "./fleet_bed.js";
import { aMember, databaseId, firstEpoch } from "./samples.js";

const bed = aFleetBed();

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

test("a fleet is not begun without the standby, and each attempt says why", { timeout: 60_000 }, async () => {
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

  await expect.poll(async () => (await migrate(connector)).from.layout).toBe(1);
  await begin();
});
