import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { expect, it } from "vitest";
import { Resources } from "../../src/daemon/resources.js";
import { SystemClock } from "../../src/runtime/clock.js";
import { silentLog } from "../silent_log.js";
import { Place } from "./harness.js";

/** O_CLOEXEC, as the flags in `/proc/self/fdinfo` have it. */
const closedOnExec = 0o2000000;

/** The files below a folder that a program would inherit, or all that are open. */
function openBelow(folder: string, which: "all" | "inherited"): string[] {
  return readdirSync("/proc/self/fd").flatMap((descriptor) => {
    try {
      const path = readlinkSync(`/proc/self/fd/${descriptor}`);
      const [, flags = ""] =
        /^flags:\s+(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${descriptor}`, "utf8")) ?? [];
      const isInherited = (Number.parseInt(flags, 8) & closedOnExec) === 0;
      return path.startsWith(`${folder}/`) && (which === "all" || isInherited) ? [path] : [];
    } catch {
      return []; // Of the listing itself.
    }
  });
}

it.runIf(process.platform === "linux")("lets no program that the daemon runs inherit its store", async () => {
  const { config } = await Place.make();
  const onFatal = (error: unknown): never => {
    throw error;
  };
  const resources = await Resources.open(
    { config, log: silentLog, clock: new SystemClock(), random: () => 0.5, onFatal },
    [],
    async () => undefined,
  );
  const found = (["all", "inherited"] as const).map((which) => openBelow(config.dataDir, which));
  await resources.close();
  expect(found).toEqual([expect.arrayContaining([expect.stringContaining("nexus.mdb")]), []]);
});
