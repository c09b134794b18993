import { expect, test } from "vitest";
import { AccessControl } from "../../../../src/domain/access/access_control.js";
import { ApiKeys } from "../../../../src/domain/access/api_keys.js";
import { ProviderRegistry } from "../../../../src/domain/profiles/provider_registry.js";
import { GrantTypes } from "../../../../src/domain/token_endpoint/grant_types.js";
import type { ReplicaStore } from "../../../../src/ext/fleet/replication/replica_store.js";
import { admin, owner, type Principal } from "../../../../src/model/access/principal.js";
import { NotLeader } from "../../../../src/model/errors.js";
import { Changes } from "../../../../src/runtime/changes.js";
import { loopbackNetworks } from "../../../fakes/loopback_networks.js";
import { ManualClock } from "../../../fakes/manual_clock.js";
import { manualSettings, testVault } from "../../../fakes/wired_domain.js";
import { aConnection, nowMs } from "../../../samples.js";
import { silentLog } from "../../../silent_log.js";
import { Fleet } from "./fleet.js";

/** What a daemon of a fleet holds in memory of its store. */
function caches(store: ReplicaStore) {
  const changes = new Changes();
  const clock = new ManualClock(nowMs);
  store.onCommitted((changed) => changes.emit("connections", changed));
  store.onApplied((applied) => changes.emit("followed", applied));
  const onChanged = (providerId: string): void => void changes.emit("provider", providerId);
  const shared = { store, changes, clock, log: silentLog };
  const registry = new ProviderRegistry({
    grantTypes: new GrantTypes(),
    ...shared,
    vault: testVault(store),
    networks: loopbackNetworks,
    onChanged,
  });
  changes.on("followed", ({ providerIds }) => registry.followed(providerIds));
  const keys = new ApiKeys(shared);
  return { changes, clock, keys, registry, access: new AccessControl({ ...shared, keys }) };
}

/** A leader that made a key, and its follower, before it knows that. */
async function withKey() {
  const fleet = await Fleet.make(1);
  const leader = caches(fleet.leader);
  const follower = caches(fleet.followers[0] as ReplicaStore);
  const ended: string[] = [];
  follower.changes.on("principalEnded", (name) => ended.push(name));
  const wanted = { name: "ci", role: "admin" as const, restriction: undefined, expiresAtMs: undefined };
  return { fleet, leader, follower, ended, ...(await leader.keys.create(wanted, admin)) };
}

test("a follower knows the keys that the leader made, and ends those that it revoked", async () => {
  const { fleet, leader, follower, ended, key } = await withKey();
  expect(follower.keys.verify(key.reveal())).toBeUndefined();
  await fleet.feed();
  expect(follower.keys.verify(key.reveal())?.name).toBe("key:ci");
  await leader.keys.revoke({ name: "ci" }, admin);
  await fleet.feed();
  expect(follower.keys.verify(key.reveal())).toBeUndefined();
  expect(ended).toEqual(["key:ci"]);
  expect(follower.keys.find("ci")?.revokedBy).toBe(admin.name);
});

test("a follower is notified when it has what an extension keeps in the store of the leader", async () => {
  const fleet = await Fleet.make(1);
  const follower = fleet.followers[0] as ReplicaStore;
  const seen: (string | undefined)[] = [];
  const look = () => seen.push(follower.raw(({ meta }) => meta.getBinary("stops")?.toString()));
  caches(follower).changes.on("followed", look);
  await fleet.leader.commit((tx) => tx.raw(({ meta }) => meta.putSync("stops", Buffer.from("all"))));
  await fleet.feed();
  expect(seen).toEqual(["all"]);
});

