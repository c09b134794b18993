import { describe, expect, it } from "vitest";
import {
  bothSignIns,
  coversSignIn,
  type SignInNeed,
  signInFlaw,
  signInNeed,
} from "../../../src/model/connections/sign_in.js";

const need = (text = "", maxAgeSeconds?: number): SignInNeed => ({
  acrValues: text === "" ? [] : text.split(" "),
  maxAgeSeconds,
});

describe("coversSignIn", () => {
  it.each([
    [need("a"), need("a b"), true],
    [need("a c"), need("a b"), false],
    [need(), need("a"), false],
    [need("a"), need(), true],
    [need("a", 60), need("a", 60), true],
    [need("a", 61), need("a", 60), false],
    [need("a"), need("a", 60), false],
    [undefined, need("", 60), false],
    [undefined, undefined, true],
  ])("%j for %j: %s", (asked, wanted, covers) => {
    expect(coversSignIn(asked, wanted)).toBe(covers);
  });
});

it.each([
  [need("a b", 60), need("b c", 30), need("b", 30)],
  [need("a"), need("b"), need("b")],
  [need("a"), need("", 60), need("a", 60)],
  [undefined, need("a"), need("a")],
  [need("a"), undefined, need("a")],
])("bothSignIns of %j and %j", (asked, wanted, both) => {
  expect(bothSignIns(asked, wanted)).toEqual(both);
});

it("is no need where nothing is asked for", () => {
  expect(signInNeed([], undefined)).toBeUndefined();
  expect(signInNeed([], 0)).toEqual({ acrValues: [], maxAgeSeconds: 0 });
});

describe("signInFlaw", () => {
  const now = 1_000_000;
  const [acr, age] = [need("silver gold"), need("", 60)];
  /** Requested 200 s ago. */
  const flaw = (wanted: SignInNeed, claims: object) =>
    signInFlaw({ ...wanted, requestedAtMs: (now - 200) * 1000 }, { ...claims }, now * 1000);

  it.each([
    [acr, { acr: "gold" }],
    [age, { auth_time: now }],
    [age, { auth_time: now - 60 }],
    // Within the tolerance, and after the request.
    [age, { auth_time: now - 89 }],
    [age, { auth_time: now - 200 }],
    [need("", 0), { auth_time: now - 199 }],
    [need("", 3600), { auth_time: now - 3600 }],
    [need("gold", 60), { acr: "gold", auth_time: now }],
  ])("%j is met by %j", (wanted, claims) => {
    expect(flaw(wanted, claims)).toBeUndefined();
  });

  it.each([
    [acr, {}, "the id_token has no acr, and acr_values has silver gold"],
    [acr, { acr: "bronze" }, "the id_token has another acr"],
    [acr, { acr: "silver gold" }, "another acr"],
    [acr, { acr: ["gold"] }, "another acr"],
    [age, {}, "the id_token has no auth_time"],
    [age, { auth_time: `${now}` }, "has no auth_time"],
    [age, { auth_time: now - 231 }, "the sign-in is older than the 60 s of max_age"],
    [need("", 3600), { auth_time: now - 3631 }, "older than the 3600 s"],
    [age, { auth_time: now * 1000 }, "is yet to come"],
    [need("gold", 60), { acr: "gold", auth_time: 1 }, "is older"],
  ])("%j is not met by %j", (wanted, claims, words) => {
    expect(flaw(wanted, claims)).toContain(words);
  });
});
