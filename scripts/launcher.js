#!/usr/bin/env node
// Runs the program, which the build has put into two files: what a daemon needs, and all commands.
//
// Node 22.8 and later keeps the code that V8 compiled of it in `compile-cache` beside the program, written when a process ends: whoever may
// write there could as well change the program, unlike Node's default, the system's temporary folder. Where it cannot be written, as in a
// read-only image, Node goes on without it. Where an operator set NODE_COMPILE_CACHE, Node uses that folder.

import module, { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { setFlagsFromString } from "node:v8";

/** A start takes less, on any machine that is of use. */
const startMs = 2_000;

// Nor may others write there whom the caller's umask would let.
process.umask(process.umask() | 0o022);
const isDaemon = process.argv[2] === "serve";
if (isDaemon) await keepYoungGenerationSmall();
if (process.env.NODE_COMPILE_CACHE === undefined) {
  module.enableCompileCache?.(fileURLToPath(new URL("bundle/compile-cache", import.meta.url)));
}
const file = isDaemon ? "./bundle/daemon.cjs" : "./bundle/nexusd.cjs";
await createRequire(import.meta.url)(file).runProcess();

/**
 * V8's young generation stays at its first size, unless an operator chose one: what a start or a burst leaves there is resident for good. The
 * modules of Node that the daemon needs are loaded before, since V8 takes Node's compiled code of them only with the flags that it was
 * compiled with. Node 20 pays for a small one under load, so that there it may grow once the start is over.
 */
async function keepYoungGenerationSmall() {
  if (/semi[-_]space/.test([...process.execArgv, process.env.NODE_OPTIONS ?? ""].join())) return;
  const names =
    "child_process crypto dns/promises fs/promises http2 https perf_hooks readline util worker_threads zlib";
  await Promise.all(names.split(" ").map((name) => import(`node:${name}`)));
  setFlagsFromString("--semi-space-growth-factor=1");
  if (process.version.startsWith("v20."))
    setTimeout(() => setFlagsFromString("--semi-space-growth-factor=2"), startMs).unref();
}
