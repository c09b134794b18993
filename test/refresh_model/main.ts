/**
 * `npm run test:model -- [--runs N] [--seed S] [--json]`: scripts drawn by fast-check against the engine.
 * `--fleet`: two hubs on one log, whose leader changes; both and a fresh copy hold the same bytes at the end.
 * `npm run test:model -- --replay '<what a failure printed>'`: one script again.
 */
import { parseArgs } from "node:util";
import fc from "fast-check";
import { runScript } from "./run.js";
import { anyFleetStep, anyLoneStep, type Step } from "./steps.js";

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "2000" },
    seed: { type: "string" },
    json: { type: "boolean", default: false },
    replay: { type: "string" },
    fleet: { type: "boolean", default: false },
  },
});

let runs = 0;
let steps = 0;
const onStep = (): void => void steps++;
const startedMs = performance.now();
let running: unknown;

if (values.replay !== undefined) {
  const { seed, script } = JSON.parse(values.replay) as { seed: number; script: Step[] };
  await runScript(seed, script, onStep, values.fleet);
  console.log(`the script of ${script.length} steps violates nothing`);
} else {
  const property = fc.asyncProperty(
    fc.integer(),
    fc.array(values.fleet ? anyFleetStep : anyLoneStep, { minLength: 5, maxLength: 40, size: "max" }),
    async (seed, script) => {
      runs++;
      running = { seed, script };
      await runScript(seed, script, onStep, values.fleet);
    },
  );
  // Nothing is left to wait for, and the script is not over.
  process.once(
    "beforeExit",
    () =>
      running === undefined ||
      console.error(
        `hangs: npm run test:model --${values.fleet ? " --fleet" : ""} --replay '${JSON.stringify(running)}'`,
      ),
  );
  const details = await fc.check(property, {
    numRuns: Number(values.runs),
    ...(values.seed === undefined ? {} : { seed: Number(values.seed) }),
  });
  running = undefined;
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  const violations = details.failed ? 1 : 0;
  if (values.json) console.log(JSON.stringify({ runs, steps, violations }));
  else
    console.log(`${runs} runs, ${steps} steps, ${violations} violations, ${seconds} s, seed ${details.seed}`);
  if (details.counterexample) {
    const [seed, script] = details.counterexample;
    console.error(String(details.errorInstance));
    console.error(
      `replay: npm run test:model --${values.fleet ? " --fleet" : ""} --replay '${JSON.stringify({ seed, script })}'`,
    );
    process.exitCode = 1;
  }
}
