import { expect, test } from "vitest";
import { nameKey, parseNamePath } from "../../../src/model/connections/connection_name.js";

const parse = (path: string) => parseNamePath(path.split("/"));

test.each([
  ["github/ada", { providerName: "github", userId: "ada", label: "" }],
  ["github/ada/work", { providerName: "github", userId: "ada", label: "work" }],
  ["github/a%2Fb%40c/%C3%A9", { providerName: "github", userId: "a/b@c", label: "é" }],
])("%s is a name", (path, name) => {
  expect(parse(path)).toEqual(name);
});

test.each([
  ["one part", "github"],
  ["four parts", "github/ada/work/more"],
  ["no user", "github/"],
  ["no provider", "/ada"],
  ["an empty label", "github/ada/"],
  ["a control character", "github/a%00"],
  ["half of a percent sign", "github/a%2"],
  ["what is no UTF-8", "github/%ff"],
  ["a user that is too long", `github/${"a".repeat(257)}`],
  ["a label that is too long", `github/ada/${"a".repeat(65)}`],
])("%s makes no name", (_what, path) => {
  expect(parse(path)).toBeUndefined();
});

test("no two names share a key", () => {
  const one = nameKey({ providerId: "p", userId: "a", label: "b,c" });
  expect(one).not.toBe(nameKey({ providerId: "p", userId: "a,b", label: "c" }));
});
