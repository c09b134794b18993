/** `npm run test:outbox -- [--kills N] [--json]`: kills a child that tells a receiver what is in its outbox, at each boundary and at random instants. */
import { parseArgs } from "node:util";
import { compileChild } from "../../../crash/compile_child.js";
import { outboxBoundaries } from "./outbox_boundaries.js";
import { OutboxSweep } from "./outbox_sweep.js";

const { values } = parseArgs({
  options: { kills: { type: "string", default: "30" }, json: { type: "boolean", default: false } },
});
/** A passage is drawn from so many, so that the kill meets a different crowd each time. */
const maxPassages = 12;

const outbox = new OutboxSweep(compileChild("test/ext/alerts/crash/outbox_child.ts"));
await outbox.open();
try {
  for (let kill = 0; kill < Math.max(outboxBoundaries.length, Number(values.kills)); kill++) {
    const boundary = outboxBoundaries[kill % outboxBoundaries.length] ?? "random";
    await outbox.kill(boundary, Math.floor(Math.random() * maxPassages));
  }
  await outbox.judge();
} finally {
  await outbox.close();
}
const { kills, told, repeated, lost } = outbox.result;
if (values.json) console.log(JSON.stringify(outbox.result));
else console.log(`${kills} kills, ${told} notifications, ${repeated} told again, ${lost} lost`);
for (const violation of outbox.violations) console.error(violation);
if (outbox.violations.length > 0) process.exitCode = 1;
