import { describe, expect, test, vi } from "vitest";
import { FleetUnreachable } from "../../../../src/ext/fleet/database/connection/fleet_error.js";
import { ManualClock } from "../../../fakes/manual_clock.js";
import { aFleetBed, aProxyTo } from "./fleet_bed.js";
import { aMember } from "./samples.js";

describe("the lease", () => {
  const bed = aFleetBed();
  const proxy = aProxyTo(bed);

  async function aHub(address: string) {
    const clock = new ManualClock(Date.now());
    const onLost = vi.fn();
    const member = aMember({ address });
    const database = await bed.connect({ url: bed.postgres.url(proxy.folder), clock, member });
    const lease = database.lease({ address, onLost });
    return { clock, onLost, lease, database, owner: member.owner };
  }

  const until = async (): Promise<number> => {
    const [row] = await bed.postgres.query<{ ms: number }>(
      "SELECT (extract(epoch FROM until) * 1000)::float8 AS ms FROM nexus.lease",
    );
    return row?.ms ?? 0;
  };

  test("one of two leads, and the other one after it is released", async () => {
    const [a, b] = [await aHub("a"), await aHub("b")];
    expect([await a.lease.acquire(), await b.lease.acquire()]).toEqual([true, false]);
    expect([a.lease.fence, b.lease.fence]).toEqual([1n, undefined]);
    expect(await b.lease.holder()).toMatchObject({ owner: a.owner, address: "a", fence: 1n });
    await a.lease.release();
    expect([a.lease.fence, a.lease.isSafeToSend(), await a.lease.acquire()]).toEqual([
      undefined,
      false,
      false,
    ]);

    expect(await b.lease.acquire()).toBe(true);
    expect(b.lease.fence).toBe(2n);
    expect(a.onLost).not.toHaveBeenCalled();
  });

  test("it is renewed every fifth of its time", async () => {
    const { lease, clock } = await aHub("a");
    await lease.acquire();
    const before = await until();
    clock.advance(1_999);
    expect(await until()).toBe(before);
    clock.advance(1);

    await expect.poll(until).toBeGreaterThan(before);
  });

  test("sends begin for seven tenths of it, from when the last renewal was asked for", async () => {
    const { lease, clock } = await aHub("a");
    expect(lease.isSafeToSend()).toBe(false);
    await lease.acquire();
    expect(lease.isSafeToSend()).toBe(true);
    proxy.cut();
    clock.advance(6_999);
    expect(lease.isSafeToSend()).toBe(true);
    clock.advance(1);
    expect(lease.isSafeToSend()).toBe(false);
  });

  test.each([
    ["back", -1],
    ["forward by the time of the lease", 7_000],
  ])("a wall clock that is set %s stops sends until the next renewal", async (_, byMs) => {
    const { lease, clock } = await aHub("a");
    await lease.acquire();
    clock.jump(byMs);
    expect(lease.isSafeToSend()).toBe(false);
    clock.advance(2_000);

    await expect.poll(() => lease.isSafeToSend()).toBe(true);
  });

  test("while the database is away it is not lost, and renewed when it is back", async () => {
    const { lease, clock, onLost } = await aHub("a");
    await lease.acquire();
    const before = await until();
    proxy.cut();
    clock.advance(2_000);
    await expect.poll(() => clock.pending).toBeGreaterThan(0);
    clock.advance(60_000);
    expect([lease.isSafeToSend(), lease.fence]).toEqual([false, 1n]);
    proxy.heal();
    await expect
      .poll(() => {
        clock.advance(100);
        return lease.isSafeToSend();
      })
      .toBe(true);
    expect(await until()).toBeGreaterThan(before);
    expect(onLost).not.toHaveBeenCalled();
  });

  test.each([
    ["another process took it", "UPDATE nexus.lease SET owner = gen_random_uuid(), fence = fence + 1"],
    ["its row was deleted", "DELETE FROM nexus.lease"],
    ["its table was truncated", "TRUNCATE nexus.lease"],
    ["its fence was raised", "UPDATE nexus.lease SET fence = fence + 1"],
  ])("it is lost when %s, and said once", async (_, harm) => {
    const { lease, clock, onLost } = await aHub("a");
    await lease.acquire();
    await bed.postgres.query(harm);
    clock.advance(2_000);
    await expect.poll(() => onLost.mock.calls.length).toBe(1);
    clock.advance(60_000);

    expect([lease.fence, lease.isSafeToSend(), await lease.acquire()]).toEqual([undefined, false, false]);
    expect(onLost).toHaveBeenCalledOnce();
  });

  test("a renewal never takes, and a late one of a former leader changes nothing", async () => {
    const [a, b] = [await aHub("a"), await aHub("b")];
    await a.lease.acquire();
    await bed.postgres.query("UPDATE nexus.lease SET until = now() - interval '1 second'");
    expect(await b.lease.acquire()).toBe(true);
    const before = await until();
    a.clock.advance(2_000);
    await expect.poll(() => a.onLost.mock.calls.length).toBe(1);

    expect(await until()).toBe(before);
    expect(await a.lease.holder()).toMatchObject({ owner: b.owner, fence: 2n });
  });

  test("after an outage the others leave the one who led five seconds", async () => {
    const { lease, clock } = await aHub("b");
    await bed.postgres.query(
      "INSERT INTO nexus.lease VALUES ('leader', gen_random_uuid(), 1, now() - interval '1 minute', '10 s', 'a')",
    );
    proxy.cut();
    await expect(lease.acquire()).rejects.toThrow(FleetUnreachable);
    proxy.heal();
    expect(await lease.acquire()).toBe(false);
    clock.advance(4_999);
    expect(await lease.acquire()).toBe(false);
    clock.advance(1);

    expect(await lease.acquire()).toBe(true);
  });

  test("asked again after its answer was lost, it is the same", async () => {
    const { lease, clock } = await aHub("a");
    proxy.loseAnswerTo("acquire_1");
    await expect(lease.acquire()).rejects.toThrow(FleetUnreachable);
    expect(lease.isSafeToSend()).toBe(false);
    await lease.acquire();
    clock.advance(5_000);

    expect(await lease.acquire()).toBe(true);
    expect(lease.fence).toBe(1n);
  });
});
