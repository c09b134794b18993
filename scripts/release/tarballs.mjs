// nexusd with a Node of its own, for a machine that has none.

import { chmodSync, cpSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { packFolder } from "./archives.mjs";
import { installProduction } from "./production.mjs";
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
  mkdirSync(join(folder, "bin"), { recursive: true });
  mkdirSync(home, { recursive: true });
  run("tar", ["--extract", "--strip-components=1", "--file", join(out, daemon), "--directory", home]);
  cpSync(join(source, "package-lock.json"), join(home, "package-lock.json"));
  installProduction(home, target);
  rmSync(join(home, "package-lock.json"));
  cpSync(join(node, "bin/node"), join(folder, "lib/node"));
  cpSync(join(node, "LICENSE"), join(folder, "LICENSE.node"));
  for (const name of ["LICENSE", "README.md", "CHANGELOG.md"]) cpSync(join(source, name), join(folder, name));
  cpSync(join(source, "scripts/release/nexusd.sh"), join(folder, "bin/nexusd"));
  chmodSync(join(folder, "bin/nexusd"), 0o755);
  return folder;
}

/** @returns the name of the tarball of a folder that was laid out */
export function packTarball({ out, epoch }, folder) {
  const name = `${folder.split("/").at(-1)}.tar.gz`;
  packFolder(folder, join(out, name), epoch);
  return name;
}
