#!/usr/bin/env node
// Runs the program, which the build has put into two files: what a daemon needs, and all commands.
//
// Node 22.8 and later keeps the code that V8 compiled of it in `compile-cache` beside the program: whoever may write there could as well change
// the program, unlike Node's default, the system's temporary folder. Where it cannot be written, as in a read-only image, Node goes on without
// it. Where an operator set NODE_COMPILE_CACHE, Node uses that folder.

import { existsSync } from "node:fs";
import module, { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { setFlagsFromString } from "node:v8";

/** A start takes less, on any machine that is of use. */
const startMs = 2_000;

/** From the start of the first daemon of a build until its compiled code is kept: it has answered by then, and V8 has dropped nothing yet. */
const keepAfterMs = 10_000;

const require = createRequire(import.meta.url);
const bundle = fileURLToPath(new URL("bundle/", import.meta.url));

// Nor may others write there whom the caller's umask would let.
process.umask(process.umask() | 0o022);
const isDaemon = process.argv[2] === "serve";
if (isDaemon) keepYoungGenerationSmall();
if (process.env.NODE_COMPILE_CACHE === undefined) useCompiledCode();
const program = require(isDaemon ? "./bundle/daemon.cjs" : "./bundle/nexusd.cjs");
// What was read of the folder is of no use any more, and Node would hold it.
module.flushCompileCache?.();
await program.runProcess();

/**
 * V8's young generation stays at its first size, unless an operator chose one: what a start or a burst leaves there is resident for good. The
 * modules of Node that the daemon needs are loaded before, since V8 takes Node's compiled code of them only with the flags that it was
 * compiled with. Node 20 pays for a small one under load, so that there it may grow once the start is over.
 */
function keepYoungGenerationSmall() {
  if (/semi[-_]space/.test([...process.execArgv, process.env.NODE_OPTIONS ?? ""].join())) return;
  const names =
    "child_process crypto dns/promises fs/promises http2 https perf_hooks readline util worker_threads zlib";
  // By `require`: `import` makes a module of names of each, which nobody reads.
  for (const name of names.split(" ")) require(`node:${name}`);
  setFlagsFromString("--semi-space-growth-factor=1");
  if (process.version.startsWith("v20."))
    setTimeout(() => setFlagsFromString("--semi-space-growth-factor=2"), startMs).unref();
}

/**
 * Node keeps of a file what V8 compiles before it runs, which of a program is the least. So the first daemon of a build runs without, and then
 * has Node read its files again: V8 knows them, with each function that has run.
 */
function useCompiledCode() {
  const folder = `${bundle}compile-cache/${isDaemon ? "daemon" : "commands"}-${process.version}`;
  if (!isDaemon || existsSync(folder)) return void module.enableCompileCache?.(folder);
  const keep = () => {
    process.off("exit", keep);
    if (module.enableCompileCache?.(folder).directory === undefined) return;
    for (const file of Object.keys(require.cache).filter((file) => file.startsWith(bundle))) {
      delete require.cache[file];
      require(file);
    }
    module.flushCompileCache?.();
  };
  process.once("exit", keep);
  setTimeout(keep, keepAfterMs).unref();
}
