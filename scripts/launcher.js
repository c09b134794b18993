#!/usr/bin/env node
// Runs the program, which the build has put into two files: what a daemon needs, and all commands.
//
// Node 22.8 and later keeps the code that V8 compiled of it in `compile-cache` beside the program, written when a process ends: whoever may
// write there could as well change the program, unlike Node's default, the system's temporary folder. Where it cannot be written, as in a
// read-only image, Node goes on without it. Where an operator set NODE_COMPILE_CACHE, Node uses that folder.

import module, { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

// Nor may others write there whom the caller's umask would let.
process.umask(process.umask() | 0o022);
if (process.env.NODE_COMPILE_CACHE === undefined) {
  module.enableCompileCache?.(fileURLToPath(new URL("bundle/compile-cache", import.meta.url)));
}
const file = process.argv[2] === "serve" ? "./bundle/daemon.cjs" : "./bundle/nexusd.cjs";
await createRequire(import.meta.url)(file).runProcess();
