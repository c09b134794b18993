// node scripts/release/production.mjs SYSTEM-PROCESSOR: installs what the daemon needs there into node_modules of this folder, whichever system runs this.

import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { run } from "./run.mjs";

/**
 * Installs the packages of the lock file that the published package depends on, with the native code of one system and processor alone.
 * @param home the folder of package.json and package-lock.json
 * @param target as Node calls it: linux-arm64
 */
export function installProduction(home, target) {
  const [system, processor] = target.split("-");
  const place = [`--os=${system}`, `--cpu=${processor}`, ...(system === "linux" ? ["--libc=glibc"] : [])];
  const args = ["ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"];
  run("npm", [...args, ...place], { cwd: home });
  const modules = join(home, "node_modules");
  rmSync(join(modules, ".package-lock.json"));
  rmSync(join(modules, ".bin"), { recursive: true, force: true });
  removeForeignCode(modules, target);
}

/** Some packages hold native code for every system: what this one, on Linux with glibc, cannot load is left out. */
function removeForeignCode(modules, target) {
  for (const name of readdirSync(modules)) {
    const prebuilds = join(modules, name, "prebuilds");
    const systems = existsSync(prebuilds) ? readdirSync(prebuilds) : [];
    for (const system of systems) if (system !== target) rmSync(join(prebuilds, system), { recursive: true });
  }
  for (const path of readdirSync(modules, { recursive: true }))
    if (/musl[^/]*\.node$|\/musl_[^/]+$/.test(path))
      rmSync(join(modules, path), { recursive: true, force: true });
}

/** Engines of containers call a processor by another name. */
const fromEngine = { amd64: "x64" };

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [system, processor] = (process.argv[2] ?? "").split("-");
  if (!processor) throw new Error("usage: production.mjs SYSTEM-PROCESSOR");
  installProduction(process.cwd(), `${system}-${fromEngine[processor] ?? processor}`);
}
