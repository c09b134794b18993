#!/usr/bin/env node
// Node 22.8 and later keeps compiled code beside the program: whoever may write there could as well change the program, unlike
// Node's default, the system's temporary folder. In a read-only image Node does without.
import module from "node:module";
import { fileURLToPath } from "node:url";

const [major, minor] = process.versions.node.split(".").map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(`nexusd needs Node 20.19 or newer, this is ${process.versions.node}`);
  process.exit(1);
}
process.umask(process.umask() | 0o022);
if (process.env.NODE_COMPILE_CACHE === undefined)
  module.enableCompileCache?.(fileURLToPath(new URL("bundle/compile-cache", import.meta.url)));
await import("./bundle/nexusd.mjs");
