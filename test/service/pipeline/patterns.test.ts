import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

const folder = join(import.meta.dirname, "../../../proto/nexus");
const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((file) =>
  file.endsWith(".proto"),
);
const patterns = files.flatMap((file) => {
  const found = readFileSync(join(folder, file), "utf8").matchAll(/pattern(?::| =) ("(?:[^"\\]|\\.)*")/g);
  return [...found].map(([, text = ""]) => JSON.parse(text) as string);
});

describe("the patterns of the contract", () => {
  it("are found", () => expect(patterns.length).toBeGreaterThan(20));

  it.each([...new Set(patterns)])(
    "%s means the same to V8 as to RE2, and is matched in linear time",
    (pattern) => {
      expect(() => new RegExp(pattern, "u")).not.toThrow();
      expect(pattern).toMatch(/^\^.*\$$/);
      // Classes, flags and assertions that the two read in different ways.
      expect(pattern).not.toMatch(/\(\?|\\[^x.*]/);
      // A repetition without a limit within another one.
      expect(pattern).not.toMatch(/\([^)]*(?:[+*]|,\})[^)]*\)(?:[+*]|\{)/);
    },
  );
});
