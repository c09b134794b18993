/**
 * `npm run fuzz -- [--seconds N] [--target T] [--seed S] [--json]`: drawn inputs against what judges them, an oracle beside each.
 * `--seed S --target T --case=N`, as a failure prints it, runs one case again. The seconds are shared by the targets.
 */
import { spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { Order, Outcome } from "./child.js";
import { targets } from "./targets.js";

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "60" },
    target: { type: "string" },
    seed: { type: "string" },
    case: { type: "string" },
    json: { type: "boolean", default: false },
  },
});

/** No single input may take this long, on a machine that does other things too. */
const maxCaseMs = 15_000;
/** Until the first case begins: a browser and a daemon are started, and sources are compiled. */
const maxStartMs = 60_000;

const names = values.target === undefined ? Object.keys(targets) : [values.target];
const unknown = names.find((name) => !Object.hasOwn(targets, name));
if (unknown !== undefined) {
  console.error(`there is no target ${unknown}; these are: ${Object.keys(targets).join(", ")}`);
  process.exit(2);
}
const seed = values.seed === undefined ? randomInt(2 ** 31) : Number(values.seed);
const folder = mkdtempSync(join(tmpdir(), "nexus-fuzz-"));
const results: Record<string, Outcome> = {};
for (const name of names) {
  results[name] = await runTarget(name);
  const { cases, tally, violation } = results[name];
  if (!values.json)
    console.log(`${name}: ${cases} cases, ${JSON.stringify(tally)}${violation ? ": VIOLATION" : ""}`);
  if (!violation) continue;
  process.exitCode = 1;
  console.error(`${name}: ${violation.what}\n  input: ${violation.input}`);
  console.error(`  again: npm run fuzz -- --seed ${seed} --target ${name} --case=${violation.case}`);
}
rmSync(folder, { recursive: true, force: true });
const violations = Object.values(results).filter(({ violation }) => violation !== undefined).length;
const cases = Object.values(results).reduce((sum, result) => sum + result.cases, 0);
if (values.json) console.log(JSON.stringify({ seed, cases, violations, targets: results }));
else console.log(`${cases} cases, ${violations} violations, seed ${seed}`);

/** A process of its own for each target, so that a hang or a crash is a finding and not the end. */
async function runTarget(name: string): Promise<Outcome> {
  const progressFile = join(folder, name);
  const order: Order = {
    target: name,
    seed,
    seconds: Number(values.seconds) / names.length,
    only: values.case === undefined ? undefined : Number(values.case),
    progressFile,
  };
  const child = spawn(
    process.execPath,
    [...process.execArgv, join(import.meta.dirname, "child.ts"), JSON.stringify(order)],
    { stdio: ["ignore", "pipe", "pipe"] },
  );
  let output = "";
  let errors = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    errors = (errors + text).slice(-4_000);
  });
  const present = (): number => Number(readOr(progressFile) || Number.NaN);
  let hung: string | undefined;
  let seen = { case: Number.NaN, sinceMs: performance.now() };
  const watch = setInterval(() => {
    const now = present();
    if (!Object.is(now, seen.case)) seen = { case: now, sinceMs: performance.now() };
    const limitMs = Number.isNaN(now) ? maxStartMs : maxCaseMs;
    // When the time is over, what is judged of all together may take longer than a case.
    const isFinishing = performance.now() - startedMs > order.seconds * 1000 && order.only === undefined;
    if (performance.now() - seen.sinceMs < (isFinishing ? maxStartMs : limitMs)) return;
    hung = `no end within ${limitMs} ms`;
    child.kill("SIGKILL");
  }, 250);
  const startedMs = performance.now();
  const code = await new Promise<number | string>((resolve) => {
    child.once("close", (status, signal) => resolve(status ?? signal ?? "unknown"));
  });
  clearInterval(watch);
  const line = output.trim().split("\n").at(-1) ?? "";
  if (code === 0 && line.startsWith("{")) return JSON.parse(line) as Outcome;
  const what = hung ?? `the process ended with ${code}: ${errors}`;
  return { cases: 0, tally: {}, violation: { case: present(), what, input: "see the case" } };
}

function readOr(file: string): string {
  try {
    return readFileSync(file, "utf8").trim();
  } catch {
    return "";
  }
}
