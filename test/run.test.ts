import { execFile } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { processes } from "./processes.js";
import { temporaryFolder } from "./temporary_folder.js";

const root = join(import.meta.dirname, "..");

/** Runs the tests of `run_fixture/` whose names match, on a `PATH` without programs. */
async function runUntidy(name: string, environment: NodeJS.ProcessEnv = {}, interruptAt?: string) {
  const temporary = temporaryFolder();
  const vitest = [join(root, "node_modules/vitest/vitest.mjs"), "run", "--testNamePattern", name];
  const { code, output } = await new Promise<{ code: unknown; output: string }>((resolve) => {
    const child = execFile(
      process.execPath,
      [...vitest, "--config", "test/run_fixture/vitest.config.ts"],
      { cwd: root, env: { PATH: temporaryFolder(), TMPDIR: temporary, NO_COLOR: "1", ...environment } },
      (error, stdout, stderr) => resolve({ code: error?.code ?? 0, output: stdout + stderr }),
    );
    child.stdout?.on("data", (text: string) => {
      if (interruptAt !== undefined && text.includes(interruptAt)) child.kill("SIGINT");
    });
  });
  return { code, output, left: readdirSync(temporary) };
}

/** Not one that has ended and that nobody has waited for. */
const isRunning = (pid: number): boolean =>
  processes().some((process) => process.pid === pid && process.command !== "");

test.each(["passes", "fails"])(
  "a run whose test %s leaves no file and no process behind, and fails for what the test left",
  async (ends) => {
    const { code, output, left } = await runUntidy(ends);
    expect(output.includes("on purpose")).toBe(ends === "fails");
    expect(left).toEqual([]);
    const pid = Number(/left process (\d+)\./.exec(output)?.[1]);
    expect(pid).toBeGreaterThan(1);
    await expect.poll(() => isRunning(pid)).toBe(false);
    expect(output).toMatch(new RegExp(`processes that tests started and did not end:\n  ${pid} `));
    expect(output).toMatch(/secrets in clear after the run:\n {2}.*\n {2}/);
    expect(output).not.toContain("refresh-1-secret");
    expect(code).toBe(3);
  },
  120_000,
);

test("a run that is interrupted leaves no file and no process behind", async () => {
  const { code, output, left } = await runUntidy("passes|waits", {}, "waiting");
  expect(code).toBe(130);
  expect(left).toEqual([]);
  const pid = Number(/left process (\d+)\./.exec(output)?.[1]);
  expect(pid).toBeGreaterThan(1);
  await expect.poll(() => isRunning(pid)).toBe(false);
}, 120_000);

test("what a machine lacks is skipped, and named in the last line", async () => {
  const { code, output } = await runUntidy("needs");
  expect(output.trimEnd().split("\n").at(-1)).toBe(
    "Skipped, because this machine lacks promtool (apt-get install prometheus): 2 in test/run_fixture/untidy.ts.",
  );
  expect(code).toBe(0);
}, 120_000);

test("what a machine lacks fails under CI", async () => {
  const { code, output } = await runUntidy("needs", { CI: "true" });
  expect(output).toContain("this machine lacks promtool (apt-get install prometheus)");
  expect(output).not.toContain("Skipped,");
  expect(code).toBe(1);
}, 120_000);
