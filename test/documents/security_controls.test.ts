import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";

const root = join(import.meta.dirname, "../..");
const page = readFileSync(join(root, "docs/security/controls.md"), "utf8");

/** Version 1.01 removed it. */
const removed = "10.2.6";

/** Requirements of each section of a chapter. */
const chapters: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  C9: { "9.1": 3, "9.2": 11, "9.3": 9, "9.4": 4, "9.5": 7, "9.6": 3 },
  C10: { "10.1": 3, "10.2": 10, "10.3": 6, "10.4": 21 },
  ASI: { ASI: 10 },
  V10: { "10.1": 2, "10.2": 3, "10.3": 5, "10.4": 16, "10.5": 5, "10.6": 2, "10.7": 3 },
};

/** The title of the test of each requirement, by chapter. */
const titles = parse(readFileSync(join(import.meta.dirname, "controls.yaml"), "utf8")) as Readonly<
  Record<string, Readonly<Record<string, string>>>
>;

interface Row {
  readonly id: string;
  readonly ids: readonly string[];
  readonly state: string;
  readonly test: string;
}

function rowsOf(chapter: string): Row[] {
  const [, section = ""] = page.split(new RegExp(`^## .*\\b${chapter}\\)$`, "m"));
  const [table = ""] = section.split(/^## /m);
  return [
    ...table.matchAll(/^\| ([\d.]+|ASI\d\d)(?: to [\d.]+\.(\d+))? \| ([a-z ]+) \| .* \| (.*) \|$/gm),
  ].map(([, first = "", last, state = "", test = ""]) => {
    if (first.startsWith("ASI")) return { id: first, ids: [`ASI.${Number(first.slice(3))}`], state, test };
    const [, folder = "", from = ""] = /^([\d]+\.[\d]+)\.(\d+)$/.exec(first) ?? [];
    const count = Number(last ?? from) - Number(from) + 1;
    const ids = Array.from({ length: count }, (_, at) => `${folder}.${Number(from) + at}`);
    return { id: first, ids, state, test };
  });
}

describe.each(Object.entries(chapters))("docs/security/controls.md, %s", (chapter, sections) => {
  const rows = rowsOf(chapter);

  it("has a row for each requirement, and no other", () => {
    const wanted = Object.entries(sections).flatMap(([section, count]) =>
      Array.from({ length: count }, (_, at) => `${section}.${at + 1}`),
    );
    const ids = rows.flatMap((row) => row.ids);
    expect(ids).toEqual(wanted.filter((id) => chapter !== "C10" || id !== removed));
  });

  it("has a title for each test, and for nothing else", () => {
    const tested = rows.flatMap(({ id, test }) => (test === "-" ? [] : [id]));
    expect(Object.keys(titles[chapter] ?? {}).toSorted()).toEqual(tested.toSorted());
  });

  it.each(rows)("names a test that exists where something is done: $ids", ({ id, state, test }) => {
    const isDone = ["done", "partly"].includes(state);
    expect(isDone || ["not done", "not ours"].includes(state)).toBe(true);
    if (!isDone) return expect(test).toBe("-");
    const [, file = ""] = /^`(test\/\S+\.test\.ts)`$/.exec(test) ?? [];
    const title = titles[chapter]?.[id] ?? "no title in controls.yaml";
    expect(existsSync(join(root, file)) && file).toBe(file);
    const isThere = readFileSync(join(root, file), "utf8").includes(`"${title}"`);
    expect([title, isThere]).toEqual([title, true]);
  });
});
