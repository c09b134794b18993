/** `npm run bench -- [--quick] [--guard] [--markdown] [--only WORD] [--json FILE]`: see README.md here. */
import { writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { consentFigures } from "./consent.js";
import { type Figure, markdownOf, tableOf } from "./figure.js";
import { firstAnswerFigures } from "./first_answers.js";
import { fleetFigures } from "./fleet.js";
import { fleetProcessFigures } from "./fleet_processes.js";
import { guardViolations, readCeilings, type Violation } from "./guard.js";
import { requireH2load } from "./h2load.js";
import { idleFigures } from "./idle.js";
import { requirePostgres } from "./pgbench.js";
import { refreshLatencyFigures } from "./refresh_latency.js";
import { scaleFigures } from "./scale.js";
import { snapshotFigures } from "./snapshot.js";
import { spokeFigures } from "./spokes.js";
import { startFigures } from "./start.js";
import { stormFigures } from "./storm.js";
import { unaryFigures } from "./unary.js";
import { watchFigures } from "./watch.js";

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    guard: { type: "boolean", default: false },
    markdown: { type: "boolean", default: false },
    only: { type: "string" },
    json: { type: "string" },
  },
});
const parts = {
  unary: unaryFigures,
  watch: watchFigures,
  snapshot: snapshotFigures,
  start: async (options: { readonly quick: boolean }) => [
    ...(await startFigures(options)),
    ...(await firstAnswerFigures(options)),
  ],
  refresh: refreshLatencyFigures,
  storm: stormFigures,
  consent: consentFigures,
  scale: scaleFigures,
  idle: idleFigures,
  fleet: async (options: { readonly quick: boolean }) => [
    ...(await fleetFigures(options)),
    // The guard names none of these, which take minutes on a busy machine.
    ...(values.guard ? [] : await fleetProcessFigures(options)),
  ],
  spokes: spokeFigures,
};
type Part = keyof typeof parts;

/** @throws Error when there is no such part, or a program is missing */
async function partsAsked(): Promise<Part[]> {
  const { only } = values;
  const all = Object.keys(parts) as Part[];
  const asked = only === undefined ? all : all.filter((name) => name === only);
  if (asked.length === 0) throw new Error(`--only takes ${all.join(", ")}`);
  if (asked.includes("unary") || asked.includes("fleet")) await requireH2load();
  if (asked.includes("fleet")) requirePostgres();
  return asked;
}

async function measured(asked: readonly Part[]): Promise<Map<Part, Figure[]>> {
  const figures = new Map<Part, Figure[]>();
  for (const name of asked) {
    const startedMs = performance.now();
    figures.set(name, await parts[name]({ quick: values.quick }));
    console.error(`bench: ${name} took ${((performance.now() - startedMs) / 1_000).toFixed(0)} s`);
  }
  return figures;
}

/** Errors that stay when the parts they are in are measured once more: a busy machine passes, and what has become slow does not. */
async function violationsThatStay(figures: ReadonlyMap<Part, Figure[]>): Promise<Violation[]> {
  const measuredParts = [...figures.keys()];
  const ceilings = Object.fromEntries(
    Object.entries(readCeilings()).filter(
      ([name]) => values.only === undefined || allOf(figures).some((figure) => figure.name === name),
    ),
  );
  const violations = guardViolations(allOf(figures), ceilings);
  if (violations.length === 0) return [];
  for (const { name, words } of violations) console.error(`bench: once more: ${name}: ${words}`);
  const again = await measured(
    measuredParts.filter((part) =>
      violations.some(({ name }) => (figures.get(part) ?? []).some((figure) => figure.name === name)),
    ),
  );
  const names = new Set(violations.map(({ name }) => name));
  const failing = Object.fromEntries(Object.entries(ceilings).filter(([name]) => names.has(name)));
  return guardViolations(allOf(again), failing);
}

function allOf(figures: ReadonlyMap<Part, Figure[]>): Figure[] {
  return [...figures.values()].flat();
}

try {
  const figures = await measured(await partsAsked());
  const machine = `${cpus().length} cores of ${cpus()[0]?.model.trim() ?? "unknown"}`;
  const day = new Date().toISOString().slice(0, 10);
  console.log(`Node ${process.version.slice(1)}, ${machine}, ${process.platform}, ${day}\n`);
  console.log(values.markdown ? markdownOf(allOf(figures)) : tableOf(allOf(figures)));
  if (values.json !== undefined)
    writeFileSync(values.json, `${JSON.stringify(allOf(figures), undefined, 2)}\n`);
  const violations = values.guard ? await violationsThatStay(figures) : [];
  for (const { name, words } of violations) console.error(`bench: FAILED: ${name}: ${words}`);
  process.exit(violations.length === 0 ? 0 : 1);
} catch (error) {
  console.error(`bench: ${error instanceof Error ? error.message : String(error)}`);
  process.exit(2);
}
