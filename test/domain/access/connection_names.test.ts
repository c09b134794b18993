import { expect, test } from "vitest";
import { ConnectionNames } from "../../../src/domain/access/connection_names.js";
import type { Connection } from "../../../src/model/connections/connection.js";
import { newId } from "../../../src/model/ids.js";
import { perTest } from "../../lifetimes.js";
import { Engine } from "../engine.js";

const world = perTest(() => {
  const engine = new Engine();
  const { store, access, changes } = engine;
  return { engine, names: new ConnectionNames({ store, access, changes }), close: () => engine.close() };
});
const owner = { name: "owner", kind: "owner" } as const;

async function put(connection: Connection): Promise<Connection> {
  await world.engine.store.commit((tx) => tx.putConnection(connection));
  return connection;
}

test("what a name names follows every change of the connections that have it", async () => {
  const { engine, names } = world;
  const profile = await engine.provider("op");
  const first = await put({ ...(await engine.connection(profile)), userId: "ada" });
  const find = (userId = "ada") => names.findFor({ providerName: "op", userId, label: first.label }, owner);
  expect(find()).toBe(first.id);
  const older = await put({ ...first, id: newId(), createdAtMs: first.createdAtMs - 1 });
  expect(find()).toBe(older.id);
  await put({ ...older, status: "revoked" });
  expect(find()).toBe(first.id);
  await put({ ...first, label: "work" });
  expect(find()).toBe(older.id);
  expect(names.findFor({ providerName: "op", userId: "ada", label: "work" }, owner)).toBe(first.id);
  expect(find("bob")).toBeUndefined();
  const bobs = await put({ ...first, id: newId(), userId: "bob" });
  expect(find("bob")).toBe(bobs.id);
});

test("a provider that was renamed has its connections under the new name alone", async () => {
  const { engine, names } = world;
  const profile = await engine.provider("op");
  const { id, userId, label } = await engine.connection(profile);
  const find = (providerName: string) => names.findFor({ providerName, userId, label }, owner);
  expect(find("op")).toBe(id);
  await engine.store.commit((tx) => tx.putProvider({ ...profile, name: "other" }));
  engine.changes.emit("provider", profile.id);
  expect([find("op"), find("other")]).toEqual([undefined, id]);
});
