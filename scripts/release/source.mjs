import { join } from "node:path";
import { run } from "./run.mjs";

/** What a release is made of: a clone of the commit, with its packages installed and built. */
export function prepareSource(root, work) {
  const git = (...args) => run("git", args, { cwd: root }).trim();
  const commit = git("rev-parse", "HEAD");
  const epoch = Number(git("log", "-1", "--format=%ct", "HEAD"));
  const source = join(work, "source");
  run("git", ["clone", "--quiet", "--no-hardlinks", root, source]);
  run("git", ["checkout", "--quiet", commit], { cwd: source });
  return { commit, epoch, source, isChanged: git("status", "--porcelain") !== "" };
}

export function buildSource({ source, commit }) {
  run("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"], { cwd: source });
  run("node", ["scripts/build.mjs"], { cwd: source, env: { NEXUS_BUILD_COMMIT: commit } });
}
