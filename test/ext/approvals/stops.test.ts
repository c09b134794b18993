import { create, toBinary } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import { AccessControl } from "../../../src/domain/access/access_control.js";
import { Stops } from "../../../src/ext/approvals/stops.js";
import { StopsRecordSchema } from "../../../src/gen/nexus/store/v1/records_pb.js";
import { Policy } from "../../../src/model/access/policy.js";
import { owner, type Principal } from "../../../src/model/access/principal.js";
import { FailedPrecondition, type NexusError, Unauthenticated } from "../../../src/model/errors.js";
import { Changes } from "../../../src/runtime/changes.js";
import { Store } from "../../../src/store/store.js";
import { forms, storeRecordOf } from "../../../src/store/store_record.js";
import { ManualClock } from "../../fakes/manual_clock.js";
import { perTest } from "../../lifetimes.js";
import { temporaryFolder } from "../../temporary_folder.js";

const pod: Principal = { name: "jwt:system:serviceaccount:agents:research", kind: "jwt" };
const other: Principal = { name: "cert:spiffe://example.org/agent", kind: "certificate" };
const nowMs = 1_800_000_000_000;

const world = perTest(() => {
  const clock = new ManualClock(nowMs);
  const store = Store.open({ folder: temporaryFolder(), nowMs });
  /** A daemon with this store, as it is after a start, or as another hub that follows. */
  const daemon = () => {
    const changes = new Changes();
    const access = new AccessControl({ store, changes, clock, keys: { find: () => undefined } });
    const binding = { principals: ["jwt:*", "cert:*"], role: "agent", line: 1 } as const;
    access.setPolicy(new Policy([{ ...binding, restriction: { userIds: ["ada"] } }], "digest"));
    const stops = new Stops({ store, access, changes, clock });
    const held = (principal: Principal): NexusError[] => {
      const ends: NexusError[] = [];
      const admitted = access.admit(principal, "token.read");
      access.hold(principal, "token.read", admitted, (error) => ends.push(error), false);
      return ends;
    };
    const caughtUp = () => changes.emit("followed", { providerIds: [], apiKeyIds: [], storeRecord: false });
    return { access, stops, held, caughtUp };
  };
  return { store, daemon, close: () => store.close() };
});

it("ends at every hub what a stopped principal has open, and refuses it until the stop is lifted", async () => {
  const { store, daemon } = world;
  const [hub, follower] = [daemon(), daemon()];
  const [here, there, others] = [hub.held(pod), follower.held(pod), hub.held(other)];
  await hub.stops.put(pod.name, true, owner);
  follower.caughtUp();
  const restarted = daemon();
  for (const { access, stops } of [hub, follower, restarted]) {
    expect(() => access.admit(pod, "token.read")).toThrow(Unauthenticated);
    expect(() => access.admit(pod, "self.read")).toThrow("was stopped; an administrator can lift that");
    const { permission, place } = access.permissionsOf(pod.name).decide("token.read");
    expect([permission, place.text]).toEqual(["denied", expect.stringContaining(`${pod.name} was stopped`)]);
    expect(access.admit(other, "token.read").role).toBe("agent");
    expect(stops.list()).toMatchObject([
      { principal: pod.name, stoppedBy: "owner", stoppedAtMs: BigInt(nowMs) },
    ]);
  }
  expect([here, there, others]).toEqual([[expect.any(Unauthenticated)], [expect.any(Unauthenticated)], []]);

  await hub.stops.put(pod.name, false, owner);
  for (const each of [follower, restarted]) each.caughtUp();
  for (const { access } of [hub, follower, restarted])
    expect(access.admit(pod, "token.read").role).toBe("agent");
  expect(hub.stops.list()).toEqual([]);
  expect(store.listAuditEvents({ limit: 9 }).events.map(({ event }) => [event.type, event.reason])).toEqual([
    ["principal.stop_lifted", pod.name],
    ["principal.stopped", pod.name],
  ]);
});

it("records a stop once, and lists what is stopped by name", async () => {
  const { store, daemon } = world;
  const { stops } = daemon();
  for (const { name } of [pod, other, pod]) await stops.put(name, true, owner);
  await stops.put("uid:1000", false, owner);
  expect(stops.list().map(({ principal }) => principal)).toEqual([other.name, pod.name]);
  expect(store.listAuditEvents({ limit: 9 }).events).toHaveLength(2);
});

it("stops a thousand at most, and goes on to refuse those", async () => {
  const { store, daemon } = world;
  const all = Array.from({ length: 1_000 }, (_, at) => ({ principal: `uid:${at}` }));
  const bytes = toBinary(StopsRecordSchema, create(StopsRecordSchema, { stops: all }));
  await store.commit((tx) => void tx.raw(({ meta }) => meta.putSync("stops", bytes)));
  const { stops, access } = daemon();
  await expect(stops.put(pod.name, true, owner)).rejects.toThrow(FailedPrecondition);
  expect(access.admit(pod, "token.read").role).toBe("agent");
  expect(() => access.admit({ name: "uid:999", kind: "uid" }, "self.read")).toThrow(Unauthenticated);
});

it("is refused by an older nexusd from then on, which would not know of it", async () => {
  const { store, daemon } = world;
  const form = () => store.raw(storeRecordOf).schemaVersion;
  const { stops } = daemon();
  await stops.put(pod.name, false, owner);
  expect(form()).toBe(forms.first);
  await stops.put(pod.name, true, owner);
  expect(form()).toBe(forms.accessLimits);
});
