import { beforeEach, expect, test, vi } from "vitest";
import type { AccessControl } from "../../../src/domain/access/access_control.js";
import { Policy } from "../../../src/model/access/policy.js";
import type { Rule } from "../../../src/model/access/rules.js";
import type { Restriction } from "../../../src/model/access/scope_restriction.js";
import { newId } from "../../../src/model/ids.js";
import { perTest } from "../../lifetimes.js";
import { Engine, startMs } from "../engine.js";

const engine = perTest(() => new Engine());
let access: AccessControl;
beforeEach(() => {
  ({ access } = engine);
});
const spoke = { name: "cert:spoke", kind: "certificate" } as const;
const bind = (restriction: Restriction, of?: "file" | "cluster", rules: Rule[] = []): void => {
  const binding = { principals: [spoke.name], role: "agent", restriction, line: 1 } as const;
  access.setPolicy(new Policy([binding], "", rules), of);
};

test("what is judged of a connection follows its record and its provider, whose profile may be unreadable", async () => {
  const profile = await engine.provider("op");
  const connection = await engine.connection(profile);
  const facts = () => access.factsOf(connection.id);
  expect(facts()).toMatchObject({ label: "", provider: { name: "op" } });
  await engine.store.commit((tx) => tx.putConnection({ ...connection, label: "work" }));
  expect(facts()?.label).toBe("work");
  await engine.provider("other");
  await engine.store.commit((tx) => tx.putProvider({ ...profile, name: "renamed" }));
  engine.changes.emit("provider", profile.id);
  engine.damage("providers", profile.id);
  expect(facts()?.provider).toEqual({ id: profile.id, name: "renamed" });
  await engine.store.commit((tx) => tx.deleteConnection(connection.id));
  expect(facts()).toBeUndefined();
});

test("a restricted caller sees changes and providers within its restriction alone, by an epoch of its own", async () => {
  const [op, other] = [await engine.provider("op"), await engine.provider("other")];
  const { id: connectionId } = await engine.connection(op);
  const view = access.viewOf(spoke);
  const change = { connectionId, userId: "ada", providerId: op.id };
  bind({ connectionIds: [newId(), connectionId], providers: ["op", "other"] });
  expect([op, other].map((each) => view.seesProvider(each))).toEqual([true, false]);
  expect(view.seesChange(change)).toBe(true);
  const first = view.epochOf("e");
  bind({ userIds: ["bob"] });
  expect(first).toMatch(/^e\../);
  expect(view.epochOf("e")).not.toBe(first);
  // Of a connection that is gone, the change says whose it was.
  const seen = ["ada", "bob"].map((userId) => view.seesChange({ ...change, connectionId: newId(), userId }));
  expect([view.seesChange(change), ...seen]).toEqual([false, false, true]);
  const all = access.viewOf({ name: "owner" });
  expect([all.isRestricted, all.seesChange(change), all.seesProvider(other)]).toEqual([false, true, true]);
  expect(all.epochOf("e")).toBe("e");
});

test("a binding of the cluster counts before those of the file", () => {
  const usersOf = () => access.permissionsOf(spoke.name).rules.map(({ restriction }) => restriction?.userIds);
  bind({ userIds: ["file"] });
  bind({ userIds: ["cluster"] }, "cluster");
  expect(usersOf()).toEqual([["cluster"]]);
  access.setPolicy(undefined, "cluster");
  expect(usersOf()).toEqual([["file"]]);
});

test("a call ends with the proof of its caller, to the millisecond, and never once it is over", () => {
  const caller = { ...spoke, expiresAtMs: startMs + 1_000 };
  const ended: string[] = [];
  const hold = (name: string) =>
    access.hold(caller, "token.read", access.admit(caller, "token.read"), () => ended.push(name), true);
  bind({ userIds: ["ada"] });
  const release = hold("over");
  engine.changes.emit("keyRotated", caller.name, startMs + 500);
  release();
  engine.clock.advance(500);
  bind({ userIds: ["bob"] });
  hold("open");
  engine.clock.advance(499);
  access.refuseEnded(caller);
  expect(ended).toEqual([]);
  engine.clock.advance(1);
  expect(() => access.refuseEnded(caller)).toThrow("not valid any more");
  expect(ended).toEqual(["open"]);
});

test("a call of a principal that was stopped after it was admitted ends at once, with the reason", () => {
  bind({ userIds: ["ada"] });
  const admitted = access.admit(spoke, "token.read");
  access.setStopped(new Set([spoke.name]));
  const end = vi.fn();
  access.hold(spoke, "token.read", admitted, end, false);
  expect(end.mock.calls).toMatchObject([[{ message: expect.stringContaining("was stopped") }]]);
});

test("who calls for another is judged as both, and no call of it ends for that", async () => {
  const adas = await engine.connected();
  const bobs = { ...adas, id: newId(), userId: "bob" };
  const forAda = { ...spoke, onBehalfOf: { name: "key:ada", restrictions: [{ userIds: ["ada"] }] } };
  const rules = [{ verdict: "deny", asks: new Set() } as unknown as Rule];
  bind({ userIds: ["*"] }, "file", rules);
  expect(access.permissionsFor(forAda).requestRules).toEqual(rules);
  expect([adas, bobs].map((one) => access.viewOf(spoke).seesConnection(one))).toEqual([true, true]);
  expect([adas, bobs].map((one) => access.viewOf(forAda).seesConnection(one))).toEqual([true, false]);
  const end = vi.fn();
  access.hold(forAda, "token.read", access.admit(forAda, "token.read"), end, false);
  expect(end).not.toHaveBeenCalled();
  // What is said of a caller takes away, and gives nothing: nobody stays nobody.
  const nobody = { ...forAda, name: "cert:other" };
  expect(access.permissionsFor(nobody).permissionFor("token.read")).toBe("denied");
  const seen = [nobody, { name: "cert:other" }].map((each) => access.viewOf(each).seesConnection(adas));
  expect(seen[0]).toBe(seen[1]);
  const owners = access.permissionsFor({ ...forAda, name: "owner" });
  expect(owners.permissionFor("keyring.manage")).toBe("denied");
});
