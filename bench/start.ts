import { rmSync, writeFileSync } from "node:fs";
import { get } from "node:http";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { DaemonProcess } from "../test/daemon/daemon_process.js";
import type { Place } from "../test/daemon/harness.js";
import { answerOf } from "./children.js";
import { type Figure, median } from "./figure.js";
import { filledPlace } from "./filled_place.js";
import { h2load } from "./h2load.js";
import { cpuMs, residentMiB } from "./process_figures.js";
import { framed, getTokenMessage, getTokenPath, watchMessage } from "./requests.js";
import { Subscribers } from "./subscribers.js";

const connections = 1_000;

/** How long a daemon takes to serve, and what it takes when it has nothing to do. */
export async function startFigures({ quick }: { readonly quick: boolean }): Promise<Figure[]> {
  const groups = [{ count: connections, dueAtMs: Date.now() + 7_200_000, accessTokenBytes: 1_400 }];
  const {
    place,
    ids: [ids = []],
  } = await filledPlace(groups);
  try {
    const startMs: number[] = [];
    const restMiB: number[] = [];
    // In the first round Node keeps the compiled code.
    for (let round = -1; round < (quick ? 3 : 15); round++) {
      const { ms, miB } = await started(place);
      if (round < 0) continue;
      startMs.push(ms);
      restMiB.push(miB);
    }
    return [
      { name: "process start to /readyz", value: median(startMs) },
      { name: "resident memory at rest", value: median(restMiB) },
      ...(await idleAndLoaded(place, ids, quick ? 10 : 60)),
    ];
  } finally {
    rmSync(place.config.dataDir, { recursive: true, force: true });
  }
}

async function started(place: Place): Promise<{ readonly ms: number; readonly miB: number }> {
  const startedMs = performance.now();
  const daemon = new DaemonProcess(place.environment);
  await answers(`${place.opsUrl}/readyz`);
  const ms = performance.now() - startedMs;
  await sleep(1_000);
  const miB = residentMiB(daemon.pid);
  await daemon.kill("SIGTERM");
  return { ms, miB };
}

/** Resolves when the URL answers 200. */
async function answers(url: string): Promise<void> {
  for (;;) {
    const status = await new Promise<number>((resolve) => {
      get(url, (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      }).once("error", () => resolve(0));
    });
    if (status === 200) return;
    await sleep(2);
  }
}

async function idleAndLoaded(place: Place, ids: readonly string[], seconds: number): Promise<Figure[]> {
  const daemon = new DaemonProcess(place.environment);
  try {
    await daemon.ready();
    // As an agent holds it: three connections.
    const subscribers = await Subscribers.open(place.socket, 100, watchMessage(ids.slice(0, 3)));
    // V8 collects once what the start left, some 15 s after it.
    await sleep(25_000);
    const before = cpuMs(daemon.pid);
    await sleep(seconds * 1_000);
    const idlePercent = (cpuMs(daemon.pid) - before) / (seconds * 10);
    await subscribers.close();
    const body = join(place.config.dataDir, "request.bin");
    writeFileSync(body, framed(getTokenMessage(ids[0] ?? "")));
    const calls = { socket: place.socket, path: getTokenPath, body, requests: 20_000 };
    await h2load({ ...calls, clients: 8, streams: 8 });
    for (let round = 0; round < 5; round++) await answerOf("reader.ts", [place.socket, "snapshot"]);
    await sleep(5_000);
    return [
      { name: "resident memory after load", value: residentMiB(daemon.pid) },
      { name: "idle CPU, 1 000 connections and 100 subscribers", value: idlePercent },
    ];
  } finally {
    await daemon.kill("SIGTERM");
  }
}
