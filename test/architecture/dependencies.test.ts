import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { packages as shippedPackages } from "./rules.js";

const root = join(import.meta.dirname, "../..");
const read = (name: string): string => readFileSync(join(root, name), "utf8");

interface Manifest {
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
}

interface Lock {
  readonly packages: Readonly<
    Record<string, Manifest & { version?: string; integrity?: string; resolved?: string; link?: boolean }>
  >;
}

describe("dependencies", () => {
  const { dependencies, devDependencies } = JSON.parse(read("package.json")) as Manifest;
  const { packages } = JSON.parse(read("package-lock.json")) as Lock;
  const rows = [...read("docs/dependencies.md").matchAll(/^\| (`[^|]+) \| +(\S[^|]*?) *\|$/gm)]
    .filter(([, names = ""]) => /^(`[@a-z0-9./-]+`(, )?)+( \(dev\))? *$/.test(names))
    .map(([, names = "", why = ""]) => ({
      names: [...names.matchAll(/`([^`]+)`/g)].map(([, name = ""]) => name),
      why,
      isDev: names.includes("(dev)"),
    }))
    .filter(({ names }) =>
      names.some((name) => Object.hasOwn({ ...dependencies, ...devDependencies }, name)),
    );
  const justified = (isDev: boolean): string[] =>
    rows
      .filter((row) => row.isDev === isDev)
      .flatMap(({ names }) => names)
      .sort();

  it("each has one line in docs/dependencies.md that says why it is here", () => {
    const all = Object.keys({ ...dependencies, ...devDependencies }).sort();
    // What the sources import is shipped: the bundles hold it, or it is installed with them.
    const isShipped = (name: string): boolean => Object.hasOwn(shippedPackages, name);
    expect(justified(false)).toEqual(all.filter(isShipped));
    expect(justified(true)).toEqual(all.filter((name) => !isShipped(name)));
    for (const { names, why } of rows) expect([names, why.length >= 5]).toEqual([names, true]);
  });

  it("are installed with the package where they have native code alone, and bundled otherwise", () => {
    const [, names = ""] =
      /^export const installedPackages = (\[.*\]);$/m.exec(read("scripts/bundle.mjs")) ?? [];
    expect(Object.keys(dependencies).sort()).toEqual(JSON.parse(names));
  });

  it("are pinned by the lock file, with a digest for each package", () => {
    expect(packages[""]?.dependencies).toEqual(dependencies);
    expect(packages[""]?.devDependencies).toEqual(devDependencies);
    for (const [path, { version, integrity, resolved, link }] of Object.entries(packages)) {
      if (path === "" || link === true) continue;
      expect([path, version === undefined, integrity?.slice(0, 7)]).toEqual([path, false, "sha512-"]);
      if (resolved !== undefined) expect(resolved).toMatch(/^https:\/\//);
    }
  });
});
