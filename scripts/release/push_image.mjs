// node scripts/release/push_image.mjs LIST TARGET DIGEST_FILE [OPTION OF BUILDAH...]: pushes the list of images that buildah built, so that two builds
// of a commit have the same digest. buildah writes the id of its build container into each configuration, whatever its options.

import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "./run.mjs";

const [list, target, digestFile, ...options] = process.argv.slice(2);
const buildah = (...args) => run("buildah", [...options, ...args]);
const hexOf = ({ digest }) => digest.replace("sha256:", "");

/** @param folder that buildah pushed the list to as `dir:`: blobs by their digest, and manifests */
function forgetContainers(folder) {
  const read = (name) => JSON.parse(readFileSync(join(folder, name), "utf8"));
  const replace = (entry, value, suffix) => {
    rmSync(join(folder, `${hexOf(entry)}${suffix}`));
    const text = JSON.stringify(value);
    const hex = createHash("sha256").update(text).digest("hex");
    writeFileSync(join(folder, `${hex}${suffix}`), text);
    Object.assign(entry, { digest: `sha256:${hex}`, size: Buffer.byteLength(text) });
  };
  const whole = read("manifest.json");
  for (const each of whole.manifests) {
    const manifest = read(`${hexOf(each)}.manifest.json`);
    const { container: _id, container_config: _its, ...config } = read(hexOf(manifest.config));
    replace(manifest.config, { ...config, config: { ...config.config, Hostname: "" } }, "");
    replace(each, manifest, ".manifest.json");
  }
  // The processors are built at once: the list has first what was ready first.
  whole.manifests.sort((one, other) => (one.platform.architecture < other.platform.architecture ? -1 : 1));
  writeFileSync(join(folder, "manifest.json"), JSON.stringify(whole));
}

function main() {
  if (!digestFile) throw new Error("usage: push_image.mjs LIST TARGET DIGEST_FILE");
  const folder = mkdtempSync(join(tmpdir(), "nexus-image-"));
  const push = ["manifest", "push", "--quiet", "--all", "--format", "v2s2"];
  try {
    buildah(...push, list, `dir:${folder}`);
    forgetContainers(folder);
    const pushed = `${list}-pushed`;
    buildah("manifest", "create", pushed);
    buildah("manifest", "add", "--all", pushed, `dir:${folder}`);
    buildah(...push, "--digestfile", digestFile, pushed, target);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

try {
  main();
} catch (error) {
  console.error(`push_image: ${error.message}`);
  process.exitCode = 1;
}
