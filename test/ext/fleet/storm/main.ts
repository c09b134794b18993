/**
 * `npm run test:fleet -- [--hubs N] [--minutes M] [--grants G] [--seed S] [--json] [--sabotage intent|send|commit]`: hubs, each
 * a `nexusd serve`, that share a PostgreSQL with a synchronous standby, and all that may happen to them: processes are stopped, killed and
 * ended; links to the database, to the provider and between hubs are cut, slow and half open; the database is killed, and its standby
 * promoted, also while the old primary lives or a hub is killed. `--seed` draws the same faults again. `--sabotage` builds the hubs with one
 * line of the product broken, and has to be found. `--crowd N [--away SECONDS]` has a crowd of spokes instead of the faults. `--upgrade`
 * replaces three hubs by those of a version that knows one layout more, while agents go on. `--points WORDS` has one refresh after the
 * other harmed at each of its boundaries, those that WORDS name or `""` for all.
 */
import { randomInt } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { postgresPrograms } from "../../../needs.js";
import { Random } from "../../../suites/random.js";
import { crowdFailures } from "../crowd/crowd_report.js";
import { CrowdStorm } from "../crowd/crowd_storm.js";
import { buildEdited } from "../real/edited_build.js";
import { boundaries, expectedOutcome, FaultPoints, harms } from "../real/points.js";
import { RealStorm } from "../real/real_storm.js";
import { RollingUpgrade, upgradeFailures } from "../upgrade/rolling_upgrade.js";
import { failures } from "./judge.js";
import { sabotages } from "./sabotages.js";

const { values } = parseArgs({
  options: {
    hubs: { type: "string", default: "4" },
    minutes: { type: "string", default: "2" },
    grants: { type: "string", default: "60" },
    json: { type: "boolean", default: false },
    sabotage: { type: "string", default: "" },
    points: { type: "string" },
    crowd: { type: "string" },
    away: { type: "string", default: "300" },
    upgrade: { type: "boolean", default: false },
    seed: { type: "string", default: String(randomInt(2 ** 31)) },
  },
});

async function main(): Promise<number> {
  if (postgresPrograms() === undefined) {
    console.error("this machine lacks PostgreSQL 14 or newer (apt-get install postgresql)");
    return process.env["CI"] === "true" ? 1 : 0;
  }
  const startedMs = performance.now();
  const say = (words: string): void => {
    if (!values.json) console.log(`${((performance.now() - startedMs) / 1_000).toFixed(1)} s  ${words}`);
  };
  if (values.upgrade) {
    const report = await new RollingUpgrade(say).run();
    return told({ ...report }, upgradeFailures(report), startedMs);
  }
  if (values.crowd !== undefined) {
    const spokes = Number(values.crowd);
    const report = await CrowdStorm.run({ spokes, awaySeconds: Number(values.away), say });
    return told(report, crowdFailures(report), startedMs);
  }
  const broken = mkdtempSync(join(tmpdir(), "nexus-broken-"));
  try {
    const main = await sabotaged(broken, values.sabotage);
    if (values.points !== undefined) return await runPoints(values.points, main);
    const random = new Random(Number(values.seed), 0);
    const storm = new RealStorm({
      hubs: Number(values.hubs),
      minutes: Number(values.minutes),
      grants: Number(values.grants),
      main,
      random: () => random.next() / 2 ** 32,
      say,
    });
    const report = await storm.run();
    return told({ seed: Number(values.seed), ...report }, failures(report), startedMs);
  } finally {
    rmSync(broken, { recursive: true, force: true });
  }
}

/** @returns `main.js` of a build that is broken there; undefined: of this one */
async function sabotaged(folder: string, name: string): Promise<string | undefined> {
  if (name === "") return undefined;
  const edit = sabotages[name];
  if (edit === undefined) throw new Error(`--sabotage is one of ${Object.keys(sabotages).join(", ")}`);
  return await buildEdited(folder, [edit]);
}

/** @returns the exit code */
function told(report: object, found: readonly string[], startedMs: number): number {
  const seconds = Math.round((performance.now() - startedMs) / 1_000);
  console.log(JSON.stringify({ ...report, seconds }, undefined, 1));
  for (const words of found) console.error(`FAILED: ${words}`);
  return found.length === 0 ? 0 : 1;
}

/** @param only words of those that are wanted: `answer kill`; empty: all */
async function runPoints(only: string, main: string | undefined): Promise<number> {
  const wanted = boundaries
    .flatMap((boundary) => harms.map((harm) => ({ boundary, harm })))
    .filter(({ boundary, harm }) => only.split(" ").every((word) => `${boundary} ${harm}`.includes(word)));
  const points = await FaultPoints.start(main);
  let failed = 0;
  try {
    for (const { boundary, harm } of wanted) {
      const startedMs = performance.now();
      const found = await points
        .run(boundary, harm)
        .catch((error: unknown) => [error instanceof Error ? error.message : String(error)]);
      const seconds = ((performance.now() - startedMs) / 1_000).toFixed(1);
      const outcome = found.length === 0 ? expectedOutcome(boundary, harm) : `FAILED: ${found.join("; ")}`;
      console.log(`${harm}, ${boundary}: ${outcome} (${seconds} s)`);
      if (found.length > 0) failed++;
    }
  } finally {
    await points.close();
  }
  console.log(JSON.stringify({ points: wanted.length, failed }));
  return failed === 0 ? 0 : 1;
}

process.exitCode = await main();
