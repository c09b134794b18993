// For `node --import`: says on standard error which chunk of the bundle the process loads.
import { writeSync } from "node:fs";
import * as module from "node:module";

export function load(url, context, nextLoad) {
  if (url.includes("/dist/bundle/")) writeSync(2, `loads ${url.slice(url.lastIndexOf("/") + 1)}\n`);
  return nextLoad(url, context);
}

// Node 20 has hooks in a thread of their own, in which this module runs again.
if (module.registerHooks) module.registerHooks({ load });
else if (!process.env["LOADED_MODULES_HOOKED"]) {
  process.env["LOADED_MODULES_HOOKED"] = "yes";
  module.register(import.meta.url);
}
