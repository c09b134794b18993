// Compiles src/ into dist/, with what `npm ci` at the root of the repository installed.
import { execFileSync } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";

const here = import.meta.dirname;
rmSync(join(here, "dist"), { recursive: true, force: true });
execFileSync(join(here, "../../node_modules/.bin/tsc"), ["-p", here], { stdio: "inherit" });
