// nexusd with a Node of its own, for a machine that has none.

import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { packFolder } from "./archives.mjs";
import { run } from "./run.mjs";

/** The systems and processors, as Node calls them. */
export const targets = ["linux-x64", "linux-arm64", "darwin-arm64", "darwin-x64"];

/** Installs the Node of each target, by the hashes of its lock file. @returns the folder of its packages */
export function installNodes({ source, work }) {
  const folder = join(work, "node");
  cpSync(join(source, "scripts/release/node"), folder, { recursive: true });
  // Packages of another system and processor are meant.
  run("npm", ["ci", "--force", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"], {
    cwd: folder,
  });
  return join(folder, "node_modules");
}

/**
 * Lays out the program for one target: `bin/nexusd`, `lib/node`, and the package with its native code in `lib/nexusd`.
 * @param daemon the package of npm, a file in `out`
 * @returns the folder
 */
export function layOut({ source, out, work, versions, nodes }, daemon, target) {
  const folder = join(work, `nexusd-${versions.plain}-${target}`);
  const home = join(folder, "lib/nexusd");
  const node = join(nodes, `node-${target}`);
  const [system, processor] = target.split("-");
  mkdirSync(join(folder, "bin"), { recursive: true });
  mkdirSync(home, { recursive: true });
  run("tar", ["--extract", "--strip-components=1", "--file", join(out, daemon), "--directory", home]);
  cpSync(join(source, "package-lock.json"), join(home, "package-lock.json"));
  const place = [`--os=${system}`, `--cpu=${processor}`, ...(system === "linux" ? ["--libc=glibc"] : [])];
  const args = ["ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"];
  run("npm", [...args, ...place], { cwd: home });
  rmSync(join(home, "package-lock.json"));
  rmSync(join(home, "node_modules/.package-lock.json"));
  rmSync(join(home, "node_modules/.bin"), { recursive: true, force: true });
  removeForeignCode(join(home, "node_modules"), target);
  cpSync(join(node, "bin/node"), join(folder, "lib/node"));
  cpSync(join(node, "LICENSE"), join(folder, "LICENSE.node"));
  for (const name of ["LICENSE", "README.md", "CHANGELOG.md"]) cpSync(join(source, name), join(folder, name));
  cpSync(join(source, "scripts/release/nexusd.sh"), join(folder, "bin/nexusd"));
  chmodSync(join(folder, "bin/nexusd"), 0o755);
  return folder;
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

/** @returns the name of the tarball of a folder that was laid out */
export function packTarball({ out, epoch }, folder) {
  const name = `${folder.split("/").at(-1)}.tar.gz`;
  packFolder(folder, join(out, name), epoch);
  return name;
}
