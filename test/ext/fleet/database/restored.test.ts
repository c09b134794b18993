import { expect, test } from "vitest";
import { Connector } from "../../../../src/ext/fleet/database/connection/connector.js";
import { noteRestored } from "../../../../src/ext/fleet/database/restored.js";
import { SystemClock } from "../../../../src/runtime/clock.js";
import { aFleetBed } from "./fleet_bed.js";
import { aMember, firstEpoch } from "./samples.js";

const bed = aFleetBed();
const note = () => noteRestored(new Connector(bed.postgres.url(), new SystemClock()));

test("reigns wait for each hub that the fleet had, until one has settled it", async () => {
  const database = await bed.connect();
  expect(await database.restored.awaited(), "not restored").toBeUndefined();
  for (const address of ["hub-a:7443", "hub-b:7443"]) await database.members.heartbeat(aMember({ address }));

  expect(await note()).toEqual(["hub-a:7443", "hub-b:7443"]);
  expect(await database.epoch()).not.toBe(firstEpoch);
  expect(await database.restored.awaited()).toEqual(["hub-a:7443", "hub-b:7443"]);
  await database.members.heartbeat(aMember({ address: "hub-b:7443" }));
  expect(await database.restored.awaited()).toEqual(["hub-a:7443"]);
  await bed.postgres.query(
    "UPDATE nexus.lease SET until = now() - interval '1 second' WHERE name = 'restored'",
  );
  expect(await database.restored.awaited(), "for five minutes").toEqual([]);
  await database.restored.settle();
  expect(await database.restored.awaited()).toBeUndefined();
});

test("it is refused while a hub leads, and does not keep one from leading", async () => {
  const member = aMember();
  const database = await bed.connect({ member });
  await note();
  const lease = database.lease({ address: member.address, onLost: () => {} });
  expect(await lease.acquire()).toBe(true);
  await expect(note()).rejects.toMatchObject({
    reason: "in_use",
    message: expect.stringContaining(`${member.address} leads the fleet`),
  });
  await lease.release();
  expect(await note()).toEqual([]);
});
