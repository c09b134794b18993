import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { get } from "node:http";
import { join } from "node:path";
import { DaemonProcess } from "../test/daemon/daemon_process.js";
import { Place } from "../test/daemon/harness.js";
import { differenceFigure, type Figure, median, ratioFigure } from "./figure.js";
import { residentMiB } from "./process_figures.js";

const root = join(import.meta.dirname, "..");

/** What every daemon on these libraries must load. */
const bareScript = `
  import { createRequire } from "node:module";
  const require = createRequire(${JSON.stringify(join(root, "package.json"))});
  require("@grpc/grpc-js");
  const { open } = require("lmdb");
  open({ path: process.argv[2], noSubdir: true });
  console.log("ready");
  setInterval(() => {}, 1e6);
`;

/** Cold start and the memory of a daemon that has nothing to do, beside its two heaviest libraries alone. */
export async function startFigures({ quick }: { readonly quick: boolean }): Promise<Figure[]> {
  const rounds = quick ? 3 : 15;
  const place = await emptyPlace();
  const folder = place.config.dataDir;
  const script = join(folder, "bare.mjs");
  writeFileSync(script, bareScript);
  const ours: { ms: number[]; miB: number[] } = { ms: [], miB: [] };
  const theirs: { ms: number[]; miB: number[] } = { ms: [], miB: [] };
  try {
    for (let round = -1; round < rounds; round++) {
      const mine = await startDaemon(place);
      const bare = await startBare(script, join(folder, "bare.mdb"));
      // Both have settled by now: what start leaves behind is collected.
      if (round < 0) continue;
      ours.ms.push(mine.ms);
      ours.miB.push(mine.miB);
      theirs.ms.push(bare.ms);
      theirs.miB.push(bare.miB);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  const against = "node with grpc-js and lmdb";
  return [
    ratioFigure({
      ...{ name: "cold start to /readyz", unit: "ms", against, atMost: 1.5 },
      ...{ ours: ours.ms, theirs: theirs.ms },
    }),
    differenceFigure({
      ...{ name: "idle resident memory", unit: "MiB", against, atMost: 12 },
      ...{ ours: ours.miB, theirs: theirs.miB },
    }),
  ];
}

export async function emptyPlace(settings: NodeJS.ProcessEnv = {}): Promise<Place> {
  const place = await Place.make({ NEXUS_LOG_LEVEL: "info", ...settings });
  mkdirSync(place.config.dataDir, { recursive: true, mode: 0o700 });
  return place;
}

export interface Started {
  /** From the start of the process until it serves. */
  readonly ms: number;
  /** Resident, the median of five looks. */
  readonly miB: number;
}

export async function startDaemon(place: Place): Promise<Started> {
  const startedMs = performance.now();
  const daemon = new DaemonProcess(place.environment);
  await answers(`${place.opsUrl}/readyz`);
  const ms = performance.now() - startedMs;
  const miB = await settledMiB(daemon.pid);
  await daemon.kill("SIGTERM");
  return { ms, miB };
}

async function startBare(script: string, store: string): Promise<Started> {
  const startedMs = performance.now();
  const child: ChildProcess = spawn(process.execPath, [script, store], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await new Promise((resolve) => child.stdout?.once("data", resolve));
  const ms = performance.now() - startedMs;
  const miB = await settledMiB(child.pid ?? 0);
  child.kill("SIGKILL");
  return { ms, miB };
}

async function settledMiB(pid: number): Promise<number> {
  const looks: number[] = [];
  for (let look = 0; look < 5; look++) {
    await new Promise((resolve) => setTimeout(resolve, 200));
    looks.push(residentMiB(pid));
  }
  return median(looks);
}

/** Resolves when the URL answers 200. */
export async function answers(url: string): Promise<void> {
  for (;;) {
    const status = await new Promise<number>((resolve) => {
      get(url, (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      }).once("error", () => resolve(0));
    });
    if (status === 200) return;
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
