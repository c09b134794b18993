/**
 * `npm run test:fleet -- [--hubs N] [--minutes M] [--grants G] [--seed S] [--json] [--protocol] [--sabotage fence|send|patience]`: hubs, each
 * a `nexusd serve`, that share a PostgreSQL with a synchronous standby, and all that may happen to them: processes are stopped, killed and ended; links to the
 * database, to the provider and between hubs are cut, slow and half open; the database is killed, and its standby promoted. `--seed` draws
 * the same faults again. `--protocol`
 * has the parts of the protocol alone in the child processes, which refresh without a pause; `--sabotage` breaks it in one place, and has
 * to be found. `--crowd N [--away SECONDS]` has a crowd of spokes in place of the faults. `--upgrade` replaces three
 * hubs by those of a version that knows one layout more, while agents go on. `--points WORDS` has one refresh after the other harmed at each of its boundaries, those that WORDS name or `""` for all.
 */
import { randomInt } from "node:crypto";
import { parseArgs } from "node:util";
import { Random } from "../../../fuzz/random.js";
import { postgresPrograms } from "../../../needs.js";
import { crowdFailures } from "../crowd/crowd_report.js";
import { CrowdStorm } from "../crowd/crowd_storm.js";
import { boundaries, expectedOutcome, FaultPoints, harms } from "../real/points.js";
import { RealStorm } from "../real/real_storm.js";
import { RollingUpgrade, upgradeFailures } from "../upgrade/rolling_upgrade.js";
import { failures } from "./judge.js";
import { Storm } from "./storm.js";

const { values } = parseArgs({
  options: {
    hubs: { type: "string", default: "4" },
    minutes: { type: "string", default: "2" },
    grants: { type: "string", default: "60" },
    json: { type: "boolean", default: false },
    sabotage: { type: "string", default: "" },
    protocol: { type: "boolean", default: false },
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
  if (values.points !== undefined) return await runPoints(values.points);
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
  const random = new Random(Number(values.seed), 0);
  const isProtocol = values.protocol || values.sabotage !== "";
  const storm = new (isProtocol ? Storm : RealStorm)({
    hubs: Number(values.hubs),
    minutes: Number(values.minutes),
    grants: Number(values.grants),
    sabotage: values.sabotage,
    random: () => random.next() / 2 ** 32,
    say,
  });
  const report = await storm.run();
  return told({ seed: Number(values.seed), ...report }, failures(report), startedMs);
}

/** @returns the exit code */
function told(report: object, found: readonly string[], startedMs: number): number {
  const seconds = Math.round((performance.now() - startedMs) / 1_000);
  console.log(JSON.stringify({ ...report, seconds }, undefined, 1));
  for (const words of found) console.error(`FAILED: ${words}`);
  return found.length === 0 ? 0 : 1;
}

/** @param only words of those that are wanted: `answer kill`; empty: all */
async function runPoints(only: string): Promise<number> {
  const wanted = boundaries
    .flatMap((boundary) => harms.map((harm) => ({ boundary, harm })))
    .filter(({ boundary, harm }) => only.split(" ").every((word) => `${boundary} ${harm}`.includes(word)));
  const points = await FaultPoints.start();
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
