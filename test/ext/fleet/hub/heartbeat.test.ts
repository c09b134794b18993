import { expect, it } from "vitest";
import type { SeenMember } from "../../../../src/ext/fleet/database/members.js";
import { Heartbeat } from "../../../../src/ext/fleet/hub/heartbeat.js";
import { ManualClock } from "../../../fakes/manual_clock.js";
import { nowMs } from "../../../samples.js";
import { silentLog } from "../../../silent_log.js";

type Deps = ConstructorParameters<typeof Heartbeat>[0];

/** A hub whose database lists what the test says. */
function heartbeatOf(list: () => readonly (readonly [owner: string, address: string, seenMsAgo: number])[]) {
  const clock = new ManualClock(nowMs);
  const rows = () =>
    list().map(([owner, address, seenMsAgo]) => ({ owner, address, seenMsAgo, applied: 0n }) as SeenMember);
  const database = {
    judge: async () => ({ warnings: [] }),
    members: { heartbeat: async () => nowMs, list: async () => rows() },
    silentMs: 0,
  };
  const heartbeat = new Heartbeat({
    hub: { database, role: "follower" },
    fleet: { owner: "a", store: { position: { position: 0n } }, member: () => undefined },
    clock,
    clockCheck: { measure: async (ask: () => Promise<number>) => void (await ask()) },
    log: silentLog,
    askLeader: async () => "",
  } as unknown as Deps);
  const round = async () => {
    clock.advance(5_000);
    await new Promise(setImmediate);
    return heartbeat.sharedAddresses;
  };
  return { heartbeat, round };
}

it("knows that two hubs announce one address, and not of one that was started again", async () => {
  let rows: [string, string, number][] = [["a", "hub:1", 0]];
  const { heartbeat, round } = heartbeatOf(() => rows);
  await heartbeat.start(async () => undefined);
  rows = [
    ["a", "hub:1", 0],
    ["b", "hub:2", 4_900],
    ["c", "hub:2", 100],
  ];
  expect(await round()).toEqual([]);
  rows = rows.map(([owner, address]) => [owner, address, owner === "b" ? 9_900 : 100]);
  expect(await round()).toEqual([]);
  rows = rows.map(([owner, address]) => [owner, address, 4_000]);
  expect(await round()).toEqual(["hub:2"]);
  rows = rows.filter(([owner]) => owner !== "c");
  expect(await round()).toEqual([]);
  await heartbeat.stop();
});
