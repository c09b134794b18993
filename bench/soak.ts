/** `npm run bench:soak -- [--minutes N] [--json FILE]`: does the daemon grow? Exit code 1 where it does. See README.md here. */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { parseArgs } from "node:util";
import { create, toBinary } from "@bufbuild/protobuf";
import { WatchTokensRequestSchema } from "../src/gen/nexus/v1/token_pb.js";
import { DaemonProcess } from "../test/daemon/daemon_process.js";
import { type Clients, Place } from "../test/daemon/harness.js";
import { start } from "./children.js";
import { differenceFigure, type Figure, ratioFigure, tableOf } from "./figure.js";
import { fillStore } from "./filled_store.js";
import { anonymousMiB, openDescriptors } from "./process_figures.js";
import { refreshed, subscribers } from "./watch.js";

/** Left to V8, which compiles and sizes its heap, and to the caches, which fill. */
const warmUpMs = 120_000;
const minuteMs = 60_000;
const connections = 50;
const watchers = 100;
/** After watchers have left, before the daemon is looked at. */
const settleMs = 1_000;

/** What the daemon holds while no watcher is there. */
interface Look {
  readonly atMs: number;
  readonly residentMiB: number;
  readonly heldMiB: number;
  readonly descriptors: number;
  readonly timers: number;
  readonly streams: number;
  readonly resources: number;
}

/** The minute after the warm-up beside the last one. */
async function soakFigures(minutes: number): Promise<Figure[]> {
  const key = randomBytes(32).toString("base64");
  const place = await Place.make({ NEXUS_ENCRYPTION_KEY: key, NEXUS_LOG_LEVEL: "info" });
  const folder = place.config.dataDir;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const provider = start("bench_provider.ts", []);
  const [{ origin }] = (await once(provider, "message")) as [{ origin: string }];
  const groups = [{ count: connections, dueAtMs: Date.now() + 7_200_000, accessTokenBytes: 1_400 }];
  const filling = { folder, key: Buffer.from(key, "base64"), origin, providers: ["bench"], groups };
  const [ids = []] = await fillStore(filling);
  const probe = join(folder, "probe.sock");
  const daemon = new DaemonProcess({
    ...place.environment,
    NODE_OPTIONS: `--import ${join(import.meta.dirname, "soak_probe.mjs")}`,
    NEXUS_BENCH_PROBE: probe,
  });
  const looks: Look[] = [];
  try {
    await daemon.ready();
    const { tokens } = place.clients();
    const request = toBinary(
      WatchTokensRequestSchema,
      create(WatchTokensRequestSchema, { connectionIds: ids.slice(0, 10) }),
    );
    const startedMs = performance.now();
    const passedMs = (): number => performance.now() - startedMs;
    while (passedMs() < minutes * minuteMs) {
      const client = await subscribers(
        { pid: daemon.pid, socket: place.socket, update: () => Promise.resolve(() => 0n) },
        watchers,
        request,
        1,
      );
      const { streams } = await askProbe(probe);
      if (streams < watchers) throw new Error(`the probe counts ${streams} streams of ${watchers}`);
      await refreshAndRead({ tokens, provider, ids, place });
      client.disconnect();
      await once(client, "exit");
      await new Promise((resolve) => setTimeout(resolve, settleMs));
      looks.push({
        atMs: passedMs(),
        residentMiB: anonymousMiB(daemon.pid),
        descriptors: openDescriptors(daemon.pid),
        ...(await askProbe(probe)),
      });
      if (looks.length % 30 === 1) console.error(JSON.stringify(looks.at(-1)));
    }
  } finally {
    provider.disconnect();
    await daemon.kill("SIGTERM");
    rmSync(folder, { recursive: true, force: true });
  }
  return figuresOf(looks, minutes);
}

/** Each connection is refreshed; all are read after each over gRPC, one over JSON; metrics are scraped once. */
async function refreshAndRead(parts: {
  readonly tokens: Clients["tokens"];
  readonly provider: ReturnType<typeof start>;
  readonly ids: readonly string[];
  readonly place: Place;
}): Promise<void> {
  const { tokens, provider, ids, place } = parts;
  const headers = { "content-type": "application/json", "x-api-key": place.apiKey };
  for (const connectionId of ids) {
    await refreshed(tokens, provider, connectionId);
    await Promise.all(ids.map((id) => tokens.getToken({ connectionId: id })));
    const url = `${place.httpUrl}/nexus.v1.TokenService/GetToken`;
    const answer = await fetch(url, { method: "POST", headers, body: JSON.stringify({ connectionId }) });
    if (answer.status !== 200) throw new Error(`GetToken as JSON: ${answer.status} ${await answer.text()}`);
    await answer.arrayBuffer();
  }
  await (await fetch(`${place.opsUrl}/metrics`)).text();
}

async function askProbe(path: string): Promise<Omit<Look, "atMs" | "residentMiB" | "descriptors">> {
  const answer = JSON.parse(await text(connect(path))) as Record<
    "timers" | "streams" | "resources" | "heldBytes",
    number
  >;
  const { heldBytes, ...counts } = answer;
  return { ...counts, heldMiB: heldBytes / 2 ** 20 };
}

function figuresOf(looks: readonly Look[], minutes: number): Figure[] {
  const early = looks.filter(({ atMs }) => atMs > warmUpMs && atMs <= warmUpMs + minuteMs);
  const late = looks.filter(({ atMs }) => atMs > (minutes - 1) * minuteMs);
  const of = (what: string, value: (look: Look) => number) => ({
    name: `soak of ${minutes} minutes: ${what} in the last minute`,
    against: "the minute after the warm-up",
    ours: late.map(value),
    theirs: early.map(value),
  });
  const count = { unit: "", atMost: 1 };
  return [
    // Wherever the heap stands between two collections.
    ratioFigure({ ...of("RssAnon", (look) => look.residentMiB), unit: "MiB", atMost: 1.15 }),
    differenceFigure({
      ...of("heap and buffers after a collection", (look) => look.heldMiB),
      ...{ unit: "MiB", atMost: 1 },
    }),
    differenceFigure({ ...of("descriptors", (look) => look.descriptors), ...count }),
    differenceFigure({ ...of("timers", (look) => look.timers), ...count }),
    differenceFigure({ ...of("streams", (look) => look.streams), ...count }),
    differenceFigure({ ...of("active resources", (look) => look.resources), ...count }),
  ];
}

const { values } = parseArgs({
  options: { minutes: { type: "string", default: "20" }, json: { type: "string" } },
});
try {
  const minutes = Number(values.minutes);
  if (!(minutes >= 4)) throw new RangeError("--minutes takes 4 or more: two go by until the daemon is warm");
  const figures = await soakFigures(minutes);
  console.log(tableOf(figures));
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(figures, undefined, 2)}\n`);
  process.exit(figures.every(({ met }) => met) ? 0 : 1);
} catch (error) {
  console.error(`soak: ${error instanceof Error ? error.message : String(error)}`);
  process.exit(2);
}
