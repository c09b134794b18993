/**
 * `npm run test:crash -- [--kills N] [--json]`: kills a child at every boundary of a refresh, and at random instants. Before each round
 * of the boundaries one is paused for longer than the time-out of its requests. A tenth as many kills, and one at each boundary at least,
 * meet a child that tells a receiver what is in its outbox.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { outboxBoundaries } from "./outbox_boundaries.js";
import { OutboxSweep } from "./outbox_sweep.js";

const { values } = parseArgs({
  options: { kills: { type: "string", default: "300" }, json: { type: "boolean", default: false } },
});
/** A passage is drawn from so many, so that the kill meets a different crowd each time. */
const maxPassages = 12;
const drawPassages = () => Math.floor(Math.random() * maxPassages);

/** Compiled once: a child must start in a fraction of a second. @returns the folder of both children */
function compileChildren(): string {
  const root = join(import.meta.dirname, "../..");
  const folder = join(root, "node_modules/.cache/crash");
  const compiler = join(
    dirname(createRequire(import.meta.url).resolve("typescript/package.json")),
    "bin/tsc",
  );
  const options = ["--noEmit", "false", "--rootDir", root, "--outDir", folder];
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "package.json"), '{"type":"module"}');
  writeFileSync(
    join(folder, "tsconfig.json"),
    JSON.stringify({
      extends: join(root, "tsconfig.json"),
      compilerOptions: { typeRoots: [join(root, "node_modules/@types")] },
      files: [
        "test/crash/child.ts",
        "test/crash/outbox_child.ts",
        "src/store/files/fs-native-extensions.d.ts",
        "src/store/lmdb/lmdb_keys.d.ts",
      ].map((file) => join(root, file)),
      include: [],
    }),
  );
  const { status } = spawnSync(
    process.execPath,
    [compiler, "-p", join(folder, "tsconfig.json"), ...options],
    {
      stdio: ["ignore", 2, 2],
    },
  );
  if (status !== 0) throw new Error("the child does not compile");
  return join(folder, "test/crash");
}

const children = compileChildren();

for (let round = 0; round < 12; round++) {
const outbox = new OutboxSweep(join(children, "outbox_child.js"));
await outbox.open();
try {
  for (let kill = 0; kill < 26; kill++)
    await outbox.kill(outboxBoundaries[kill % outboxBoundaries.length] ?? "random", drawPassages());
  await outbox.judge();
} finally { outbox.close(); }
console.log(round, JSON.stringify(outbox.result), outbox.violations);
}
