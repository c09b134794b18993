import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { expect, it } from "vitest";
import { budgets } from "./rules.js";
import { readSource } from "./source.js";

const root = join(import.meta.dirname, "../..");

/** How far a count may fall below its ceiling before the ceiling follows. */
const slack = 0.05;

const files = new Map(
  execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard"], {
    cwd: root,
    encoding: "utf8",
  })
    .split("\n")
    .filter((file) => /\.(ts|tsx|mjs|js|sh)$/.test(file) && !file.includes("/gen/"))
    .flatMap((file) => {
      try {
        return [[file, readFileSync(join(root, file), "utf8")] as const];
      } catch {
        return []; // It was removed, and git does not know yet.
      }
    }),
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
  const sizes = [...extensions].filter((name) => name !== "fleet").map((name) => lines(`src/ext/${name}/`));
  const source = lines("src/");
  return {
    core: source - lines("src/ext/"),
    src: source,
    extension: Math.max(...sizes),
    egressExtension: lines("src/ext/egress/"),
    fleetExtension: lines("src/ext/fleet/"),
    testsForSource: Math.round((100 * lines("test/")) / source),
    bench: lines("bench/"),
    scripts: lines("scripts/"),
    picks: below("src/").reduce((sum, file) => sum + (files.get(file)?.split("Pick<").length ?? 1) - 1, 0),
    smallFiles: smallFiles(),
  };
}

function smallFiles(): number {
  const importers = new Map<string, Set<string>>();
  for (const file of below("src/")) {
    for (const { specifier } of readSource(file, files.get(file) ?? "").imports.filter((each) =>
      each.specifier.startsWith("."),
    )) {
      const plain = normalize(join(dirname(file), specifier)).replace(/\.js$/, ".ts");
      const target = files.has(`${plain}x`) ? `${plain}x` : plain;
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

it("the house stays below its ceilings, and a ceiling follows what was deleted", () => {
  const counted = counts();
  for (const [name, { budget, ceiling }] of Object.entries(budgets)) {
    const count = counted[name as keyof typeof budgets];
    expect(
      count,
      `${name}: delete something first, or say in the commit why there is more`,
    ).toBeLessThanOrEqual(ceiling);
    if (ceiling > budget)
      expect(count, `${name}: lower its ceiling in rules.ts`).toBeGreaterThan(
        Math.max(budget, ceiling * (1 - slack)) - 1,
      );
  }
});
