import { describe, expect, it } from "vitest";
import { CompiledConfinement, type Confinement, confinementFaults } from "../../src/model/confinement.js";

const id = "0b9f1c1e-5b1e-4f0a-8a53-0d6d5a3b1f00";
const provider = { id: "11111111-1111-4111-8111-111111111111", name: "github" };
const connection = { kind: "connection", connectionId: id, userId: "acme:eva", provider } as const;

const contains = (
  confinement: Confinement,
  resource: Parameters<CompiledConfinement["contains"]>[0],
): boolean => new CompiledConfinement(confinement).contains(resource);

describe("a confinement", () => {
  it.each<[Confinement, boolean]>([
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
  ])("%j holds a connection: %s", (confinement, expected) => {
    expect(contains(confinement, connection)).toBe(expected);
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
    const confinement = { connectionIds: [id] };
    expect(contains(confinement, { kind: "new", userId: "acme:eva", provider })).toBe(false);
    for (const held of [true, false]) {
      const holdsAny = (ids: Iterable<string>): boolean => held && [...ids].includes(id);
      expect(contains(confinement, { kind: "provider", provider, holdsAny })).toBe(held);
    }
  });

  it("by users holds every provider, and new connections of these users alone", () => {
    const confinement = { userIds: ["ada"] };
    expect(contains(confinement, { kind: "provider", provider, holdsAny: () => false })).toBe(true);
    expect(contains(confinement, { kind: "new", userId: "ada", provider })).toBe(true);
    expect(contains(confinement, { kind: "new", userId: "bob", provider })).toBe(false);
  });

  it("is told what is wrong with it, each entry by its place", () => {
    expect(confinementFaults({})[0]?.field).toBe("");
    expect(
      confinementFaults({
        userIds: ["ok", "", "a*b", "x".repeat(257), "a\nb", "end*"],
        providers: ["github", "*", "git*", "Git"],
        connectionIds: [id, "*", id.toUpperCase()],
      }).map(({ field }) => field),
    ).toEqual([
      "user_ids[1]",
      "user_ids[2]",
      "user_ids[3]",
      "user_ids[4]",
      "providers[2]",
      "providers[3]",
      "connection_ids[1]",
      "connection_ids[2]",
    ]);
    expect(confinementFaults({ userIds: Array.from({ length: 1_001 }, (_, n) => `u${n}`) })[0]?.field).toBe(
      "user_ids",
    );
  });
});
