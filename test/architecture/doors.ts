import { parseSync } from "oxc-parser";
import { type Files, importsOf, layerOf } from "./check.js";
import { doors } from "./rules.js";

/** The files of the core that extensions import, without their ending, and without what is generated. */
export function findDoors(files: Files): string[] {
  const ofExtensions = Object.keys(files).filter((path) => /^ext\/[^/]+\//.test(path));
  const imported = new Set(ofExtensions.flatMap((path) => importsOf(path, files)));
  const ofCore = [...imported].filter((path) => !["ext", "gen"].includes(layerOf(path) ?? ""));
  return ofCore.map((path) => path.replace(/\.tsx?$/, "")).sort();
}

/** Those that `rules.ts` lists. */
export const allDoors: ReadonlySet<string> = new Set(
  Object.entries(doors).flatMap(([folder, names]) => names.split(" ").map((name) => `${folder}/${name}`)),
);

/** The files of the core whose code names an extension, comments aside, by extension. @param nouns that name something of the core too */
export function findNamedExtensions(files: Files, nouns: readonly string[]): Record<string, string[]> {
  const folders = Object.keys(files).flatMap((path) => /^ext\/([^/]+)\/extension\.ts$/.exec(path)?.[1] ?? []);
  const names = [...new Set(folders)].filter((name) => !nouns.includes(name)).sort();
  const ofCore = Object.entries(files).filter(
    ([path]) => path !== "main.ts" && !["ext", "gen"].includes(layerOf(path) ?? ""),
  );
  const found: Record<string, string[]> = {};
  for (const [path, text] of ofCore) {
    const words = ` ${wordsOf(path, text).join(" ")} `;
    for (const name of names) {
      if (words.includes(` ${name.replaceAll("_", " ")} `))
        found[name] = [...(found[name] ?? []), path].sort();
    }
  }
  return found;
}

/** The words of its path, identifiers and texts, in lower case: those of `leadControlService` are three. */
function wordsOf(path: string, text: string): string[] {
  const { comments } = parseSync(path, text);
  let code = "";
  let at = 0;
  for (const { start, end } of comments) {
    code += text.slice(at, start);
    at = end;
  }
  // A file of protos may be called after who serves them.
  const all = `${path} ${code}${text.slice(at)}`.replace(/ from "[^"]*\/gen\/[^"]*"/g, "");
  return all
    .replace(/([a-z0-9])([A-Z])/g, "$1 $2")
    .toLowerCase()
    .split(/[^a-z0-9]+/);
}
