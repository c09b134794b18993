import { expect, onTestFinished, test } from "vitest";
import { Hub } from "../../../../src/ext/fleet/hub/hub.js";
import { rawEntries } from "../../../../src/ext/fleet/replication/raw_entries.js";
import { ReplicaStore } from "../../../../src/ext/fleet/replication/replica_store.js";
import { Store } from "../../../../src/store/store.js";
import { ManualClock } from "../../../fakes/manual_clock.js";
import { silentLog } from "../../../silent_log.js";
import { temporaryFolder } from "../../../temporary_folder.js";
import { aFleetBed, aProxyTo } from "../database/fleet_bed.js";
import { aMember } from "../database/samples.js";
import { openReplica } from "../replication/fleet.js";

const bed = aFleetBed();
const proxy = aProxyTo(bed);

/** A hub of a new fleet, behind the proxy, by a clock of the test. */
async function aHub(end: () => Promise<void> = async () => undefined) {
  const clock = new ManualClock(Date.now());
  const first = Store.open({ folder: temporaryFolder(), nowMs: clock.nowMs() });
  const entries = [...first.raw(rawEntries)];
  await first.close();
  await bed.reset(entries);
  const folder = temporaryFolder();
  await ReplicaStore.copyInto(folder, { entries, position: bed.begin });
  const store = openReplica(folder);
  const member = aMember();
  const connect = () =>
    bed.connect({ url: bed.postgres.url(proxy.folder), clock, member, position: bed.begin });
  const fleet = { store, owner: member.owner, database: await connect(), member: () => member, connect };
  const config = { address: member.address, leaseMs: 60_000 } as never;
  const ended: unknown[] = [];
  const hub = new Hub({
    ...{ config, fleet, clock, log: silentLog },
    mayNotLead: () => [],
    isBackingOff: () => false,
    onEnded: (error) => void ended.push(error),
  });
  onTestFinished(() => hub.close());
  hub.start({ begin: async () => undefined, end });
  return { hub, clock, ended };
}

test("a hub leads at once when the answer that gave it the lease was lost", async () => {
  proxy.loseAnswerTo("acquire_1");
  const { hub, clock, ended } = await aHub();
  await expect
    .poll(() => {
      clock.advance(50);
      return hub.role;
    })
    .toBe("leader");
  expect([hub.holder?.fence, ended]).toEqual([1n, []]);
  // Much less than the lease, and than others wait after an outage.
  expect(clock.monotonicMs()).toBeLessThan(3_000);
});

test("a hub that ends gives the lease back after ten seconds, whatever a provider takes", async () => {
  let rested = (): void => undefined;
  const end = () =>
    new Promise<void>((resolve) => {
      rested = resolve;
    });
  const { hub, clock } = await aHub(end);
  await expect
    .poll(() => {
      clock.advance(50);
      return hub.role;
    })
    .toBe("leader");
  const isFree = async (): Promise<boolean | undefined> => {
    const [lease] = await bed.postgres.query<{ free: boolean }>(
      "SELECT until < clock_timestamp() AS free FROM nexus.lease WHERE name = 'leader'",
    );
    return lease?.free;
  };
  const resigned = hub.resign();
  let isResigned = false;
  void resigned.then(() => {
    isResigned = true;
  });
  clock.advance(9_900);
  for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
  expect(await isFree()).toBe(false);
  clock.advance(100);
  await expect.poll(isFree).toBe(true);
  expect([hub.role, hub.maySend(), isResigned]).toEqual(["resigned", false, false]);
  rested();
  await resigned;
});
