import { type Files, layerOf } from "./check.js";

/** Types that are declared in more than one file, as `Answer: a.ts, b.ts`: a name stands for one thing. Generated ones aside. */
export function findRepeatedTypes(files: Files): string[] {
  const places = new Map<string, string[]>();
  for (const [path, text] of Object.entries(files)) {
    if (layerOf(path) === "gen") continue;
    for (const [, name = ""] of text.matchAll(/^(?:export )?(?:abstract )?(?:interface|type|class) (\w+)/gm))
      places.set(name, [...(places.get(name) ?? []), path]);
  }
  const repeated = [...places].filter(([, paths]) => new Set(paths).size > 1);
  return repeated.map(([name, paths]) => `${name}: ${paths.join(", ")}`).sort();
}
