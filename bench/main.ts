/** `npm run bench -- [--quick] [--only WORD] [--json FILE]`: see README.md here. */
import { writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { type Figure, tableOf } from "./figure.js";
import { requireH2load } from "./h2load.js";
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

/** @throws Error when a part is asked for that there is not, or a program is missing */
async function measured(): Promise<Figure[]> {
  const { only, quick } = values;
  if (only !== undefined && !(only in parts))
    throw new Error(`--only takes ${Object.keys(parts).join(", ")}`);
  if (only === undefined || only === "unary") await requireH2load();
  const figures: Figure[] = [];
  for (const [name, measure] of Object.entries(parts)) {
    if (only === undefined || only === name) figures.push(...(await measure({ quick })));
  }
  return figures;
}

try {
  const figures = await measured();
  console.log(`Node ${process.version}, ${cpus().length} cores, ${cpus()[0]?.model ?? "unknown"}\n`);
  console.log(tableOf(figures));
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(figures, undefined, 2)}\n`);
  process.exit(0);
} catch (error) {
  console.error(`bench: ${error instanceof Error ? error.message : String(error)}`);
  process.exit(2);
}
