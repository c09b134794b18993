import { mkdirSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { pathOf } from "../needs.js";

/** What the suite installs stays here for the next run. */
const cacheFolder = join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "nexus-foreign-servers");

export function cached(name: string): string {
  mkdirSync(cacheFolder, { recursive: true });
  return join(cacheFolder, name);
}

/** @returns one sentence for each program that is not on the `PATH` @param programs by name, with where each comes from */
export function missingPrograms(programs: Readonly<Record<string, string>>): string[] {
  return Object.entries(programs)
    .filter(([name]) => pathOf(name) === undefined)
    .map(([name, origin]) => `${name} (${origin})`);
}
