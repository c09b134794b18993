import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const root = join(import.meta.dirname, "../../../..");

/** The text is in the file once; where it is empty, the other is put before all. */
export type Edit = readonly [file: string, from: string, to: string];

/**
 * Builds these sources with a few lines changed.
 *
 * @param folder an absolute path, in which nothing is
 * @param add writes more files into `src`
 * @returns the path of its `main.js`
 */
export async function buildEdited(
  folder: string,
  edits: readonly Edit[],
  add: (src: string) => void = () => undefined,
): Promise<string> {
  for (const name of ["src", "scripts", "package.json", "tsconfig.json"])
    cpSync(join(root, name), join(folder, name), { recursive: true });
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
  for (const [file, from, to] of edits) edit(join(folder, file), from, to);
  add(join(folder, "src"));
  const dist = join(folder, "dist");
  for (const [from, to] of [
    ["ext/fleet/database/sql", "database/sql"],
    ["catalogue", "catalogue"],
    ["ext/console/assets", "assets"],
  ] as const) {
    if (!existsSync(join(folder, "src", from))) continue;
    mkdirSync(join(dist, to), { recursive: true });
    cpSync(join(folder, "src", from), join(dist, to), { recursive: true });
  }
  const { bundle } = (await import(pathToFileURL(join(folder, "scripts/bundle.mjs")).href)) as {
    bundle(root: string, folder: string): Promise<void>;
  };
  await bundle(folder, dist);
  const main = join(dist, "main.js");
  copyFileSync(join(folder, "scripts/launcher.js"), main);
  return main;
}

/** @throws Error when the text is not there once: the sources have changed, and the edit must follow */
function edit(file: string, from: string, to: string): void {
  const text = readFileSync(file, "utf8");
  if (from !== "" && text.split(from).length !== 2) throw new Error(`${file} does not have once: ${from}`);
  writeFileSync(file, from === "" ? `${to}${text}` : text.replace(from, () => to));
}
