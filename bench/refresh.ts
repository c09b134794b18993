/**
 * `npm run bench:refresh -- [--connections N] [--json]`: a storm. All connections of three providers fall due at one moment, one
 * provider is dead and one answers 429, while a caller asks for a token that is fresh.
 */
import { fork } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { DaemonProcess } from "../test/daemon/daemon_process.js";
import { type Clients, Place } from "../test/daemon/harness.js";
import { fillStore } from "./filled_store.js";
import type { StormReport } from "./storm_provider.js";

const { values } = parseArgs({
  options: { connections: { type: "string", default: "10000" }, json: { type: "boolean", default: false } },
});
const count = Number(values.connections);
const providers = ["live", "limited", "dead"];
const pauseMs = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
/** Between two questions of the caller: an agent in a hurry. */
const askEveryMs = 5;
/** A storm that takes longer than this has failed. */
const patienceMs = 180_000;

/** Latencies of `GetToken` until `done`, in milliseconds, sorted. */
async function latencies(
  tokens: Clients["tokens"],
  connectionId: string,
  done: () => boolean,
): Promise<number[]> {
  const taken: number[] = [];
  while (!done()) {
    const startedMs = performance.now();
    await tokens.getToken({ connectionId });
    taken.push(performance.now() - startedMs);
    await pauseMs(askEveryMs);
  }
  return taken.sort((a, b) => a - b);
}

function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

const provider = fork(join(import.meta.dirname, "storm_provider.ts"), { execArgv: ["--import", "tsx"] });
const [{ origin }] = (await once(provider, "message")) as [{ origin: string }];
const report = async (): Promise<StormReport> => {
  provider.send("report");
  const [message] = (await once(provider, "message")) as [StormReport];
  return message;
};

const key = randomBytes(32);
const place = await Place.make({
  NEXUS_ENCRYPTION_KEY: key.toString("base64"),
  NEXUS_LOG_LEVEL: "error",
});
mkdirSync(place.config.dataDir, { recursive: true, mode: 0o700 });
const dueAtMs = Date.now() + 12_000;
const folder = place.config.dataDir;
const groups = [
  { count, dueAtMs },
  { count: 1, dueAtMs: Date.now() + 7_200_000 },
];
const [, [freshId = ""] = []] = await fillStore({ folder, key, origin, providers, groups });
const daemon = new DaemonProcess({ ...place.environment, NEXUS_LOG_LEVEL: "info" });
let exitCode = 0;
try {
  await daemon.ready();
  const { tokens } = place.clients();
  await latencies(tokens, freshId, () => Date.now() > dueAtMs - 3_000);
  const idle = await latencies(tokens, freshId, () => Date.now() > dueAtMs);

  const of = (name: string): number => Math.ceil((count - providers.indexOf(name)) / providers.length);
  let drainedMs: number | undefined;
  const polling = (async () => {
    while (drainedMs === undefined) {
      const { requests } = await report();
      const metrics = await (await fetch(`${place.opsUrl}/metrics`)).text();
      const [, written = "0"] =
        /nexus_refresh_total\{provider="live",result="success",reason=""\} (\d+)/.exec(metrics) ?? [];
      const isDrained = Number(written) >= of("live") && (requests["limited"] ?? 0) >= of("limited");
      if (isDrained || Date.now() - dueAtMs > patienceMs) drainedMs = Date.now() - dueAtMs;
      else await pauseMs(250);
    }
  })();
  const storm = await latencies(tokens, freshId, () => drainedMs !== undefined);
  await polling;
  const ready = (await fetch(`${place.opsUrl}/readyz`)).status;
  const { requests, maxInFlight, duplicates } = await report();
  const result = {
    connections: count,
    drainMs: drainedMs ?? Number.NaN,
    requests,
    maxInFlight,
    duplicates,
    readyz: ready,
    idleMs: { p50: percentile(idle, 0.5), p99: percentile(idle, 0.99) },
    stormMs: { p50: percentile(storm, 0.5), p99: percentile(storm, 0.99) },
    ratio: {
      p50: percentile(storm, 0.5) / percentile(idle, 0.5),
      p99: percentile(storm, 0.99) / percentile(idle, 0.99),
    },
  };
  if (values.json) console.log(JSON.stringify(result));
  else console.log(result);
  const isCapped = Object.values(maxInFlight).every((most) => most <= 16);
  if (duplicates > 0 || !isCapped || ready !== 200 || result.drainMs >= patienceMs) exitCode = 1;
} finally {
  await daemon.kill("SIGKILL");
  provider.disconnect();
  rmSync(folder, { recursive: true, force: true });
}
process.exit(exitCode);
