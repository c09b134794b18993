import { describe, expect, test } from "vitest";
import { SeenIds } from "../../../../src/domain/access/seen_ids.js";
import { Subscribers } from "../../../../src/domain/reading/watch/subscribers.js";
import { TokenWatch } from "../../../../src/domain/reading/watch/token_watch.js";
import { at, owner } from "../../../../src/model/access/principal.js";
import { Unavailable } from "../../../../src/model/errors.js";
import { Changes } from "../../../../src/runtime/changes.js";
import type { Store } from "../../../../src/store/store.js";
import { Fleet } from "../../../ext/fleet/replication/fleet.js";
import { ManualClock } from "../../../fakes/manual_clock.js";
import { aConnection, nowMs, seesAll } from "../../../samples.js";
import { openStore } from "../../../store/temporary_store.js";
import { storeReader } from "../store_reader.js";

/** A stream that begins at a position of another daemon. */
function watchFrom(
  store: Store,
  revision: bigint,
  epoch = store.epoch,
): { reportedReason: string[]; clock: ManualClock } {
  const clock = new ManualClock(nowMs);
  const subscribers = new Subscribers({ changes: new Changes() });
  store.onCommitted((changes) => subscribers.announce(changes));
  const reader = storeReader(store);
  const readAudit = { read: () => undefined, announce: () => undefined };
  const seen = new SeenIds({ store, changes: new Changes() });
  const watch = new TokenWatch({ store, reader, subscribers, readAudit, clock, seen, random: () => 0.5 });
  const reportedReason: string[] = [];
  const rest = { connectionIds: undefined, userId: undefined, bookmarkIntervalMs: 5_000, view: seesAll };
  watch.open(
    { ...rest, position: { epoch, revision }, principal: at(owner, "unix") },
    {
      send: (event) => {
        reportedReason.push(event.kind);
        return true;
      },
      end: (error) => void reportedReason.push(error instanceof Unavailable ? "unavailable" : "end"),
    },
  );
  return { reportedReason, clock };
}

async function passes(clock: ManualClock, ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 25) {
    clock.advance(25);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

describe("a stream that begins ahead of this daemon", () => {
  async function lagging(): Promise<{ fleet: Fleet; follower: Store }> {
    const fleet = await Fleet.make(1);
    for (const id of ["c1", "c2"]) await fleet.leader.commit((tx) => tx.putConnection(aConnection({ id })));
    return { fleet, follower: fleet.followers[0] as Store };
  }

  test("waits for what is on its way, and resumes", async () => {
    const { fleet, follower } = await lagging();
    const { reportedReason, clock } = watchFrom(follower, 1n);
    await passes(clock, 1_000);
    expect(reportedReason).toEqual([]);
    await fleet.feed();
    await passes(clock, 100);
    expect(reportedReason.slice(0, 2)).toEqual(["state", "bookmark"]);
    expect(reportedReason).not.toContain("reset");
  });

  test("is told to ask again after two seconds, and begins nothing anew", async () => {
    const { follower } = await lagging();
    const { reportedReason, clock } = watchFrom(follower, 1n);
    await passes(clock, 1_900);
    expect(reportedReason).toEqual([]);
    await passes(clock, 200);
    expect(reportedReason).toEqual(["unavailable"]);
  });

  test("begins anew at once where the epoch is another one, and where the store is the only one", async () => {
    const { follower } = await lagging();
    const other = watchFrom(follower, 1n, "another epoch");
    const single = watchFrom(openStore(), 7n);
    await passes(other.clock, 25);
    expect(other.reportedReason[0]).toBe("reset");
    expect(single.reportedReason[0]).toBe("reset");
  });
});
