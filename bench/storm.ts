import { once } from "node:events";
import { rmSync } from "node:fs";
import { DaemonProcess } from "../test/daemon/daemon_process.js";
import type { Clients, Place } from "../test/daemon/harness.js";
import { answerOf, start } from "./children.js";
import { type Figure, percentile, ratioFigure } from "./figure.js";
import { filledPlace } from "./filled_place.js";
import { cpuMs } from "./process_figures.js";
import type { StormReport } from "./storm_provider.js";

const providers = ["live", "limited", "dead"];
const pauseMs = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
/** Between two questions of the caller: an agent in a hurry. */
const askEveryMs = 5;
/** A storm that takes longer than this has failed. */
export const patienceMs = 180_000;

/** What a storm was like. */
export interface Storm extends StormReport {
  readonly drainMs: number;
  /** Status of `/readyz` behind it. */
  readonly readyz: number;
  /** Of the daemon, threads included, over the requests that it sent. */
  readonly cpuMsPerRequest: number;
  /** The same by node:http and lmdb alone, behind the storm. */
  readonly bareCpuMs: number;
  /** Latencies of `GetToken` before it and meanwhile, in ms. */
  readonly idleMs: readonly number[];
  readonly stormMs: readonly number[];
}

/** A storm beside the quiet before it, and beside what no refresh can do without. */
export async function stormFigures({ quick }: { readonly quick: boolean }): Promise<Figure[]> {
  const count = quick ? 1_500 : 10_000;
  const { cpuMsPerRequest, bareCpuMs, idleMs, stormMs } = await storm(count);
  const latency = (share: number, atMost: number): Figure =>
    ratioFigure({
      name: `GetToken while ${count} refreshes are due: latency p${share * 100}`,
      ...{ unit: "ms", against: "the same, idle", atMost },
      ours: [percentile(stormMs, share)],
      theirs: [percentile(idleMs, share)],
    });
  return [
    ratioFigure({
      name: `storm of ${count} due: CPU per refresh`,
      // Half of the 3.6 x that it was when it was measured first.
      ...{ unit: "ms", against: "bare node:http and lmdb", atMost: 1.8 },
      ours: [cpuMsPerRequest],
      theirs: [bareCpuMs],
    }),
    latency(0.5, 1.3),
    latency(0.99, 2),
  ];
}

/** Latencies of `GetToken` until `done`, in milliseconds. */
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
  return taken;
}

/** All connections of three providers fall due at one moment, one provider is dead and one answers 429, while a caller asks for a token that is fresh. */
export async function storm(count: number): Promise<Storm> {
  const provider = start("storm_provider.ts", []);
  const [{ origin }] = (await once(provider, "message")) as [{ origin: string }];
  const report = async (): Promise<StormReport> => {
    provider.send("report");
    const [message] = (await once(provider, "message")) as [StormReport];
    return message;
  };
  const dueAtMs = Date.now() + 12_000;
  const groups = [
    { count, dueAtMs },
    { count: 1, dueAtMs: Date.now() + 7_200_000 },
  ];
  const { place, ids } = await filledPlace(groups, { origin, providers });
  const folder = place.config.dataDir;
  const [, [freshId = ""] = []] = ids;
  const daemon = new DaemonProcess(place.environment);
  try {
    await daemon.ready();
    const { tokens } = place.clients();
    await latencies(tokens, freshId, () => Date.now() > dueAtMs - 3_000);
    const idleMs = await latencies(tokens, freshId, () => Date.now() > dueAtMs);
    const before = cpuMs(daemon.pid);
    let drainMs: number | undefined;
    const polling = drained(place, report, count, dueAtMs).then((ms) => {
      drainMs = ms;
    });
    const stormMs = await latencies(tokens, freshId, () => drainMs !== undefined);
    await polling;
    const used = cpuMs(daemon.pid) - before;
    const readyz = (await fetch(`${place.opsUrl}/readyz`)).status;
    const seen = await report();
    const sent = Object.values(seen.requests).reduce((sum, requests) => sum + requests, 0);
    const bareCpuMs = await answerOf<number>("bare_storm.ts", [origin, folder, String(Math.ceil(count / 3))]);
    const measured = { cpuMsPerRequest: used / sent, bareCpuMs, idleMs, stormMs };
    return { ...seen, ...measured, readyz, drainMs: drainMs ?? Number.NaN };
  } finally {
    await daemon.kill("SIGKILL");
    provider.disconnect();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** @returns how long it took until all that can be refreshed was, and all that is limited was asked, in ms */
async function drained(
  { opsUrl }: Place,
  report: () => Promise<StormReport>,
  count: number,
  dueAtMs: number,
): Promise<number> {
  const of = (name: string): number => Math.ceil((count - providers.indexOf(name)) / providers.length);
  for (;;) {
    const { requests } = await report();
    const metrics = await (await fetch(`${opsUrl}/metrics`)).text();
    const [, written = "0"] =
      /nexus_refresh_total\{provider="live",result="success",reason=""\} (\d+)/.exec(metrics) ?? [];
    const isDrained = Number(written) >= of("live") && (requests["limited"] ?? 0) >= of("limited");
    if (isDrained || Date.now() - dueAtMs > patienceMs) return Date.now() - dueAtMs;
    await pauseMs(250);
  }
}
