/**
 * `npm run test:crash -- [--kills N] [--json]`: kills a child at every boundary of a refresh, and at random instants. Before each round
 * of the boundaries one is paused for longer than the time-out of its requests, and the store of another fails. A tenth as many kills, and one at each boundary at least,
 * meet a child that tells a receiver what is in its outbox.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { boundaries } from "./boundaries.js";
import { outboxBoundaries } from "./outbox_boundaries.js";
import { OutboxSweep } from "./outbox_sweep.js";
import { Sweep } from "./sweep.js";

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

const startedMs = performance.now();
const children = compileChildren();
const outbox = new OutboxSweep(join(children, "outbox_child.js"));
await outbox.open();
try {
  const kills = Math.max(outboxBoundaries.length, Math.ceil(Number(values.kills) / 10));
  for (let kill = 0; kill < kills; kill++)
    await outbox.kill(outboxBoundaries[kill % outboxBoundaries.length] ?? "random", drawPassages());
  await outbox.judge();
} finally {
  outbox.close();
}
const sweep = new Sweep(join(children, "child.js"));
await sweep.open();
try {
  for (let kill = 0; kill < Number(values.kills); kill++) {
    if (kill % boundaries.length === 0) {
      await sweep.pause(drawPassages());
      await sweep.fail(drawPassages());
    }
    await sweep.kill(boundaries[kill % boundaries.length] ?? "random", drawPassages());
  }
} finally {
  await sweep.close();
}
const { result } = sweep;
const violations = [...sweep.violations, ...outbox.violations];
if (values.json) console.log(JSON.stringify({ ...result, outbox: outbox.result }));
else {
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  console.log(
    `${result.kills} kills, ${result.pauses} pauses, ${result.failures} failed stores, ${result.reopenings} reopenings, ${result.grantsLost} grants lost, ` +
      `${result.doubleRedemptions} double redemptions, ${result.outcomeUnknown} outcomes unknown, ${seconds} s`,
  );
  const { kills, told, repeated, lost } = outbox.result;
  console.log(`outbox: ${kills} kills, ${told} notifications, ${repeated} told again, ${lost} lost`);
}
for (const violation of violations) console.error(violation);
if (violations.length > 0 || result.grantsLost > 0 || result.doubleRedemptions > 0) process.exitCode = 1;
