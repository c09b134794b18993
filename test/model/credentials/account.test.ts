import { describe, expect, it } from "vitest";
import {
  type Account,
  type AccountField,
  accountOf,
  accountSource,
  accountText,
  isOtherAccount,
  mergedAccount,
} from "../../../src/model/credentials/account.js";

const ada: Account = { subject: "1815", name: "Ada", email: "ada@example.com", login: "", source: "s" };

describe("accountOf", () => {
  const rows: readonly (readonly [name: string, value: unknown, text: string])[] = [
    ["a text", " Ada Lovelace ", "Ada Lovelace"],
    ["a number, as GitHub's id", 583_231, "583231"],
    ["zero", 0, "0"],
    ["a number that is not exact", 2 ** 53, ""],
    ["a fraction", 1.5, ""],
    ["nothing", undefined, ""],
    ["null", null, ""],
    ["an object", { toString: () => "x" }, ""],
    ["a list", ["x"], ""],
    ["true", true, ""],
    ["what steers a terminal", "\u001b[31mAda\u0007\r\n\u009b", "[31mAda"],
    ["what turns a text around", "\u202eada\u2066\u2069\u200f", "ada"],
    [
      "joiners of Persian, and an emoji of several parts",
      "\u0646\u06cc\u200c\u0633 \u{1f469}\u200d\u{1f680}",
      "\u0646\u06cc\u200c\u0633 \u{1f469}\u200d\u{1f680}",
    ],
    ["half a character", "a\ud800b", "ab"],
    ["256 characters", "x".repeat(256), "x".repeat(256)],
    ["257 characters", "x".repeat(257), ""],
  ];
  it.each(rows)("%s", (_name, value, text) => {
    const account = accountOf((field: AccountField) => (field === "name" ? value : "1"), "s");
    expect(account).toEqual({ subject: "1", name: text, email: "1", login: "1", source: "s" });
  });

  it("is undefined when nothing was said", () => {
    expect(accountOf(() => undefined, "s")).toBeUndefined();
  });
});

describe("accounts", () => {
  it("are others only when both are known by one source", () => {
    expect(isOtherAccount(ada, { ...ada, subject: "1816" })).toBe(true);
    for (const now of [undefined, ada, { ...ada, subject: "" }, { ...ada, subject: "1816", source: "t" }]) {
      expect(isOtherAccount(ada, now)).toBe(false);
      expect(isOtherAccount(now, ada)).toBe(false);
    }
    expect(accountSource("a", "bc")).not.toBe(accountSource("ab", "c"));
  });

  it("add up when they are one, and replace one another when they are not", () => {
    expect(mergedAccount(ada, { ...ada, email: "", login: "ada" })).toEqual({ ...ada, login: "ada" });
    expect(mergedAccount(ada, { ...ada, subject: "", name: "Countess", source: "t" })).toEqual({
      ...ada,
      name: "Countess",
    });
    const bob = { subject: "2", name: "", email: "", login: "bob", source: "s" };
    expect(mergedAccount(ada, bob)).toEqual(bob);
    expect(mergedAccount(undefined, bob)).toEqual(bob);
  });

  it("are shown by what people know them by", () => {
    expect([ada, { ...ada, email: "" }, { ...ada, email: "", name: "" }, undefined].map(accountText)).toEqual(
      ["ada@example.com", "Ada", "1815", ""],
    );
  });
});
