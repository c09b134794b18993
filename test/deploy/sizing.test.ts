import { expect, it } from "vitest";
import { PodWorld } from "./pod_world.js";
import { bytesOf, usageOf } from "./usage.js";

const connections = 200;
const streams = 200;
const calls = 5_000;

/** Nothing is timed here, and the machine may be laden. */
const patienceMs = 240_000;

it(
  "needs what the manifests request at rest, and stays well within its limit under load",
  async () => {
    const world = await PodWorld.make({ "nexusd.dev/volume": "" });
    const nexusd = await world.start();
    const { requests, limits } = world.pod.nexusd.resources;
    const rest = usageOf(await nexusd.pid);
    const { tokens } = world.admin();
    const ids: string[] = [];
    for (let count = 0; count < connections; count++) ids.push(await world.connect("sound"));
    const stops: AbortController[] = [];
    for (let count = 0; count < streams; count++) {
      const stop = new AbortController();
      stops.push(stop);
      const messages = tokens.watchTokens({}, { signal: stop.signal })[Symbol.asyncIterator]();
      await messages.next();
      messages.next().catch(() => undefined);
    }
    const before = usageOf(await nexusd.pid);
    for (let count = 0; count < calls; count++)
      await tokens.getToken({ connectionId: ids[count % ids.length] ?? "" });
    const loaded = usageOf(await nexusd.pid);
    for (const stop of stops) stop.abort();
    await nexusd.kill();
    await world.close();
    const miB = (bytes: number): string => `${Math.round(bytes / 1024 ** 2)} MiB`;
    console.log(
      `ready: ${miB(rest.residentBytes)} resident after ${rest.cpuMs} ms of CPU; ` +
        `with ${connections} connections and ${streams} streams: ${miB(before.residentBytes)}; ` +
        `after ${calls} GetToken: ${miB(loaded.residentBytes)}, ${((loaded.cpuMs - before.cpuMs) / calls).toFixed(3)} ms of CPU each`,
    );
    expect(rest.residentBytes).toBeLessThan(bytesOf(requests["memory"]));
    expect(loaded.residentBytes).toBeLessThan(bytesOf(limits["memory"]));
  },
  patienceMs,
);
