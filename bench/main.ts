/** `npm run bench -- [--quick] [--only WORD] [--json FILE]`: what a user pays, as ratios to the bare machine in one run. */
import { writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { type Figure, tableOf } from "./figure.js";
import { idleFigures } from "./idle.js";
import { refreshLatencyFigures } from "./refresh_latency.js";
import { scaleFigures } from "./scale.js";
import { startFigures } from "./start.js";
import { unaryFigures } from "./unary.js";
import { watchFigures } from "./watch.js";

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    only: { type: "string" },
    json: { type: "string" },
  },
});
const parts = {
  unary: unaryFigures,
  watch: watchFigures,
  start: startFigures,
  refresh: refreshLatencyFigures,
  scale: scaleFigures,
  idle: idleFigures,
};

const figures: Figure[] = [];
for (const [name, measure] of Object.entries(parts)) {
  if (values.only !== undefined && values.only !== name) continue;
  figures.push(...(await measure({ quick: values.quick })));
}
console.log(`Node ${process.version}, ${cpus().length} cores, ${cpus()[0]?.model ?? "unknown"}\n`);
console.log(tableOf(figures));
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(figures, undefined, 2)}\n`);
process.exit(0);
