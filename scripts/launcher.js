#!/usr/bin/env node
// Node 22.8 and later keeps compiled code beside the program: whoever may write there could as well change the program, unlike
// Node's default, the system's temporary folder. In a read-only image Node does without.
import module from "node:module";
import { fileURLToPath } from "node:url";
import { setFlagsFromString } from "node:v8";

const [major, minor] = process.versions.node.split(".").map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(`nexusd needs Node 20.19 or newer, this is ${process.versions.node}`);
  process.exit(1);
}
process.umask(process.umask() | 0o022);
// Loading the program makes V8 grow its young generation to 16 or 32 MiB, and V8 does not give it back. What
// a request allocates is gone with its answer and fits into the first size.
setFlagsFromString("--semi-space-growth-factor=1");
if (process.env.NODE_COMPILE_CACHE === undefined)
  module.enableCompileCache?.(fileURLToPath(new URL("bundle/compile-cache", import.meta.url)));
await import("./bundle/nexusd.mjs");
