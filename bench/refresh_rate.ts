import { once } from "node:events";
import { rmSync } from "node:fs";
import { DaemonProcess } from "../test/daemon/daemon_process.js";
import { start } from "./children.js";
import { filledPlace } from "./filled_place.js";
import { cpuMs } from "./process_figures.js";
import { patienceMs } from "./storm.js";

/**
 * Refreshes in a second while `count` are due, at a provider that answers in 150 ms, and the daemon's CPU for each.
 *
 * @param places `max_concurrent_requests` of its profile
 */
export async function refreshRate(
  count: number,
  places: number,
): Promise<{ readonly perSecond: number; readonly cpuMs: number }> {
  const provider = start("storm_provider.ts", []);
  const [{ origin }] = (await once(provider, "message")) as [{ origin: string }];
  const dueAtMs = Date.now() + 10_000;
  const profile = { maxConcurrentRequests: places };
  const { place } = await filledPlace([{ count, dueAtMs }], { origin, providers: ["slow"], profile });
  const daemon = new DaemonProcess(place.environment);
  const refreshed = async (): Promise<number> => {
    const metrics = await (await fetch(`${place.opsUrl}/metrics`)).text();
    const [, text = "0"] =
      /nexus_refresh_total\{provider="slow",result="success",reason=""\} (\d+)/.exec(metrics) ?? [];
    return Number(text);
  };
  try {
    await daemon.ready();
    const before = cpuMs(daemon.pid);
    while ((await refreshed()) < count) {
      if (Date.now() > dueAtMs + patienceMs) break;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    const done = await refreshed();
    const perSecond = (done * 1_000) / (Date.now() - dueAtMs);
    return { perSecond, cpuMs: (cpuMs(daemon.pid) - before) / done };
  } finally {
    await daemon.kill("SIGKILL");
    provider.disconnect();
    rmSync(place.config.dataDir, { recursive: true, force: true });
  }
}
