// Compiles src/ to dist/: its modules with their types, and beside them what is shipped in few files (dist/bundle).
//
//   node scripts/build.mjs              always
//   node scripts/build.mjs --if-stale   only when a source is newer than the last build
//   node scripts/build.mjs --prepare    always, but a production install (no compiler) keeps the dist/ it has
//
// The compiler writes beside dist/ and the result is moved into place, so that a failed build leaves the last good one
// and a daemon that is just starting never reads half of one. All output goes to stderr: `npm run demo -- --json` owns stdout.

import { spawnSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { bundle } from "./bundle.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const dist = join(root, "dist");
const entry = join(dist, "main.js");
const inputs = [
  "src",
  "scripts",
  "package.json",
  "package-lock.json",
  "tsconfig.json",
  "tsconfig.build.json",
];

/** Read at run time from beside the code that reads it. */
const data = [
  ["catalogue/providers.json"],
  ["catalogue/catalogue.schema.json"],
  ...filesOf("ext/fleet/database/sql").map((file) => [
    `ext/fleet/database/sql/${file}`,
    `database/sql/${file}`,
  ]),
  ...filesOf("ext/console/assets").map((file) => [`ext/console/assets/${file}`, `assets/${file}`]),
];

/** @param say tells the reader what takes so long */
export async function build(say = () => {}) {
  const tsc = findCompiler();
  if (tsc === undefined) {
    throw new Error("TypeScript is not installed: run `npm ci` with the development dependencies");
  }
  const work = join(root, "node_modules", ".cache", `build-${process.pid}`);
  const fresh = join(work, "new");
  rmSync(work, { recursive: true, force: true });
  mkdirSync(work, { recursive: true });
  try {
    say("the packages are there; compiles src/ (up to a minute)");
    const args = [tsc, "-p", join(root, "tsconfig.build.json"), "--outDir", fresh];
    const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: ["ignore", 2, 2] });
    if (status !== 0) throw new Error("the sources do not compile; dist/ is left as it was");
    for (const [file, to = file] of data) {
      mkdirSync(dirname(join(fresh, to)), { recursive: true });
      copyFileSync(join(root, "src", file), join(fresh, to));
    }
    say("bundles the program");
    await bundle(root, fresh);
    copyFileSync(join(root, "scripts/launcher.js"), join(fresh, "main.js"));
    chmodSync(join(fresh, "main.js"), 0o755);
    if (existsSync(dist)) renameSync(dist, join(work, "old"));
    renameSync(fresh, dist);
    say("dist/ is ready: npm start runs it, npm test tests it");
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Says why it builds: dist/ is replaced under whatever runs from it at the time. */
export async function buildIfStale() {
  const newer = newerThanBuild();
  if (newer === undefined) return;
  console.error(`build: ${newer} is newer than dist/`);
  await build();
}

/** Vitest calls this once before the projects whose tests start dist/main.js. */
export const setup = buildIfStale;

/** An input that has changed since the last build. CI builds once: its suites run beside each other, on sources that stay as they are. */
function newerThanBuild() {
  const built = modifiedMs(entry);
  if (built !== undefined && process.env.BUILT_ONCE === "true") return undefined;
  return inputs.find((input) => newestMs(join(root, input)) > (built ?? 0));
}

function filesOf(folder) {
  return existsSync(join(root, "src", folder)) ? readdirSync(join(root, "src", folder)) : [];
}

/** A folder counts too: its time changes when a file in it is removed. */
function newestMs(path) {
  const own = modifiedMs(path) ?? 0;
  if (own === 0 || !statSync(path).isDirectory()) return own;
  return readdirSync(path).reduce((newest, name) => Math.max(newest, newestMs(join(path, name))), own);
}

function modifiedMs(path) {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs;
}

function findCompiler() {
  try {
    return join(dirname(createRequire(import.meta.url).resolve("typescript/package.json")), "bin", "tsc");
  } catch {
    return undefined;
  }
}

async function main(mode) {
  if (mode === "--if-stale") return await buildIfStale();
  if (mode !== "--prepare") return await build();
  if (findCompiler() === undefined && existsSync(entry)) return;
  await build((text) => console.error(`build: ${text}`));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    await main(process.argv[2]);
  } catch (error) {
    console.error(`build: ${error.message}`);
    process.exitCode = 1;
  }
}
