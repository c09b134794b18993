import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { inWords, patternWords } from "../../src/model/pattern_words.js";

it("has words for every pattern of the contract, and for no other", () => {
  const folder = join(import.meta.dirname, "../../proto/nexus/v1");
  const protos = readdirSync(folder).map((name) => readFileSync(join(folder, name), "utf8"));
  const patterns = protos.flatMap((text) =>
    [...text.matchAll(/\bpattern(?::| =) ("[^"]*")/g)].map(
      ([, quoted]) => JSON.parse(quoted ?? "") as string,
    ),
  );
  expect([...patternWords.keys()].toSorted()).toEqual([...new Set(patterns)].toSorted());
});

it("says them instead of the pattern, and leaves other messages as they are", () => {
  expect(inWords("must match regex pattern `^[0-9a-f]{16}$`")).toBe(
    "must be 16 hexadecimal digits in lower case",
  );
  expect(inWords("must be at most 63 characters")).toBe("must be at most 63 characters");
  expect(inWords("must be at least 1 characters")).toBe("must not be empty");
});
