import { describe, expect, it } from "vitest";
import { AccessControl } from "../../../src/domain/access/access_control.js";
import { AccessExplainer } from "../../../src/domain/access/access_explainer.js";
import { ApiKeys } from "../../../src/domain/access/api_keys.js";
import { admin, type Principal } from "../../../src/model/access/principal.js";
import type { NexusError } from "../../../src/model/errors.js";
import { Changes } from "../../../src/runtime/changes.js";
import { ManualClock } from "../../fakes/manual_clock.js";
import { silentLog } from "../../silent_log.js";
import { openStore } from "../../store/temporary_store.js";

const startMs = Date.UTC(2026, 10, 24, 12, 0);
const minuteMs = 60_000;
const leaseMs = 10 * minuteMs;
const agent = { name: "ci", role: "agent", restriction: { userIds: ["ada"] } } as const;

/** A key with a lease of ten minutes, and a stream of its holder. */
async function leased(change: { readonly expiresAtMs?: number } = {}) {
  const store = openStore();
  const clock = new ManualClock(startMs);
  const open = () => {
    const changes = new Changes();
    const keys = new ApiKeys({ store, changes, clock, log: silentLog });
    return { keys, access: new AccessControl({ store, changes, clock, keys }) };
  };
  const { keys, access } = open();
  const { record, key } = await keys.create({ ...agent, leaseMs, expiresAtMs: undefined, ...change }, admin);
  const holder = keys.verify(key.reveal()) as Principal;
  const ends: NexusError[] = [];
  const stream = () =>
    access.hold(holder, "token.read", access.admit(holder, "token.read"), (error) => ends.push(error), true);
  stream();
  const settled = () => store.commit(() => undefined);
  const lapses = () =>
    store
      .listAuditEvents({ limit: 20 })
      .events.flatMap(({ event }) => (event.type === "api_key.lapsed" ? [event] : []));
  const isValid = () => keys.verify(key.reveal()) !== undefined;
  return { store, clock, open, keys, access, record, key, holder, ends, settled, lapses, isValid };
}

