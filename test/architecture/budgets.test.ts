import { readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { expect, it } from "vitest";
import { filesBelow, root } from "../tree.js";
import { budgets } from "./rules.js";
import { readSource } from "./source.js";

const files = new Map(
  ["src", "test", "bench", "scripts"]
    .flatMap(filesBelow)
    .filter((file) => /\.(ts|tsx|mjs|js|sh)$/.test(file))
    .map((file) => [file, readFileSync(join(root, file), "utf8")]),
);

const below = (folder: string): string[] => [...files.keys()].filter((file) => file.startsWith(folder));
const linesOf = (text: string): number => text.split("\n").length - 1;
const lines = (folder: string): number =>
  below(folder).reduce((sum, file) => sum + linesOf(files.get(file) ?? ""), 0);

function counts(): Record<keyof typeof budgets, number> {
  const extensions = new Set(
    below("src/ext/")
      .map((file) => file.split("/")[2] ?? "")
      .filter((name) => !name.includes(".")),
  );
  const { fleet, console, ...others } = Object.fromEntries(
    [...extensions].map((name) => [name, lines(`src/ext/${name}/`)]),
  );
  const source = lines("src/");
  return {
    core: source - lines("src/ext/"),
    src: source,
    extension: Math.max(...Object.values(others)),
    consoleExtension: console ?? 0,
    fleetExtension: fleet ?? 0,
    testsForSource: Math.round((100 * lines("test/")) / source),
    bench: lines("bench/"),
    scripts: lines("scripts/"),
    picks: below("src/").reduce((sum, file) => sum + (files.get(file)?.split("Pick<").length ?? 1) - 1, 0),
    smallFiles: smallFiles(),
    processFiles: processFiles(),
  };
}

/** The file that a module of this file is; the name of a package or builtin as it is. */
function targetOf(file: string, specifier: string): string {
  if (!specifier.startsWith(".")) return specifier;
  const plain = normalize(join(dirname(file), specifier)).replace(/\.js$/, ".ts");
  return files.has(`${plain}x`) ? `${plain}x` : plain;
}

/** Tests that start a process, by themselves or by what they import of `test` and `scripts`. */
function processFiles(): number {
  const modules = [...below("test/"), ...below("scripts/")].filter((file) => /\.(tsx?|mjs)$/.test(file));
  const importsOf = modules.map((file) => {
    const imports = readSource(file, files.get(file) ?? "").imports.filter(({ isType }) => !isType);
    return [file, imports.map(({ specifier }) => targetOf(file, specifier))] as const;
  });
  const starting = new Set(["node:child_process", "node-pty"]);
  for (let size = 0; size < starting.size; ) {
    size = starting.size;
    // `needs.ts` looks which programs there are.
    for (const [file, imports] of importsOf)
      if (file !== "test/needs.ts" && imports.some((each) => starting.has(each))) starting.add(file);
  }
  return [...starting].filter((file) => /\.test\.tsx?$/.test(file)).length;
}

function smallFiles(): number {
  const importers = new Map<string, Set<string>>();
  for (const file of below("src/")) {
    for (const { specifier } of readSource(file, files.get(file) ?? "").imports.filter((each) =>
      each.specifier.startsWith("."),
    )) {
      const target = targetOf(file, specifier);
      importers.set(target, (importers.get(target) ?? new Set()).add(file));
    }
  }
  return [...importers].filter(
    // The one list imports the module of each extension, which the walls ask for.
    ([file, by]) =>
      by.size === 1 &&
      !file.endsWith("/extension.ts") &&
      linesOf(files.get(file) ?? "") < 60 &&
      files.has(file),
  ).length;
}

it.each(Object.entries(counts()))("%s stays in its budget", (name, count) => {
  const budget = budgets[name as keyof typeof budgets];
  expect(count, "delete something first, or say in the commit why there is more").toBeLessThanOrEqual(budget);
});
