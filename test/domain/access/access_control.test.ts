import { expect, test } from "vitest";
import { AccessControl } from "../../../src/domain/access/access_control.js";
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
