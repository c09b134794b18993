import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { DaemonProcess } from "../test/daemon/daemon_process.js";
import type { Place } from "../test/daemon/harness.js";
import { start } from "./children.js";
import { type ConsentSide, consents } from "./consent_client.js";
import { boundFigure, type Figure, median, percentile, ratioFigure } from "./figure.js";
import { cpuMs } from "./process_figures.js";
import { emptyPlace } from "./start.js";

const against = "bare node:http and lmdb";

/** Whoever takes part. */
interface Stage {
  readonly place: Place;
  readonly daemon: DaemonProcess;
  readonly provider: ChildProcess;
  readonly bare: ChildProcess;
  /** Ours, by the kind of flow. */
  readonly sides: { readonly plain: ConsentSide; readonly openid: ConsentSide };
  readonly bareSides: { readonly plain: ConsentSide; readonly openid: ConsentSide };
}

/** What one round gave: per flow, without what the provider took. */
interface Round {
  readonly cpuMs: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Of all flows, over how many ran at once: what one flow adds to the time of many. */
  readonly eachMs: number;
}

const lines = [
  ["plain", 1],
  ["plain", 8],
  ["openid", 1],
] as const;

/** A consent from `POST /v1/request-connection` until it is stored, beside a server that does only what no flow can do without. */
export async function consentFigures({ quick }: { readonly quick: boolean }): Promise<Figure[]> {
  const { warmUps, rounds, flows } = quick
    ? { warmUps: 2, rounds: 3, flows: 60 }
    : { warmUps: 4, rounds: 9, flows: 400 };
  const stage = await consentStage();
  try {
    const figures: Figure[] = [];
    for (const [kind, atOnce] of quick ? lines.slice(0, 2) : lines) {
      const ours: Round[] = [];
      const theirs: Round[] = [];
      const daemon = { pid: stage.daemon.pid, side: stage.sides[kind] };
      const bare = { pid: stage.bare.pid ?? 0, side: stage.bareSides[kind] };
      // The first rounds compile what is hot.
      for (let round = -warmUps; round < rounds; round++) {
        const mine = await measured(stage.provider, daemon, flows, atOnce);
        const other = await measured(stage.provider, bare, flows, atOnce);
        if (round < 0) continue;
        ours.push(mine);
        theirs.push(other);
      }
      figures.push(...figuresOf(kind, atOnce, ours, theirs));
    }
    return [...figures, await commitsFigure(stage)];
  } finally {
    stage.provider.disconnect();
    stage.bare.disconnect();
    await stage.daemon.kill("SIGTERM");
    rmSync(stage.place.config.dataDir, { recursive: true, force: true });
  }
}

function figuresOf(kind: "plain" | "openid", atOnce: number, ours: Round[], theirs: Round[]): Figure[] {
  const what = kind === "plain" ? "consent flow" : "consent flow with an id_token";
  const line = (words: string, unit: string, of: (round: Round) => number, atMost: number): Figure =>
    ratioFigure({
      ...{ name: `${what}, ${atOnce} at once: ${words}`, unit, against, atMost },
      ...{ ours: ours.map(of), theirs: theirs.map(of) },
    });
  const cpu = line("CPU per flow", "ms", (round) => round.cpuMs, 2);
  if (atOnce > 1) return [cpu, line("time per flow", "ms", ({ eachMs }) => eachMs, 2)];
  const p50 = line("latency p50", "ms", ({ p50Ms }) => p50Ms, 1.5);
  return kind === "plain" ? [cpu, p50, line("latency p99", "ms", ({ p99Ms }) => p99Ms, 1.5)] : [cpu, p50];
}

async function measured(
  provider: ChildProcess,
  { pid, side }: { readonly pid: number; readonly side: ConsentSide },
  flows: number,
  atOnce: number,
): Promise<Round> {
  const before = cpuMs(pid);
  const runs = await consents(side, flows, atOnce);
  const usedMs = cpuMs(pid) - before;
  provider.send("spent");
  const [{ spentNs }] = (await once(provider, "message")) as [{ spentNs: Record<string, number> }];
  const ownMs = runs.map(({ state, ms }) => {
    const providerNs = spentNs[state];
    if (providerNs === undefined) throw new Error("the provider was not asked in a flow");
    return ms - providerNs / 1e6;
  });
  const meanMs = ownMs.reduce((sum, ms) => sum + ms, 0) / ownMs.length;
  return {
    cpuMs: usedMs / runs.length,
    p50Ms: median(ownMs),
    p99Ms: percentile(ownMs, 0.99),
    eachMs: meanMs / atOnce,
  };
}

/** Each is a flush of the disk that the browser waits for. */
async function commitsFigure({ place, sides }: Stage): Promise<Figure> {
  const flows = 20;
  const before = await commitsOf(place);
  await consents(sides.plain, flows, 1);
  const value = ((await commitsOf(place)) - before) / flows;
  return boundFigure({ name: "durable commits per consent flow", unit: "commits", value, atMost: 3 });
}

async function commitsOf({ opsUrl }: Place): Promise<number> {
  const text = await (await fetch(`${opsUrl}/metrics`)).text();
  const count = /^nexus_store_commit_duration_seconds_count(?:\{\})? (\d+)$/m.exec(text)?.[1];
  if (count === undefined) throw new Error("the daemon does not count its commits");
  return Number(count);
}

async function consentStage(): Promise<Stage> {
  const place = await emptyPlace({ NEXUS_BROWSER_RATE_LIMIT: "off" });
  const provider = start("consent_provider.ts", []);
  const [{ origin }] = (await once(provider, "message")) as [{ origin: string }];
  const bare = start("bare_consent_server.ts", [origin, place.config.dataDir]);
  const [{ origin: bareOrigin }] = (await once(bare, "message")) as [{ origin: string }];
  const daemon = new DaemonProcess(place.environment);
  await daemon.ready();
  const { providers } = place.clients();
  const client = { clientId: "bench", clientSecret: "secret" };
  const scopes = { plain: ["read", "write"], openid: ["openid", "email"] };
  const plain = await providers.createProvider({
    provider: { ...client, name: "plain", authUrl: `${origin}/authorize`, tokenUrl: `${origin}/token` },
  });
  const openid = await providers.createProvider({
    provider: { ...client, name: "openid", issuer: origin, enableDiscovery: true },
  });
  const ours = { api: place.httpUrl, headers: { "x-api-key": place.apiKey } };
  const theirs = { api: bareOrigin, headers: {}, providerId: "bench" };
  return {
    place,
    daemon,
    provider,
    bare,
    sides: {
      plain: { ...ours, providerId: plain.provider?.id ?? "", scopes: scopes.plain },
      openid: { ...ours, providerId: openid.provider?.id ?? "", scopes: scopes.openid },
    },
    bareSides: {
      plain: { ...theirs, scopes: scopes.plain },
      openid: { ...theirs, scopes: scopes.openid },
    },
  };
}
