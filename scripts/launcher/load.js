// Runs the program, which the build has put into one file, with the code that V8 compiled of it at build time.
//
// Node's own compile cache would be written by the daemon at run time and needs Node 22. This one is written by the build alone, beside the
// code itself: whoever may write it could as well change the program. V8 refuses a cache of another version of itself, and then compiles.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Script } from "node:vm";

const folder = dirname(fileURLToPath(import.meta.url));
const file = join(folder, "nexusd.cjs");

/** Where the compiled code for this very Node is. */
export const cacheFile = join(folder, `nexusd-${process.version}-${process.platform}-${process.arch}.cache`);

/** @returns what the program exports, and the script that it was compiled to */
export function load() {
  // A function in parentheses. The build writes ASCII only: a string of one byte per character.
  const script = new Script(readFileSync(file, "latin1"), { filename: file, cachedData: readCache() });
  const module = { exports: {} };
  script.runInThisContext()(module.exports, createRequire(file), module, file, folder);
  return { exports: module.exports, script };
}

function readCache() {
  try {
    return readFileSync(cacheFile);
  } catch {
    return undefined;
  }
}
