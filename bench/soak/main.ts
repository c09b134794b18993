/** `npm run bench:soak -- [--minutes N] [--json FILE]`: does the daemon grow? Exit code 1 where it does. See README.md above. */
import { writeFileSync } from "node:fs";
import { loadavg } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { tableOf } from "../figure.js";
import { growthFigures, minuteMs } from "./growth.js";
import { type Look, Onlooker } from "./look.js";
import { SoakStage } from "./stage.js";

/** Few enough to be reached while the daemon warms up: the log then stays as long as it is. */
const auditEvents = 500;
/** From one change of the key to the next; the first one in the middle of that. */
const rotationMs = 120_000;
/** After watchers have left, before the daemon is looked at. */
const settleMs = 1_000;
/** How often a look is shown. */
const sayMs = 30_000;

async function soak(minutes: number): Promise<Look[]> {
  const stage = await SoakStage.set({ NEXUS_AUDIT_MAX_EVENTS: String(auditEvents) });
  const { daemon, folder, probe, ring } = stage;
  const onlooker = new Onlooker({ pid: daemon.pid, folder, probe });
  const looks: Look[] = [];
  const startedMs = performance.now();
  let saidMs = Number.NEGATIVE_INFINITY;
  const passedMs = (): number => performance.now() - startedMs;
  try {
    while (passedMs() < minutes * minuteMs) {
      await stage.round(async (watchers) => {
        const { streams } = await onlooker.held();
        if (streams < watchers) throw new Error(`the probe counts ${streams} streams of ${watchers}`);
        if (passedMs() > rotationMs * (ring.rotations + 0.5)) await ring.rotate();
      });
      await sleep(settleMs);
      looks.push(await onlooker.look(passedMs()));
      if (passedMs() < saidMs + sayMs) continue;
      saidMs = passedMs();
      console.error(JSON.stringify(looks.at(-1)));
    }
    await stage.verifyAudit();
    const { rounds, reconsents } = stage;
    const load = loadavg().map((value) => value.toFixed(1));
    console.log(
      `${rounds} rounds, ${reconsents} re-consents, ${ring.rotations} rotations of the key; load ${load}\n`,
    );
    return looks;
  } finally {
    onlooker.close();
    await stage.close();
  }
}

const { values } = parseArgs({
  options: { minutes: { type: "string", default: "20" }, json: { type: "string" } },
});
try {
  const minutes = Number(values.minutes);
  if (!(minutes >= 4)) throw new RangeError("--minutes takes 4 or more: two go by until the daemon is warm");
  const figures = growthFigures(await soak(minutes), { minutes, auditEvents });
  console.log(tableOf(figures));
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(figures, undefined, 2)}\n`);
  process.exit(figures.every(({ met }) => met) ? 0 : 1);
} catch (error) {
  console.error(`soak: ${error instanceof Error ? error.message : String(error)}`);
  process.exit(2);
}
