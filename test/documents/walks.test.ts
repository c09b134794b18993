import { readdirSync, readFileSync } from "node:fs";
import { join, sep } from "node:path";
import { describe, expect, test } from "vitest";
import { layers } from "../architecture/rules.js";
import { limits as fileLimits } from "../walks/limits.js";
import { violationsOf, type Walk, walksOf } from "./walks.js";

const root = join(import.meta.dirname, "..", "..");
const document = readFileSync(join(root, "docs", "architecture.md"), "utf8");
const sources = Object.fromEntries(
  readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".ts"))
    .map((path) => [path.replaceAll(sep, "/"), readFileSync(join(root, "src", path), "utf8")]),
);

/** Stations at most. */
const limits: Readonly<Record<string, number>> = {
  "read a token": 10,
  "refresh a token": 11,
  consent: 7,
  "acquire a token": 8,
  "watch tokens": 7,
  "forward a call in a fleet": 8,
  "hold a request for a person": 10,
};

test("docs/architecture.md draws the seven walks as the code takes them", () => {
  const walks = walksOf(document);
  expect(walks.map(({ title }) => title)).toEqual(Object.keys(limits));
  for (const walk of walks) {
    expect(violationsOf(walk, sources)).toEqual([]);
    expect(walk.stations.length, walk.title).toBeLessThanOrEqual(limits[walk.title] ?? 0);
    expect(walk.stations.length, walk.title).toBeGreaterThan(5);
  }
});

test("docs/architecture.md says how many files each walk may run through, and of how many it should", () => {
  const rows = [...document.matchAll(/^\| ([^|(]+?)(?: \([^|]+\))? \| (\d+) \| (\d+) \| (\d+) \|$/gm)];
  const said = rows.map(([, title = "", ...numbers]) => [title, ...numbers.map(Number)]);
  expect(said).toEqual(
    Object.entries(limits).map(([title, steps]) => [
      title,
      steps,
      fileLimits[title]?.atMost,
      fileLimits[title]?.goal,
    ]),
  );
});

test("docs/architecture.md names every layer and every room of the domain", () => {
  const rooms = readdirSync(join(root, "src", "domain"));
  const rows = [...document.matchAll(/^\| `(\w+)` \|/gm)].map(([, name]) => name);
  for (const layer of Object.keys(layers).filter((name) => !["daemon", "main"].includes(name)))
    expect(rows).toContain(layer);
  for (const room of rooms) expect(rows).toContain(room);
});

describe("the checker refuses", () => {
  const files = {
    "a.ts": "export class A {\n  read(): void {\n    this.deps.b.open();\n  }\n}\n",
    "b.ts": "export class B {\n  open(): void {}\n}\n",
  };
  const walk = (text: string): Walk => {
    const [first] = walksOf(`### Walk: w\n\n${text}`);
    if (!first) throw new Error("no walk");
    return first;
  };

  test("nothing of a walk that is so", () => {
    expect(violationsOf(walk("1. `a.ts` `A.read`\n2. `b.ts` `B.open`"), files)).toEqual([]);
    expect(violationsOf(walk("1. `a.ts` `A.read`\n2. `b.ts` `B.open` as `b`"), files)).toEqual([
      "w: no station before b.ts calls b",
    ]);
  });

  test.each([
    ["1. `a.ts` `A.read`\n2. `c.ts` `C.open`", "w: c.ts does not exist"],
    ["1. `a.ts` `A.read`\n2. `b.ts` `C.open`", "w: b.ts has no C"],
    ["1. `a.ts` `A.write`", "w: a.ts does not define write"],
    ["1. `b.ts` `B.open`\n2. `a.ts` `A.read`", "w: no station before a.ts calls read"],
  ])("%s", (text, violation) => {
    expect(violationsOf(walk(text), files)).toContain(violation);
  });

  test("an item without a file and a symbol", () => {
    expect(() => walksOf("### Walk: w\n\n1. `a.ts` reads\n")).toThrow("names no file and symbol");
  });
});
