import { execFileSync } from "node:child_process";
import { renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { FleetRole } from "../../../src/gen/nexus/v1/status_pb.js";
import { Browser } from "../../fakes/browser.js";
import { type OpenIdProvider, startOpenIdProvider } from "../../fakes/openid_provider.js";
import { has, needs } from "../../needs.js";
import { temporaryFolder } from "../../temporary_folder.js";
import { consented, registeredAt, requestOf } from "../requests.js";
import { type HubProcess, Hubs } from "./hubs.js";

const hourMs = 3_600_000;
/** Short enough to be refreshed several times, and long enough for what follows a change of leader. */
const ttlSeconds = 20;

let hubs: Hubs;
let provider: OpenIdProvider;
let connectionId: string;
/** Of the hub whose clock is moved. */
let clockFile: string;
let wrong: HubProcess;

beforeAll(async () => {
  if (!has("postgresql") || !has("faketime")) return;
  clockFile = join(temporaryFolder(), "clock");
  setClock(hourMs);
  provider = await startOpenIdProvider({ redirectUris: [], accessTokenTtlSeconds: ttlSeconds });
  hubs = await Hubs.start({
    count: 3,
    environment: { NEXUS_FLEET_LEASE_SECONDS: "10" },
    own: (index) => (index === 2 ? movedClock() : {}),
  });
  wrong = hubs.all[2] as HubProcess;
  const leader = await hubs.leader();
  await hubs.balance(leader);
  await registeredAt(provider, leader.clients);
  connectionId = await consented(leader.clients, requestOf("op"), new Browser());
}, 240_000);

afterAll(async () => {
  await hubs?.close();
  await provider?.stop();
});

beforeEach((context) => {
  needs(context, "postgresql");
  needs(context, "faketime");
});

/** A clock of its own, which `setClock` moves while it runs: that of the machine is everybody's. */
function movedClock(): NodeJS.ProcessEnv {
  const preload = execFileSync("faketime", ["-f", "+1h", "sh", "-c", "echo $LD_PRELOAD"], {
    encoding: "utf8",
  });
  return {
    LD_PRELOAD: preload.trim(),
    FAKETIME_TIMESTAMP_FILE: clockFile,
    FAKETIME_NO_CACHE: "1",
    // Timers go by the clock that nobody sets.
    FAKETIME_DONT_FAKE_MONOTONIC: "1",
    DONT_FAKE_MONOTONIC: "1",
  };
}

function setClock(offsetMs: number): void {
  // Never half written: it is read at each look at the clock.
  writeFileSync(`${clockFile}.new`, `${offsetMs < 0 ? "-" : "+"}${Math.abs(offsetMs) / 1_000}s`);
  renameSync(`${clockFile}.new`, clockFile);
}

const fleetOf = async ({ clients }: HubProcess) => (await clients.status.getStatus({})).fleet;
const mayNotLead = async (hub: HubProcess) => (await fleetOf(hub))?.mayNotLead.join();
const others = (): HubProcess[] => hubs.all.filter((hub) => hub !== wrong);

/** By the clock of the provider: the token that the hub answers lives. */
async function livingRevision({ clients }: HubProcess): Promise<bigint> {
  const { token } = await clients.tokens.getToken({ connectionId });
  const livesMs = (token?.expiresAt ? timestampMs(token.expiresAt) : 0) - Date.now();
  expect(livesMs).toBeGreaterThan(0);
  expect(livesMs).toBeLessThanOrEqual(ttlSeconds * 1_000);
  return token?.revision ?? 0n;
}

/** In its status, and to whoever asks whether it is ready. */
async function saysSo(): Promise<void> {
  await expect.poll(() => mayNotLead(wrong), { timeout: 20_000 }).toContain("ms off the database's");
  const readiness = await fetch(`${wrong.opsUrl}/readyz`);
  expect([readiness.status, await readiness.text()]).toEqual([503, expect.stringContaining("the clock is")]);
}

describe("a hub whose clock is an hour off", () => {
  it("says so, and is unready, when it is ahead", async () => {
    setClock(hourMs);
    await saysSo();
    expect((await fleetOf(wrong))?.role).toBe(FleetRole.FOLLOWER);
  }, 60_000);

  it("says so, is unready, serves, and does not lead whoever else ends, when it is behind", async () => {
    setClock(-hourMs);
    await saysSo();
    const before = await livingRevision(wrong);
    const leader = await hubs.leader();
    expect(leader).not.toBe(wrong);
    await leader.daemon.kill("SIGKILL");
    // What writes is forwarded, and waits for the next leader.
    const { token } = await wrong.clients.tokens.refreshToken({ connectionId });
    expect(token?.revision).toBeGreaterThan(before);
    const [next] = others().filter((hub) => hub !== leader) as [HubProcess];
    expect(await hubs.leader([next, wrong])).toBe(next);
    expect(await livingRevision(wrong)).toBeGreaterThan(before);
    await next.daemon.kill("SIGTERM");
    // Longer than a lease: it is the only one left.
    await new Promise((resolve) => setTimeout(resolve, 12_000));
    expect((await fleetOf(wrong))?.role).toBe(FleetRole.FOLLOWER);
    await Promise.all(others().map((hub) => hub.start()));
    expect(await hubs.leader()).not.toBe(wrong);
    // Nothing was asked of the provider twice: the grant lives, and is refreshed by the clock of the leader.
    const last = await livingRevision(wrong);
    await expect.poll(() => livingRevision(wrong), { timeout: 40_000 }).toBeGreaterThan(last);
    for (const hub of hubs.all) expect(await livingRevision(hub)).toBeGreaterThanOrEqual(last);
  }, 240_000);
});

it("a hub whose clock is right again may lead", async () => {
  setClock(0);
  await expect.poll(() => mayNotLead(wrong), { timeout: 20_000 }).toBe("");
  await expect.poll(async () => (await fetch(`${wrong.opsUrl}/readyz`)).status).toBe(200);
}, 60_000);
