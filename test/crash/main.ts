/**
 * `npm run test:crash -- [--kills N] [--json]`: kills a child at every boundary of a refresh, and at random instants. Before each round
 * of the boundaries one is paused for longer than the time-out of its requests, and the store of another fails.
 */
import { parseArgs } from "node:util";
import { boundaries } from "./boundaries.js";
import { compileChild } from "./compile_child.js";
import { Sweep } from "./sweep.js";

const { values } = parseArgs({
  options: { kills: { type: "string", default: "300" }, json: { type: "boolean", default: false } },
});
/** A passage is drawn from so many, so that the kill meets a different crowd each time. */
const maxPassages = 12;
const drawPassages = () => Math.floor(Math.random() * maxPassages);

const startedMs = performance.now();
const sweep = new Sweep(compileChild("test/crash/child.ts"));
await sweep.open();
try {
  for (let kill = 0; kill < Number(values.kills); kill++) {
    if (kill % boundaries.length === 0) {
      await sweep.pause(drawPassages());
      await sweep.fail(drawPassages());
    }
    await sweep.kill(boundaries[kill % boundaries.length] ?? "random", drawPassages());
  }
} finally {
  await sweep.close();
}
const { result, violations } = sweep;
if (values.json) console.log(JSON.stringify(result));
else {
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  console.log(
    `${result.kills} kills, ${result.pauses} pauses, ${result.failures} failed stores, ${result.reopenings} reopenings, ${result.grantsLost} grants lost, ` +
      `${result.doubleRedemptions} double redemptions, ${result.outcomeUnknown} outcomes unknown, ${seconds} s`,
  );
}
for (const violation of violations) console.error(violation);
if (violations.length > 0 || result.grantsLost > 0 || result.doubleRedemptions > 0) process.exitCode = 1;
