import { randomBytes } from "node:crypto";
import { rmSync } from "node:fs";
import { RefreshScheduler } from "../src/domain/refresh/refresh_scheduler.js";
import { ManualClock } from "../src/runtime/manual_clock.js";
import { Store } from "../src/store/store.js";
import { DaemonProcess } from "../test/daemon/daemon_process.js";
import type { Place } from "../test/daemon/harness.js";
import { differenceFigure, type Figure, median, ratioFigure } from "./figure.js";
import { fillStore } from "./filled_store.js";
import { answers, emptyPlace, startDaemon } from "./start.js";

const few = 1_000;
/** As many as one tick deals out. */
const due = 32;

/** What must not grow with the number of connections that are stored. */
export async function scaleFigures({ quick }: { readonly quick: boolean }): Promise<Figure[]> {
  const count = quick ? 20_000 : 1_000_000;
  const rounds = quick ? 2 : 9;
  const key = randomBytes(32);
  const settings = { NEXUS_ENCRYPTION_KEY: key.toString("base64") };
  const [empty, small, full] = [
    await emptyPlace(settings),
    await emptyPlace(settings),
    await emptyPlace(settings),
  ];
  const nowMs = Date.now();
  // Due an hour from now, and the rest in a month: nothing is refreshed while daemons are measured.
  const dueAtMs = nowMs + 3_600_000;
  const fill = (place: Place, stored: number): Promise<string[][]> =>
    fillStore({
      folder: place.config.dataDir,
      key,
      origin: "http://127.0.0.1:9",
      providers: ["bench"],
      groups: [
        { count: due, dueAtMs },
        { count: stored - due, dueAtMs: nowMs + 30 * 86_400_000 },
      ],
    });
  try {
    await fill(small, few);
    await fill(full, count);
    return [
      ...(await openFigures(full, empty, count, rounds)),
      tickFigure(full, small, count, dueAtMs, rounds),
      await listFigure(full, small, count, rounds),
    ];
  } finally {
    for (const { config } of [empty, small, full]) rmSync(config.dataDir, { recursive: true, force: true });
  }
}

async function openFigures(full: Place, empty: Place, count: number, rounds: number): Promise<Figure[]> {
  const ours = { ms: [] as number[], miB: [] as number[] };
  const theirs = { ms: [] as number[], miB: [] as number[] };
  const sides: [Place, typeof ours][] = [
    [full, ours],
    [empty, theirs],
  ];
  for (let round = -1; round < rounds; round++) {
    for (const [place, taken] of sides.reverse()) {
      const { ms, miB } = await startDaemon(place);
      if (round < 0) continue;
      taken.ms.push(ms);
      taken.miB.push(miB);
    }
  }
  const against = "an empty store";
  return [
    differenceFigure({
      ...{ name: `open a store of ${count} connections, to /readyz`, unit: "ms", against, atMost: 150 },
      ...{ ours: ours.ms, theirs: theirs.ms },
    }),
    differenceFigure({
      ...{ name: `resident memory with ${count} connections, none read`, unit: "MiB", against, atMost: 20 },
      ...{ ours: ours.miB, theirs: theirs.miB },
    }),
  ];
}

/**
 * A tick that deals out what is due, without the refreshes themselves. Both stores have been read by then, and each is first as often as
 * the other.
 */
function tickFigure(full: Place, small: Place, count: number, dueAtMs: number, rounds: number): Figure {
  const stores = [full, small].map(({ config }) => Store.open({ folder: config.dataDir, nowMs: Date.now() }));
  const taken: number[][] = [[], []];
  const sides = [...stores.entries()];
  for (let round = -20; round < rounds * 20; round++) {
    for (const [side, store] of sides.reverse()) {
      let dealt = 0;
      const scheduler = new RefreshScheduler({
        store,
        refresher: {
          refresh: () => {
            dealt++;
            return new Promise(() => undefined);
          },
        },
        suspensions: { nextDueMs: () => undefined, takeProbes: async () => [] },
        concurrency: { hasRoom: () => true },
        requests: { end: () => "not_needed" },
        clock: new ManualClock(dueAtMs + 1),
        log: { error: () => undefined, warn: () => undefined, info: () => undefined, debug: () => undefined },
      });
      const startedMs = performance.now();
      scheduler.start();
      const ms = performance.now() - startedMs;
      if (dealt !== due) throw new Error(`a tick dealt out ${dealt} connections, not ${due}`);
      if (round >= 0) taken[side]?.push(ms);
    }
  }
  return ratioFigure({
    name: `tick of the scheduler, ${count} stored, ${due} due`,
    unit: "ms",
    ours: taken[0] ?? [],
    theirs: taken[1] ?? [],
    against: `${few} stored`,
    atMost: 1.2,
  });
}

async function listFigure(full: Place, small: Place, count: number, rounds: number): Promise<Figure> {
  const daemons = [full, small].map((place) => new DaemonProcess(place.environment));
  const taken: number[][] = [[], []];
  try {
    for (const place of [full, small]) await answers(`${place.opsUrl}/readyz`);
    const sides = [...[full, small].map((place) => place.clients().connections).entries()];
    for (let round = -1; round < rounds; round++) {
      for (const [side, connections] of sides.reverse()) {
        const calls: number[] = [];
        let pageToken = "";
        for (let call = 0; call < 15; call++) {
          const startedMs = performance.now();
          const page = await connections.listConnections({ pageSize: 50, pageToken });
          calls.push(performance.now() - startedMs);
          pageToken = page.nextPageToken;
        }
        if (round >= 0) taken[side]?.push(median(calls));
      }
    }
  } finally {
    for (const daemon of daemons) await daemon.kill("SIGTERM");
  }
  return ratioFigure({
    name: `ListConnections, a page of 50, ${count} stored`,
    unit: "ms",
    ours: taken[0] ?? [],
    theirs: taken[1] ?? [],
    against: `${few} stored`,
    atMost: 1.5,
  });
}
