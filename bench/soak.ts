import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, rmSync } from "node:fs";
import { create, toBinary } from "@bufbuild/protobuf";
import { WatchTokensRequestSchema } from "../src/gen/nexus/v1/token_pb.js";
import { DaemonProcess } from "../test/daemon/daemon_process.js";
import { Place } from "../test/daemon/harness.js";
import { start } from "./children.js";
import { differenceFigure, type Figure, median, ratioFigure } from "./figure.js";
import { fillStore } from "./filled_store.js";
import { anonymousMiB, openDescriptors } from "./process_figures.js";
import { refreshed, subscribers } from "./watch.js";

const minuteMs = 60_000;

/** One look at the daemon while no watcher is there. */
interface Look {
  readonly atMs: number;
  readonly miB: number;
  readonly descriptors: number;
  readonly timers: number;
}

/**
 * Refreshes, reads, and watchers that come and go, for as long as is asked: what the daemon holds in its second minute beside what it
 * holds in its last one. The first minute is left to V8, which compiles and sizes its heap.
 */
export async function soakFigures({ minutes }: { readonly minutes: number }): Promise<Figure[]> {
  if (!(minutes >= 3)) throw new RangeError("a soak takes 3 minutes at least: --minutes");
  const key = randomBytes(32);
  const place = await Place.make({ NEXUS_ENCRYPTION_KEY: key.toString("base64"), NEXUS_LOG_LEVEL: "error" });
  const folder = place.config.dataDir;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const provider = start("bench_provider.ts", []);
  const [{ origin }] = (await once(provider, "message")) as [{ origin: string }];
  const groups = [{ count: 50, dueAtMs: Date.now() + 7_200_000, accessTokenBytes: 1_400 }];
  const [ids = []] = await fillStore({ folder, key, origin, providers: ["bench"], groups });
  const daemon = new DaemonProcess(place.environment);
  const looks: Look[] = [];
  try {
    await daemon.ready();
    const { tokens } = place.clients();
    const watch = create(WatchTokensRequestSchema, { connectionIds: ids.slice(0, 10) });
    const request = toBinary(WatchTokensRequestSchema, watch);
    const side = { pid: daemon.pid, socket: place.socket, update: () => Promise.resolve(0n) };
    const startedMs = performance.now();
    const passedMs = (): number => performance.now() - startedMs;
    while (passedMs() < minutes * minuteMs) {
      const client = await subscribers(side, 100, request, 1);
      for (const connectionId of ids) {
        await refreshed(tokens, provider, connectionId);
        await Promise.all(ids.map((id) => tokens.getToken({ connectionId: id })));
      }
      client.disconnect();
      await once(client, "exit");
      await new Promise((resolve) => setTimeout(resolve, 500));
      looks.push({
        atMs: passedMs(),
        miB: anonymousMiB(daemon.pid),
        descriptors: openDescriptors(daemon.pid),
        timers: await timersOf(place),
      });
    }
  } finally {
    provider.disconnect();
    await daemon.kill("SIGTERM");
    rmSync(folder, { recursive: true, force: true });
  }
  return figuresOf(looks, minutes);
}

function figuresOf(looks: readonly Look[], minutes: number): Figure[] {
  const early = looks.filter(({ atMs }) => atMs > minuteMs && atMs <= 2 * minuteMs);
  const late = looks.filter(({ atMs }) => atMs > (minutes - 1) * minuteMs);
  const of = (value: (look: Look) => number) => ({ ours: late.map(value), theirs: early.map(value) });
  const against = "the second minute";
  const name = (what: string): string => `soak of ${minutes} minutes: ${what} in the last minute`;
  // The heap is looked at wherever it stands between two collections: a leak over many minutes is far more than this.
  return [
    ratioFigure({
      ...{ name: name("memory"), unit: "MiB", against, atMost: 1.15 },
      ...of(({ miB }) => miB),
    }),
    differenceFigure({
      ...{ name: name("descriptors"), unit: "", against, atMost: 1 },
      ...of(({ descriptors }) => descriptors),
    }),
    differenceFigure({
      ...{ name: name("timers"), unit: "", against, atMost: 1 },
      ...of(({ timers }) => timers),
    }),
  ];
}

/** Timers that the daemon has set, as its own metrics say; the median of three looks, since some timer may be about to fire. */
async function timersOf(place: Place): Promise<number> {
  const looks: number[] = [];
  for (let look = 0; look < 3; look++) {
    const text = await (await fetch(`${place.opsUrl}/metrics`)).text();
    const count = /^nodejs_active_resources\{type="Timeout"\} (\d+)$/m.exec(text)?.[1];
    looks.push(Number(count ?? 0));
  }
  return median(looks);
}
