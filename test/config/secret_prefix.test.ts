import { describe, expect, it } from "vitest";
import { loadConfig } from "../../src/config/config.js";

const prefixOf = (prefix: string): string =>
  loadConfig({ NEXUS_DATA_DIR: "/data", NEXUS_SDS_PREFIX: prefix }, {}, { isTTY: false }).proxy.secretPrefix;

describe("the prefix of secrets", () => {
  it.each(["nexus", "acme/prod", "a.b_c-d"])("may be %s", (prefix) => {
    expect(prefixOf(prefix)).toBe(prefix);
  });

  it.each(["/nexus", "nexus/", "a//b", "a b", "a/b/c/d/e", "x".repeat(65), "ü"])(
    "may not be %s",
    (prefix) => {
      expect(() => prefixOf(prefix)).toThrow("NEXUS_SDS_PREFIX");
    },
  );
});
