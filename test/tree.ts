import { readdirSync } from "node:fs";
import { join } from "node:path";

export const root = join(import.meta.dirname, "..");

/** Paths from the root of all files below a folder, without what tools fetched or made. */
export function filesBelow(folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (!entry.isDirectory()) return [path];
    const isMade = /^(\..*|node_modules|dist|target|gen)$/.test(entry.name) || path === "docs/site/pages";
    return isMade ? [] : filesBelow(path);
  });
}