test("a lease that is renewed through a follower goes on at every hub, and ends at every hub", async () => {
  const fleet = await Fleet.make(2);
  const hubs = fleet.stores.map(caches);
  const [leader, follower] = hubs as [ReturnType<typeof caches>, ReturnType<typeof caches>];
  const ended = hubs.map(({ changes }) => {
    const names: string[] = [];
    changes.on("principalEnded", (name) => names.push(name));
    return names;
  });
  const wanted = { name: "ci", role: "admin" as const, restriction: undefined, expiresAtMs: undefined };
  const { key } = await leader.keys.create({ ...wanted, leaseMs: 60_000 }, admin);
  await fleet.feed();
  const valid = () => hubs.map(({ keys }) => keys.verify(key.reveal()) !== undefined);
  const holder = follower.keys.verify(key.reveal()) as Principal;
  const advance = (byMs: number): void => {
    for (const { clock } of hubs) clock.advance(byMs);
  };
  advance(10_000);
  // Nothing is to be written yet: the leader is not asked.
  expect((await follower.keys.leases.renew(holder)).endsAtMs).toBe(nowMs + 60_000);
  advance(40_000);
  await expect(follower.keys.leases.renew(holder)).rejects.toBeInstanceOf(NotLeader);
  await leader.keys.leases.renew(holder);
  await fleet.feed();
  advance(59_999);
  expect([valid(), ended]).toEqual([
    [true, true, true],
    [[], [], []],
  ]);
  advance(1);
  expect([valid(), ended]).toEqual([[false, false, false], hubs.map(() => ["key:ci"])]);
  await fleet.leader.commit(() => undefined);
  await fleet.feed();
  expect(hubs.map(({ keys }) => keys.find("ci")?.revokedBy)).toEqual(["daemon", "daemon", "daemon"]);
  const { events } = fleet.leader.listAuditEvents({ limit: 9 });
  expect(events.map(({ event }) => event.type)).toEqual(["api_key.lapsed", "api_key.created"]);
});

test("a follower to which a renewal comes late lets the key in again, with what it may", async () => {
  const fleet = await Fleet.make(1);
  const leader = caches(fleet.leader);
  const follower = caches(fleet.followers[0] as ReplicaStore);
  const wanted = { name: "ci", role: "admin" as const, restriction: undefined, expiresAtMs: undefined };
  const { key } = await leader.keys.create({ ...wanted, leaseMs: 60_000 }, admin);
  await fleet.feed();
  for (const { clock } of [leader, follower]) clock.advance(30_000);
  await leader.keys.leases.renew(leader.keys.verify(key.reveal()) as Principal);
  follower.clock.advance(30_000);
  const known = () => [
    follower.keys.verify(key.reveal())?.name,
    follower.access.permissionsOf("key:ci").role,
  ];
  expect(known()).toEqual([undefined, undefined]);
  await fleet.feed();
  expect(known()).toEqual(["key:ci", "admin"]);
});

test("a key that a follower cannot read any more is of no use there, and ends nothing else", async () => {
  const { fleet, follower, ended, key, record } = await withKey();
  await fleet.feed();
  // The leader is of a newer version, which knows another role.
  await fleet.leader.commit((tx) =>
    tx["databases"].apiKeys.putSync(record.id, Buffer.from([0x0a, 0xff, 0xff])),
  );
  await fleet.feed();
  expect(follower.keys.verify(key.reveal())).toBeUndefined();
  expect(ended).toEqual(["key:ci"]);
  expect(caches(fleet.followers[0] as ReplicaStore).keys.find("ci")).toBeUndefined();
});

test("a follower's caches follow a profile that the leader renamed, and its redirect path", async () => {
  const fleet = await Fleet.make(1);
  const leader = caches(fleet.leader);
  const follower = caches(fleet.followers[0] as ReplicaStore);
  expect(follower.registry.redirectPathFor("op")).toBe(leader.registry.redirectPathFor("op"));
  const free = follower.registry.redirectPathFor("other");
  const profile = await leader.registry.create(manualSettings("op", "https://op.example"), undefined, owner);
  await fleet.leader.commit((tx) => tx.putConnection(aConnection({ id: newUuid, providerId: profile.id })));
  await fleet.feed();
  expect(follower.access.factsOf(newUuid)?.provider.name).toBe("op");
  await leader.registry.update(profile.id, { settings: { name: "other" } }, undefined, owner);
  await fleet.feed();
  expect(follower.access.factsOf(newUuid)?.provider.name).toBe("other");
  // A profile that is made now under the old name gets another path: the first one still has that.
  expect(follower.registry.redirectPathFor("op")).not.toBe(profile.redirectPath);
  expect(free).not.toBe(profile.redirectPath);
});

const newUuid = "00000000-0000-4000-8000-000000000001";