describe("the lease of an API key", () => {
  it("ends the key and what its holder has open, unless it is renewed, and is on record", async () => {
    const { clock, access, keys, holder, ends, settled, lapses, isValid, store } = await leased();
    clock.advance(leaseMs - 1);
    expect([isValid(), ends]).toEqual([true, []]);
    clock.advance(1);
    const text = expect.stringContaining("its lease was not renewed in time; ask for a new key");
    expect([isValid(), ends]).toEqual([false, [expect.objectContaining({ message: text })]]);
    expect(() => access.admit(holder, "token.read")).toThrow(ends[0]?.message);
    await settled();
    expect(lapses()).toMatchObject([{ principal: "daemon", reason: "key:ci", timeMs: startMs + leaseMs }]);
    expect(keys.list({ afterName: undefined, limit: 9, includeRevoked: false })).toEqual([]);
    const nothing = { connectionId: undefined, userId: undefined, provider: undefined };
    const place = { text: "the API key key:ci has ended: its lease was not renewed in time" };
    const explained = new AccessExplainer({ access, store }).explain("key:ci", "token.read", nothing);
    expect(explained).toMatchObject({ permission: "denied", place });
  });

  it("moves with each renewal, and nothing that is open notices", async () => {
    const { clock, keys, holder, ends, isValid } = await leased();
    for (let beat = 1; beat <= 9; beat++) {
      clock.advance(4 * minuteMs);
      const endsAtMs = startMs + beat * 4 * minuteMs + leaseMs;
      expect(await keys.leases.renew(holder)).toEqual({ durationMs: leaseMs, endsAtMs });
    }
    clock.advance(leaseMs - 1);
    expect([isValid(), ends]).toEqual([true, []]);
    clock.advance(1);
    expect([isValid(), ends.length]).toEqual([false, 1]);
  });

  it("is written at most three times in its length, however often and at the same time it is renewed", async () => {
    const { clock, keys, holder, store, record } = await leased();
    const written = new Set<number | undefined>();
    let commits = 0;
    const { commit } = store;
    store.commit = (change) => {
      commits++;
      return commit.call(store, change) as never;
    };
    for (let step = 0; step < 600; step++) {
      clock.advance(1_000);
      await Promise.all([keys.leases.renew(holder), step % 50 === 0 ? keys.leases.renew(holder) : undefined]);
      written.add(store.getApiKey(record.id)?.lease?.endsAtMs);
    }
    expect(written.size).toBeLessThanOrEqual(4);
    expect(commits).toBeLessThanOrEqual(6);
    clock.advance(5 * minuteMs);
    const first = keys.leases.renew(holder);
    clock.advance(1);
    expect(await keys.leases.renew(holder)).toEqual(await first);
  });

  it("never goes beyond the end of the key, which is an ordinary one", async () => {
    const { clock, keys, holder, ends, lapses, settled } = await leased({
      expiresAtMs: startMs + 12 * minuteMs,
    });
    clock.advance(5 * minuteMs);
    expect((await keys.leases.renew(holder)).endsAtMs).toBe(startMs + 12 * minuteMs);
    clock.advance(7 * minuteMs);
    await settled();
    expect([ends.length, lapses()]).toEqual([1, []]);
  });

  it("is not renewed once it has ended, nor after the key was revoked, however the clock stands", async () => {
    const first = await leased();
    first.clock.advance(leaseMs);
    await expect(first.keys.leases.renew(first.holder)).rejects.toThrow("its lease was not renewed in time");
    await first.settled();
    first.clock.jump(-leaseMs);
    await expect(first.keys.leases.renew(first.holder)).rejects.toThrow("its lease was not renewed in time");
    expect(first.isValid()).toBe(false);
    const second = await leased();
    second.clock.advance(5 * minuteMs);
    const revoking = second.keys.revoke({ name: "ci" }, admin);
    await expect(second.keys.leases.renew(second.holder)).rejects.toThrow("not valid any more");
    await revoking;
    await expect(second.keys.leases.renew(second.holder)).rejects.toThrow("not valid any more");
    second.clock.advance(leaseMs);
    await second.settled();
    expect(second.lapses()).toEqual([]);
  });

  it("is its holder's to renew: another caller has none", async () => {
    const { clock, keys, holder, record, store } = await leased();
    await keys.create({ ...agent, name: "other", expiresAtMs: undefined }, admin);
    await keys.create({ ...agent, name: "admin", leaseMs, expiresAtMs: undefined }, admin);
    clock.advance(5 * minuteMs);
    const others: Principal[] = [
      { name: "key:other", kind: "key" },
      { name: "cert:ci", kind: "certificate" },
      admin,
      // A spoke whose caller asks for it: the lease is that of the spoke.
      { ...holder, onBehalfOf: { name: "key:somebody", restrictions: [] } },
    ];
    for (const other of others)
      await expect(keys.leases.renew(other)).rejects.toMatchObject({ reason: "NO_LEASE" });
    expect(store.getApiKey(record.id)?.lease?.endsAtMs).toBe(startMs + leaseMs);
  });

  it("goes on over a restart, and ends at the start of a daemon that was away for longer", async () => {
    const { clock, open, keys, key, holder, lapses, store } = await leased();
    clock.advance(5 * minuteMs);
    await keys.leases.renew(holder);
    const second = open();
    clock.advance(leaseMs - 1);
    expect(second.keys.verify(key.reveal())?.name).toBe("key:ci");
    await second.keys.leases.renew(holder);
    clock.jump(leaseMs);
    const third = open();
    expect(third.keys.verify(key.reveal())).toBeUndefined();
    await expect.poll(lapses).toHaveLength(1);
    await expect(third.keys.leases.renew(holder)).rejects.toThrow("not renewed in time");
    expect(store.listApiKeys()).toMatchObject([{ revokedBy: "daemon" }]);
  });

  it("becomes no longer when the clock jumps, with a restart or without, and its holder can still renew it", async () => {
    const { clock, open, keys, holder, ends, isValid } = await leased();
    clock.jump(6 * minuteMs);
    expect((await keys.leases.renew(holder)).endsAtMs).toBe(clock.nowMs() + leaseMs);
    clock.advance(6 * minuteMs);
    clock.jump(-12 * minuteMs);
    await keys.leases.renew(holder);
    clock.advance(leaseMs - 1);
    expect([isValid(), ends]).toEqual([true, []]);
    await keys.leases.renew(holder);
    clock.jump(-60 * minuteMs);
    const other = open();
    clock.advance(leaseMs);
    expect([isValid(), ends.length, other.keys.find("ci")?.revokedBy]).toEqual([false, 1, "daemon"]);
  });

  it("lives when its end comes while its renewal is being written", async () => {
    const { clock, keys, access, holder, ends, settled, lapses, isValid } = await leased();
    clock.advance(leaseMs - 1);
    const renewing = keys.leases.renew(holder);
    clock.advance(1);
    // What it has open ends; it may come again.
    expect([access.permissionsOf("key:ci").role, ends.length]).toEqual([undefined, 1]);
    await renewing;
    await settled();
    expect([isValid(), access.permissionsOf("key:ci").role, lapses()]).toEqual([true, "agent", []]);
  });

  it("ends in memory when the store takes nothing, and is written when it does again", async () => {
    const { clock, store, ends, lapses, isValid, settled } = await leased();
    const { commit } = store;
    store.commit = () => Promise.reject(new Error("no room"));
    clock.advance(leaseMs);
    clock.jump(-leaseMs);
    expect([isValid(), ends.length]).toEqual([false, 1]);
    await Promise.resolve();
    store.commit = commit;
    await settled();
    expect(lapses()).toEqual([]);
    clock.advance(minuteMs);
    await settled();
    expect([lapses().length, isValid(), ends.length]).toEqual([1, false, 1]);
  });
});
