import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { TestProject } from "vitest/node";
import { sweep } from "./canary_sweep.js";
import { processes } from "./processes.js";

/** How long processes that were told to end may take to do so. */
const endingMs = 8_000;

/**
 * Before and after a run of vitest. Everything that tests write lies in one folder, which is removed in the end. A run after which
 * a secret lies about in clear, or a process goes on, has failed. What was skipped is said in the last line.
 */
export function setup({ vitest }: TestProject): () => Promise<void> {
  const run = mkdtempSync(join(tmpdir(), "nexus-run-"));
  const [left, temporary] = [join(run, "left"), join(run, "tmp")];
  for (const folder of [left, temporary]) mkdirSync(folder);
  // Some tests let another user pass through, as /tmp does.
  for (const folder of [run, temporary]) chmodSync(folder, 0o711);
  const before = process.env["TMPDIR"];
  process.env["TEST_RUN_FOLDER"] = left;
  process.env["TMPDIR"] = temporary;
  // Vitest that is interrupted (Ctrl-C) exits without its teardown.
  const abandon = () => {
    for (const { pid } of processesOf(run, { withWorkers: true })) kill(pid);
    const folders = [vitest.getRootProject(), ...vitest.projects].map(({ tmpDir }) => tmpDir);
    for (const folder of [run, ...folders]) rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  };
  process.once("exit", abandon);
  return async () => {
    process.off("exit", abandon);
    const processes = await endProcesses(run);
    const secrets = sweep(left);
    const skipped = skippedIn(left);
    rmSync(run, { recursive: true, force: true });
    if (before === undefined) delete process.env["TMPDIR"];
    else process.env["TMPDIR"] = before;
    delete process.env["TEST_RUN_FOLDER"];
    if (secrets.length > 0) fail("secrets in clear after the run", secrets);
    if (processes.length > 0) fail("processes that tests started and did not end", processes);
    if (skipped !== undefined) console.error(skipped);
  };
}

/** Tells it from failed tests, for which vitest exits with 1: no test that is run again mends it. */
const untidy = 3;

function fail(what: string, found: readonly string[]): void {
  process.exitCode = untidy;
  console.error(`${what}:\n  ${found.join("\n  ")}`);
}

/** What was skipped and why, in one line; undefined where nothing was. */
export function skippedIn(left: string): string | undefined {
  const lacks = new Map<string, Map<string, number>>();
  for (const name of readdirSync(left).filter((each) => each.endsWith(".skipped"))) {
    for (const line of readFileSync(join(left, name), "utf8").trimEnd().split("\n")) {
      const { lack, file } = JSON.parse(line) as { lack: string; file: string };
      const files = lacks.get(lack) ?? new Map<string, number>();
      lacks.set(lack, files.set(file, (files.get(file) ?? 0) + 1));
    }
  }
  if (lacks.size === 0) return undefined;
  const parts = [...lacks].map(
    ([lack, files]) => `${lack}: ${[...files].map(([file, count]) => `${count} in ${file}`).join(", ")}`,
  );
  return `Skipped, because this machine lacks ${parts.join("; ")}.`;
}

/** Waits for the processes of the run, and kills those that stay. @returns their command lines */
async function endProcesses(run: string): Promise<string[]> {
  const deadlineMs = Date.now() + endingMs;
  let left = processesOf(run);
  while (left.length > 0 && Date.now() < deadlineMs) {
    await sleep(50);
    left = processesOf(run);
  }
  for (const { pid } of left) kill(pid);
  return left.map(({ pid, command }) => `${pid} ${command}`);
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended meanwhile.
  }
}

/** Those that have the run's folder in their environment or arguments, vitest's own workers left out. Empty where there is no /proc. */
function processesOf(
  run: string,
  { withWorkers = false } = {},
): { readonly pid: number; readonly command: string }[] {
  return processes().flatMap(({ pid, parent, command, environment }) => {
    const isOurs = command.includes(run) || environment.includes(run);
    const isVitest = pid === process.pid || (parent === process.pid && !withWorkers);
    return isOurs && !isVitest ? [{ pid, command }] : [];
  });
}
