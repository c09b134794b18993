/** `npm run bench -- [--quick] [--guard] [--only PART] [--json FILE]`: see README.md here. */
import { writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { egressFigures } from "./egress.js";
import type { Figure } from "./figure.js";
import { fleetFigures } from "./fleet.js";
import { getTokenFigures } from "./get_token.js";
import { goalsNode, isGuarded, type Part, parts, tableOf, violations } from "./goals.js";
import { requireH2load } from "./h2load.js";
import { loadFigures } from "./load.js";
import { requirePostgres } from "./pgbench.js";
import { startFigures } from "./start.js";
import { watchFigures } from "./watch.js";

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    guard: { type: "boolean", default: false },
    only: { type: "string" },
    json: { type: "string" },
  },
});
const measures: Record<Part, (options: { readonly quick: boolean }) => Promise<Figure[]>> = {
  getToken: getTokenFigures,
  watch: watchFigures,
  load: loadFigures,
  start: startFigures,
  fleet: fleetFigures,
  egress: egressFigures,
};

/** @throws Error when there is no such part, or a program is missing */
async function partsAsked(): Promise<Part[]> {
  const { only, guard } = values;
  const asked = parts.filter((part) => (only === undefined ? !guard || isGuarded(part) : part === only));
  if (asked.length === 0) throw new Error(`--only takes ${parts.join(", ")}`);
  if (asked.includes("getToken") || asked.includes("start")) await requireH2load();
  if (asked.includes("fleet")) requirePostgres();
  return asked;
}

try {
  const machine = `${cpus().length} cores of ${cpus()[0]?.model.trim() ?? "unknown"}`;
  const [major] = process.version.slice(1).split(".");
  const other = major === goalsNode ? "" : ` (the goals are for Node ${goalsNode})`;
  console.log(
    `Node ${process.version.slice(1)}${other}, ${machine}, ${new Date().toISOString().slice(0, 10)}\n`,
  );
  console.log("| what | nexusd | beside | goal | met |\n| --- | --- | --- | --- | --- |");
  const all: Record<string, Figure[]> = {};
  const failures: string[] = [];
  for (const part of await partsAsked()) {
    const figures = await measures[part](values);
    all[part] = figures;
    console.log(tableOf(part, figures));
    if (values.guard) failures.push(...violations(part, figures));
  }
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(all, undefined, 2)}\n`);
  for (const words of failures) console.error(`bench: FAILED: ${words}`);
  process.exit(failures.length === 0 ? 0 : 1);
} catch (error) {
  console.error(`bench: ${error instanceof Error ? error.message : String(error)}`);
  process.exit(2);
}
