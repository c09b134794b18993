import { describe, expect, it } from "vitest";
import { actingUser } from "../../../../src/ext/mcp/tools/tool.js";

const loginName = { userId: "root", isLoginName: true };
const given = { userId: "root", isLoginName: false };
const byModel = { userId: undefined, isLoginName: false };
const users = (...lists: string[][]) =>
  lists.map((userIds) => ({ userIds, providers: [], connectionIds: [] }));

describe("actingUser", () => {
  it.each([
    ["of a key for one user", users(["ada"]), "ada"],
    ["of a key for one user within the policy file", users(["acme:ada"], ["acme:*"]), "acme:ada"],
    ["of the policy file where the key is for more", users(["*"], ["ada"]), "ada"],
    ["that both restrictions name", users(["ada", "bob"], ["bob", "eve"]), "bob"],
    ["that the machine has, where the key is for it too", users(["ada", "root"]), "root"],
    ["that the machine has, where the key is for any", users(["*"]), "root"],
    ["that the machine has, where the key is restricted to other things", users([]), "root"],
    ["that the machine has, for an admin", [], "root"],
  ])("is the one %s", (_what, restrictions, expected) => {
    expect(actingUser(loginName, restrictions, undefined)).toBe(expected);
  });

  it.each([
    [
      loginName,
      users(["ada", "bob"]),
      undefined,
      "this key is for users ada, bob; you asked for root, your login name: start nexusd mcp with --user or --any-user",
    ],
    [
      loginName,
      users(["acme:*"]),
      undefined,
      "this key is for user acme:*; you asked for root, your login name: start nexusd mcp with --user or --any-user",
    ],
    [
      given,
      users(["ada"]),
      undefined,
      "this key is for user ada; you asked for root, as nexusd mcp --user says",
    ],
    [byModel, users(["ada"]), "bob", "this key is for user ada; you asked for bob: name another user"],
    [
      byModel,
      users([..."abcdefgh"]),
      "bob",
      "this key is for users a, b, c, d, e and 3 more; you asked for bob: name another user",
    ],
    [byModel, [], undefined, "user: name the user on whose behalf you act"],
  ])("of %j with a key for %j is never %s without a word", (policy, restrictions, named, words) => {
    expect(() => actingUser(policy, restrictions, named)).toThrow(words);
  });

  it("is whom the model names, where it may", () => {
    expect(actingUser(byModel, users(["a*"]), "ada")).toBe("ada");
  });
});
