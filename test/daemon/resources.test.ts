import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { expect, it } from "vitest";
import { Resources } from "../../src/daemon/resources.js";
import { SystemClock } from "../../src/runtime/clock.js";
import { silentLog } from "../silent_log.js";
import { Place } from "./harness.js";

it.runIf(process.platform === "linux")("lets no program that the daemon runs inherit its store", async () => {
  const { config } = await Place.make();
  const onFatal = (error: unknown): never => {
    throw error;
  };
  const resources = await Resources.open(
    { config, log: silentLog, clock: new SystemClock(), random: () => 0.5, onFatal },
    async () => undefined,
  );
  const inherited = execFileSync("ls", ["-l", "/proc/self/fd"]).toString();
  await resources.close();
  expect(inherited).not.toContain(join(config.dataDir, ""));
});
