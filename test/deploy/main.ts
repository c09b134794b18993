// npm run test:deploy: builds the image of the Dockerfile, then runs the tests in a network of their own, as a pod has one.
//
// Needs buildah, qemu-aarch64-static, bubblewrap (bwrap), setpriv (util-linux), helm and kubernetes-validate on the PATH, PostgreSQL, and root. .ci/tools.sh says
// where each comes from. NEXUS_TEST_IMAGE=FOLDER takes an image that was built before. One that is missing is named, and nothing passes.

import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildImage, readImage } from "./image.js";
import { missingTools } from "./tools.js";

const root = join(import.meta.dirname, "../..");

function run(): number {
  const missing = missingTools();
  for (const words of missing) console.error(`missing: ${words}`);
  if (missing.length > 0) return 1;
  const given = process.env["NEXUS_TEST_IMAGE"];
  const folder = given ?? mkdtempSync(join(tmpdir(), "nexus-image-"));
  try {
    if (given === undefined) buildImage(root, folder);
    console.error(`image ${readImage(folder).config.digest}`);
    const vitest = [
      join(root, "node_modules/vitest/vitest.mjs"),
      "run",
      "--config",
      "test/deploy/vitest.config.ts",
    ];
    const command = [process.execPath, ...vitest, ...process.argv.slice(2)];
    const { status } = spawnSync("bwrap", ["--dev-bind", "/", "/", "--unshare-net", "--", ...command], {
      cwd: root,
      stdio: "inherit",
      env: { ...process.env, NEXUS_TEST_IMAGE: folder },
    });
    return status ?? 1;
  } finally {
    if (given === undefined) rmSync(folder, { recursive: true, force: true });
  }
}

process.exitCode = run();
