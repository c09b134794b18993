import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Whether Prometheus's own tool is here. Under CI it must be. */
export const hasPromtool = spawnSync("promtool", ["--version"]).status === 0;

/** Fails under CI, by name; elsewhere the test that asks is skipped. */
export function missingPromtool(skip: () => void): void {
  if (process.env["CI"] === "true") throw new Error("promtool is missing (apt-get install prometheus)");
  skip();
}

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
  const folder = mkdtempSync(join(tmpdir(), "nexus-promtool-"));
  try {
    const path = join(folder, "test.yaml");
    writeFileSync(path, text);
    return promtool(["test", "rules", path]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
