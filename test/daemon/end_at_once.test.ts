import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, it } from "vitest";

const module = pathToFileURL(join(import.meta.dirname, "../../dist/daemon/exit_codes.js")).href;

it("a process whose exit would never return ends all the same, with its code where Node.js can", () => {
  const script = `import { endAtOnce } from ${JSON.stringify(module)};
    process.on("exit", () => { for (;;); });
    endAtOnce(14);`;
  const args = ["--input-type=module", "--eval", script];
  const { status, signal } = spawnSync(process.execPath, args, { timeout: 40_000, killSignal: "SIGTERM" });
  expect([status, signal]).toEqual("execve" in process ? [14, null] : [null, "SIGKILL"]);
});
