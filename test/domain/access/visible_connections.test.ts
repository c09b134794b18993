import { beforeEach, describe, expect, it } from "vitest";
import {
  type ConnectionFilter,
  isFound,
  VisibleConnections,
} from "../../../src/domain/access/visible_connections.js";
import { perTest } from "../../lifetimes.js";
import { aConnection } from "../../samples.js";
import { Engine } from "../engine.js";

describe("connections of a list", () => {
  const engine = perTest(() => new Engine());
  const list = (filter: Partial<ConnectionFilter>, user?: string) => {
    const all = { afterId: undefined, limit: 2, userId: undefined, providerId: undefined, status: undefined };
    const sees = user === undefined ? undefined : ({ userId }: { userId: string }) => userId === user;
    return new VisibleConnections({ store: engine.store }).list({ ...all, ...filter }, sees);
  };
  const idsOf = async (filter: Partial<ConnectionFilter>, user?: string) => {
    const { connections, nextAfterId } = await list(filter, user);
    return [connections.map(({ id }) => id).join(""), nextAfterId];
  };
  beforeEach(async () => {
    await engine.store.commit((tx) => {
      for (const [id, userId, status] of [
        ["a", "ada", "active"],
        ["b", "bob", "active"],
        ["c", "ada", "failed"],
      ] as const) {
        tx.putConnection(aConnection({ id, userId, status, providerId: id === "b" ? "p2" : "p1" }));
      }
    });
  });
  /** Of which the last is eve's. */
  const many = async () => {
    await engine.store.commit((tx) => {
      for (let i = 0; i < 1_100; i++) {
        const id = `d${String(i).padStart(4, "0")}`;
        tx.putConnection(aConnection({ id, userId: i === 1_099 ? "eve" : "ada" }));
      }
    });
  };

  it("come in the order of their ids, page by page", async () => {
    expect(await idsOf({})).toEqual(["ab", "b"]);
    expect(await idsOf({ afterId: "b" })).toEqual(["c", undefined]);
    expect(await idsOf({ limit: 3 })).toEqual(["abc", undefined]);
    expect(await idsOf({ limit: 3, afterId: "c" })).toEqual(["", undefined]);
  });

  it.each<[Partial<ConnectionFilter>, string]>([
    [{ userId: "ada" }, "ac"],
    [{ status: "active" }, "ab"],
    [{ providerId: "p2" }, "b"],
    [{ userId: "ada", status: "active" }, "a"],
    [{ userId: "nobody" }, ""],
  ])("by %j", async (filter, ids) => {
    expect(await idsOf({ ...filter, limit: 10 })).toEqual([ids, undefined]);
  });

  it("are looked for among 500 at a time, and the page says where to go on", async () => {
    await many();
    expect(await idsOf({ userId: "eve", afterId: "d" })).toEqual(["", "d0499"]);
    expect(await idsOf({ userId: "eve", afterId: "d0499" })).toEqual(["", "d0999"]);
    expect(await idsOf({ userId: "eve", afterId: "d0999" })).toEqual(["d1099", undefined]);
  });

  it("fill the page of a restricted caller, whose end names one that it sees", async () => {
    await many();
    expect(await idsOf({}, "eve")).toEqual(["d1099", undefined]);
    expect(await idsOf({ limit: 1 }, "ada")).toEqual(["a", "a"]);
  });

  it("let other work run every hundred", async () => {
    await many();
    let turns = 0;
    const count = (): void => {
      turns++;
      counting = setImmediate(count);
    };
    let counting = setImmediate(count);
    await list({ limit: 500 });
    clearImmediate(counting);
    expect(turns).toBeGreaterThanOrEqual(4);
  });
});

const ada = { id: "22222222-2222-4222-8222-222222222222", userId: "ada", label: "", providerName: "loc" };
const work = {
  ...ada,
  userId: "b/ob",
  label: "work",
  account: { subject: "7", name: "", email: "", login: "" },
};

it.each([
  ["", ada, true],
  ["LOC", ada, true],
  ["loc/ada", ada, true],
  ["Loc/A", ada, true],
  ["2222", ada, true],
  ["loc/b%2Fob/work", work, true],
  ["ob/work", work, true],
  ["loc/bob", ada, false],
  ["ada/loc", ada, false],
  ["loc/ada/work", ada, false],
  ["loc/b%2fob/home", work, false],
])("%j finds %o: %s", (search, connection, isThere) => {
  expect(isFound(connection, search)).toBe(isThere);
});
