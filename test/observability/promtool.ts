import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "../temporary_folder.js";

/** What promtool said, and its exit code. @param input for its standard input */
export function promtool(
  args: readonly string[],
  input = "",
): { readonly code: number | null; readonly output: string } {
  const { status, stdout, stderr } = spawnSync("promtool", args, { input, encoding: "utf8" });
  return { code: status, output: stdout + stderr };
}

/** `promtool test rules` with a file of this text. */
export function testRules(text: string): ReturnType<typeof promtool> {
  const path = join(temporaryFolder(), "test.yaml");
  writeFileSync(path, text);
  return promtool(["test", "rules", path]);
}
