import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Sight } from "../../../src/domain/access/access_control.js";
import { SeenIds } from "../../../src/domain/access/seen_ids.js";
import { DataLoss } from "../../../src/model/errors.js";
import { Changes } from "../../../src/runtime/changes.js";
import type { Store } from "../../../src/store/store.js";
import { aConnection, aProfile, seesAll } from "../../samples.js";
import { openStore } from "../../store/temporary_store.js";

describe("the connections that a restricted caller sees", () => {
  let store: Store;
  let changes: Changes;
  let seen: SeenIds;
  beforeEach(async () => {
    store = openStore();
    changes = new Changes();
    vi.spyOn(store, "changesSince");
    seen = new SeenIds({ store, changes });
    await store.commit((tx) => tx.putProvider(aProfile({ id: "p1" })));
    await put("a1", "ada");
    await put("b1", "bob");
    await put("a2", "ada");
  });
  afterEach(() => store.close());

  const walked = () => vi.mocked(store.changesSince).mock.results.flatMap(({ value }) => value).length;
  const put = (id: string, userId: string, more = {}) =>
    store.commit((tx) => tx.putConnection(aConnection({ id, userId, providerId: "p1", ...more })));
  const of = (...users: string[]): Sight => ({
    ...seesAll,
    isRestricted: true,
    seesConnection: ({ userId }) => users.includes(userId),
    epochOf: (epoch) => `${epoch}.${users}`,
  });
  const idsOf = async (view: Sight) => [...((await seen.idsOf(view)) ?? ["too many"])].sort();

  it("are found once, and follow what is made, changed and deleted", async () => {
    expect(await idsOf(of("ada"))).toEqual(["a1", "a2"]);
    expect(walked()).toBe(3);
    await put("a3", "ada");
    await put("b2", "bob");
    await store.commit((tx) => tx.deleteConnection("a1"));
    expect(await idsOf(of("ada"))).toEqual(["a2", "a3"]);
    // The log has what is new alone.
    expect(walked()).toBe(3 + 3);
    expect(await idsOf(of("ada"))).toEqual(["a2", "a3"]);
    expect(walked()).toBe(3 + 3);
  });

  it("are found in one walk for all who ask at once", async () => {
    const views = Array.from({ length: 50 }, (_, index) =>
      of(index % 2 === 0 ? "ada" : "bob", `user ${index}`),
    );
    const found = await Promise.all(views.map(idsOf));
    expect(found[0]).toEqual(["a1", "a2"]);
    expect(found[49]).toEqual(["b1"]);
    expect(walked()).toBe(3);
  });

  it("are not told to a caller that is not restricted, nor where they are too many", async () => {
    expect(await seen.idsOf({ ...of("ada"), isRestricted: false })).toBeUndefined();
    await store.commit((tx) => {
      for (let index = 0; index < 1_001; index++)
        tx.putConnection(aConnection({ id: `many${index}`, userId: "eve" }));
    });
    expect(await idsOf(of("eve"))).toEqual(["too many"]);
    expect(await idsOf(of("ada"))).toEqual(["a1", "a2"]);
    const before = walked();
    expect(await idsOf(of("eve"))).toEqual(["too many"]);
    expect(walked()).toBe(before);
  });

  it("are others by another policy, and those of the first when it is back", async () => {
    let users = ["ada"];
    const view: Sight = {
      ...seesAll,
      isRestricted: true,
      seesConnection: ({ userId }) => users.includes(userId),
      epochOf: (epoch) => `${epoch}.${users}`,
    };
    const asked = seen.idsOf(view);
    // While the walk is under way.
    users = ["bob"];
    expect(await asked).toBeUndefined();
    expect(await idsOf(view)).toEqual(["b1"]);
    users = ["ada"];
    expect(await idsOf(view)).toEqual(["a1", "a2"]);
  });

  it("are judged anew when a profile has another name, and by the old one when it is deleted", async () => {
    let name = "acme";
    const view: Sight = {
      ...seesAll,
      isRestricted: true,
      seesConnection: ({ providerId, providerName }) =>
        (providerId === "p1" ? name : providerName) === "acme",
      epochOf: (epoch) => `${epoch}.acme`,
    };
    await put("old", "ada", { providerId: "gone", providerName: "acme" });
    await put("older", "ada", { providerId: "gone", providerName: "other" });
    expect(await idsOf(view)).toEqual(["a1", "a2", "b1", "old"]);
    name = "other";
    changes.emit("provider", "p1");
    expect(await idsOf(view)).toEqual(["old"]);
  });

  it("are not told where a record cannot be read, and are found when it can", async () => {
    let isDamaged = true;
    const view: Sight = {
      ...of("ada"),
      seesConnection: ({ userId }) => {
        if (isDamaged) throw new DataLoss("the provider profile cannot be read");
        return userId === "ada";
      },
    };
    expect(await Promise.all([idsOf(view), idsOf(of("bob"))])).toEqual([["too many"], ["too many"]]);
    isDamaged = false;
    expect(await Promise.all([idsOf(view), idsOf(of("bob"))])).toEqual([["a1", "a2"], ["b1"]]);
  });
});
