import { expect, test } from "vitest";
import { AccessControl } from "../../../src/domain/access/access_control.js";
import { newId } from "../../../src/model/ids.js";
import { perTest } from "../../lifetimes.js";
import { Engine } from "../engine.js";

const engine = perTest(() => new Engine());

test("a provider has its present name also while its profile cannot be read", async () => {
  const profile = await engine.provider("op");
  const { id } = await engine.connection(profile);
  await engine.provider("other");
  await engine.store.commit((tx) => tx.putProvider({ ...profile, name: "renamed" }));
  engine.damage("providers", profile.id);
  const { store, changes, clock } = engine;
  const access = new AccessControl({ store, changes, clock, keys: { find: () => undefined } });
  expect(access.factsOf(id)?.provider).toEqual({ id: profile.id, name: "renamed" });
});

test("who calls for another is judged as both, and no call of it ends for that", async () => {
  const profile = await engine.provider("op");
  const adas = await engine.connection(profile);
  const bobs = { ...adas, id: newId(), userId: "bob" };
  const { store, changes, clock } = engine;
  const access = new AccessControl({ store, changes, clock, keys: { find: () => undefined } as never });
  const restriction = { userIds: ["*"] };
  const rule = { role: "agent", restriction, place: { text: "", line: 1 } } as const;
  const spoke = { name: "cert:spoke", kind: "certificate" } as const;
  const forAda = { ...spoke, onBehalfOf: { name: "key:ada", restrictions: [{ userIds: ["ada"] }] } };
  const rules = [{ verdict: "deny" }];
  access.setPolicy({ ruleFor: (name: string) => (name === spoke.name ? rule : undefined), rules } as never);
  expect(access.permissionsFor(forAda).requestRules).toEqual(rules);
  expect([adas, bobs].map((one) => access.viewOf(spoke).seesConnection(one))).toEqual([true, true]);
  expect([adas, bobs].map((one) => access.viewOf(forAda).seesConnection(one))).toEqual([true, false]);
  const ended: unknown[] = [];
  const admitted = access.admit(forAda, "token.read");
  access.hold(forAda, "token.read", admitted, (error) => ended.push(error), false);
  expect(ended).toEqual([]);
  // What is said of a caller takes away, and gives nothing: nobody stays nobody.
  const nobody = { ...forAda, name: "cert:other" };
  expect(access.permissionsFor(nobody).permissionFor("token.read")).toBe("denied");
  expect(access.viewOf(nobody).seesConnection(adas)).toBe(
    access.viewOf({ name: "cert:other" }).seesConnection(adas),
  );
  const admins = { name: "owner", onBehalfOf: forAda.onBehalfOf };
  expect(access.permissionsFor(admins).permissionFor("keyring.manage")).toBe("denied");
});
