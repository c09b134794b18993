import { describe, expect, it } from "vitest";
import {
  CompiledRestriction,
  describeRestriction,
  type Restriction,
  restrictionViolations,
} from "../../../src/model/access/scope_restriction.js";

const id = "0b9f1c1e-5b1e-4f0a-8a53-0d6d5a3b1f00";
const provider = { id: "11111111-1111-4111-8111-111111111111", name: "github" };
const facts = { connectionId: id, userId: "acme:eva", provider, label: "work" } as const;
const connection = { kind: "connection", ...facts } as const;

const contains = (
  restriction: Restriction,
  resource: Parameters<CompiledRestriction["contains"]>[0],
): boolean => new CompiledRestriction(restriction).contains(resource);

describe("a restriction", () => {
  it.each<[Restriction, boolean]>([
    [{ userIds: ["acme:eva"] }, true],
    [{ userIds: ["acme:*"] }, true],
    [{ userIds: ["*"] }, true],
    [{ userIds: ["acme:ev", "acme:eva2", "eva"] }, false],
    [{ userIds: ["Acme:*"] }, false],
    [{ providers: ["github"] }, true],
    [{ providers: [provider.id] }, true],
    [{ providers: ["git"] }, false],
    [{ providers: ["*"] }, true],
    [{ connectionIds: [id] }, true],
    [{ connectionIds: [provider.id] }, false],
    [{ userIds: ["acme:eva"], providers: ["slack"] }, false],
    [{ userIds: ["acme:eva"], providers: ["github"], connectionIds: [id] }, true],
    [{ userIds: [] }, false],
    [{ userIds: ["*"], labels: ["work"] }, true],
    [{ userIds: ["*"], labels: ["w*"] }, true],
    [{ userIds: ["*"], labels: ["", "home"] }, false],
    [{ userIds: ["bob"], labels: ["work"] }, false],
  ])("%j holds a connection: %s", (restriction, expected) => {
    expect(contains(restriction, connection)).toBe(expected);
  });

  it("by the id of a provider does not hold one that is named with it", () => {
    const named = { id: "22222222-2222-4222-8222-222222222222", name: provider.id };
    for (const kind of ["connection", "new", "provider"] as const) {
      const resource = { ...connection, kind, provider: named, holdsAny: () => true };
      expect(contains({ providers: [provider.id] }, resource as Parameters<typeof contains>[1])).toBe(false);
      expect(contains({ providers: [named.id] }, resource as Parameters<typeof contains>[1])).toBe(true);
    }
  });

  it("by connections alone holds no new one, and the providers of those that it names", () => {
    const restriction = { connectionIds: [id] };
    expect(contains(restriction, { kind: "new", userId: "acme:eva", provider })).toBe(false);
    for (const held of [true, false]) {
      const holdsAny = (ids: Iterable<string>): boolean => held && [...ids].includes(id);
      expect(contains(restriction, { kind: "provider", provider, holdsAny })).toBe(held);
    }
  });

  it("by users holds every provider, and new connections of these users alone", () => {
    const restriction = { userIds: ["ada"] };
    expect(contains(restriction, { kind: "provider", provider, holdsAny: () => false })).toBe(true);
    expect(contains(restriction, { kind: "new", userId: "ada", provider })).toBe(true);
    expect(contains(restriction, { kind: "new", userId: "bob", provider })).toBe(false);
  });

  it("does not judge the user and the provider that a new connection leaves out", () => {
    const restriction = { userIds: ["ada*"], providers: ["github"] };
    expect(contains(restriction, { kind: "new", userId: undefined, provider: undefined })).toBe(true);
  });

  it("by labels holds new connections with these alone, and one that is gone, whose label nobody knows", () => {
    const restriction = { userIds: ["*"], labels: [""] };
    const request = { kind: "new", userId: "ada", provider } as const;
    expect(contains(restriction, { ...request, label: "" })).toBe(true);
    expect(contains(restriction, { ...request, label: "work" })).toBe(false);
    expect(contains(restriction, { ...connection, label: undefined })).toBe(true);
  });

  it("is described in one sentence", () => {
    const lists = {
      userIds: ["ada", "bob"],
      providers: ["github"],
      connectionIds: [id],
      labels: ["", "work"],
    };
    expect(describeRestriction({ ...lists, methods: ["GET"], paths: ["/*"] })).toBe(
      `users ada, bob; providers github; connections ${id}; labels "", work; methods GET; paths /*`,
    );
    expect(describeRestriction({ labels: ["work"] })).toBe("labels work");
  });

  it("is told what is wrong with it, each entry by its place", () => {
    expect(restrictionViolations({})[0]?.field).toBe("");
    expect(restrictionViolations({ labels: ["work"] })[0]?.field).toBe("");
    expect(
      restrictionViolations({
        userIds: ["ok", "", "a*b", "x".repeat(257), "a\nb", "*a", "end*", "x".repeat(256)],
        providers: ["github", "*", "git*", "Git"],
        connectionIds: [id, "*", id.toUpperCase()],
        labels: ["", "work", "a*b"],
        methods: ["GET", "M-SEARCH", "get", "GET ", " GET", "G".repeat(21)],
        paths: ["/", "/v1/*", "v1", "/a b", "/*/x", `/${"x".repeat(511)}`, `/${"x".repeat(512)}`],
      }).map(({ field }) => field),
    ).toEqual(
      Object.entries({
        user_ids: [1, 2, 3, 4, 5],
        providers: [2, 3],
        connection_ids: [1, 2],
        labels: [2],
        methods: [2, 3, 4, 5],
        paths: [2, 3, 4, 6],
      }).flatMap(([list, places]) => places.map((place) => `${list}[${place}]`)),
    );
    const many = (length: number) => restrictionViolations({ userIds: Array<string>(length).fill("u") });
    expect([many(1_000), many(1_001)]).toMatchObject([[], [{ field: "user_ids" }]]);
  });
});
