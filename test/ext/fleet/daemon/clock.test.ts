import { execFileSync } from "node:child_process";
import { renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { FleetRole } from "../../../../src/gen/nexus/v1/status_pb.js";
import { type OpenIdProvider, startOpenIdProvider } from "../../../fakes/openid_provider.js";
import { has, needs } from "../../../needs.js";
import { temporaryFolder } from "../../../temporary_folder.js";
import { type HubProcess, Hubs, shortLease } from "./hubs.js";

/** A token that lives for one hour is long over, or is over long after its end. */
const offMs = 2 * 3_600_000;
const ttlSeconds = 3_600;
/** A heartbeat of five seconds, and what it asks. */
const found = { timeout: 30_000 };

let hubs: Hubs;
let provider: OpenIdProvider;
let connectionId: string;
let folder: string;
/** The hub whose clock is off from its start. */
let wrong: HubProcess;

beforeAll(async () => {
  if (!has("postgresql") || !has("faketime")) return;
  folder = temporaryFolder();
  provider = await startOpenIdProvider({ redirectUris: [], accessTokenTtlSeconds: ttlSeconds });
  hubs = await Hubs.start({
    count: 3,
    environment: shortLease,
    own: (index) => clockOf(index, index === 2 ? offMs : 0),
  });
  wrong = hubs.all[2] as HubProcess;
  await wrong.daemon.wrote(/goes by the time that the database and another hub have/);
  connectionId = await hubs.connected(provider);
}, 120_000);

afterAll(async () => {
  await hubs?.close();
  await provider?.stop();
});

beforeEach((context) => {
  needs(context, "postgresql");
  needs(context, "faketime");
});

/** A clock of its own, which `setClock` moves while the process runs: that of the machine is everybody's. */
function clockOf(index: number, startMs: number): NodeJS.ProcessEnv {
  const print = ["-f", "+1h", "sh", "-c", "echo $LD_PRELOAD"];
  const preload = execFileSync("faketime", print, { encoding: "utf8" });
  const file = join(folder, `clock-${index}`);
  write(file, startMs);
  return {
    LD_PRELOAD: preload.trim(),
    FAKETIME_TIMESTAMP_FILE: file,
    FAKETIME_NO_CACHE: "1",
    // Timers go by the clock that nobody sets; the first name is that of newer versions.
    FAKETIME_DONT_FAKE_MONOTONIC: "1",
    DONT_FAKE_MONOTONIC: "1",
  };
}

function setClock({ environment }: HubProcess, aheadMs: number): void {
  write(environment["FAKETIME_TIMESTAMP_FILE"] ?? "", aheadMs);
}

/** Never half written: it is read at each look at the clock. */
function write(file: string, aheadMs: number): void {
  writeFileSync(`${file}.new`, `${aheadMs < 0 ? "-" : "+"}${Math.abs(aheadMs) / 1_000}s`);
  renameSync(`${file}.new`, file);
}

const fleetOf = async ({ clients }: HubProcess) => (await clients.status.getStatus({})).fleet;
const mayNotLead = async (hub: HubProcess) => (await fleetOf(hub))?.mayNotLead.join();
const others = (): HubProcess[] => hubs.all.filter((hub) => hub !== wrong);

/** The hub answers the token that the provider issued last, which lives by the clock of the provider. */
async function answersLiving({ clients }: HubProcess): Promise<void> {
  const { token } = await clients.tokens.getToken({ connectionId });
  expect(token?.revision).toBe(BigInt(provider.tokenRequests.length));
  const livesMs = (token?.expiresAt ? timestampMs(token.expiresAt) : 0) - Date.now();
  expect(livesMs).toBeGreaterThan((ttlSeconds - 600) * 1_000);
  expect(livesMs).toBeLessThanOrEqual(ttlSeconds * 1_000);
}

/** In its status, and to whoever asks whether it is ready. */
async function saysSo(hub: HubProcess, sign: "" | "-"): Promise<void> {
  const sentence = new RegExp(`^the clock is ${sign}7[12]\\d{5} ms off the database's`);
  await expect.poll(() => mayNotLead(hub), found).toMatch(sentence);
  const readiness = await fetch(`${hub.opsUrl}/readyz`);
  expect([readiness.status, await readiness.text()]).toEqual([503, expect.stringContaining("the clock is")]);
  expect((await fleetOf(hub))?.role).toBe(FleetRole.FOLLOWER);
}

/** Events of one kind in the audit log: which hub put them on record, and when, in seconds from now. */
async function events({ clients }: HubProcess, eventType: string) {
  const answer = await clients.audit.listAuditEvents({ eventType, pageSize: 100 });
  return answer.events.map(({ via, reason, time }) => ({
    ...{ via: via.join(), reason },
    agoSeconds: (Date.now() - (time ? timestampMs(time) : 0)) / 1_000,
  }));
}

/** What the hub put on record of its reads has the time of the fleet. */
async function recordsTrueTimes(hub: HubProcess): Promise<void> {
  const own = (await events(hub, "token_retrieved")).filter(({ via }) => via === hub.address);
  expect(own.length).toBeGreaterThan(0);
  for (const { agoSeconds } of own) expect(Math.abs(agoSeconds)).toBeLessThan(600);
}

describe("a hub whose clock is off", () => {
  it("ahead says so, is unready, does not lead, and serves tokens that live", async () => {
    await saysSo(wrong, "");
    await answersLiving(wrong);
    await recordsTrueTimes(wrong);
    expect(provider.tokenRequests).toHaveLength(1);
  }, 120_000);

  it("behind does the same, from the moment in which the clock is set", async () => {
    setClock(wrong, -offMs);
    await answersLiving(wrong);
    await saysSo(wrong, "-");
    await wrong.clients.tokens.refreshToken({ connectionId });
    await answersLiving(wrong);
    await recordsTrueTimes(wrong);
  }, 120_000);

  it("does not lead when it is the only one left, and serves", async () => {
    await Promise.all(others().map(({ daemon }) => daemon.kill("SIGKILL")));
    // The lease is over, and this hub has looked at it since.
    const over = "SELECT FROM nexus.lease WHERE until < clock_timestamp() - interval '2 seconds'";
    await expect.poll(async () => (await hubs.postgres.query(over)).length, found).toBe(1);
    expect((await fleetOf(wrong))?.role).toBe(FleetRole.FOLLOWER);
    await answersLiving(wrong);
    await Promise.all(others().map((hub) => hub.start()));
    expect(await hubs.leader()).not.toBe(wrong);
  }, 120_000);

  it("may lead when its clock is right again", async () => {
    setClock(wrong, 0);
    await expect.poll(() => mayNotLead(wrong), found).toBe("");
    await expect.poll(async () => (await fetch(`${wrong.opsUrl}/readyz`)).status).toBe(200);
  }, 120_000);
});

describe("a hub that leads and whose clock jumps", () => {
  it("gives the lead to another one, and refreshes nothing for it", async () => {
    const leader = await hubs.leader();
    const followers = hubs.all.filter((hub) => hub !== leader);
    const sent = provider.tokenRequests.length;
    setClock(leader, offMs);
    await answersLiving(leader);
    expect(await leader.daemon.exited).toBe(75);
    expect(followers).toContain(await hubs.leader(followers));
    const [given] = await events(followers[0] as HubProcess, "fleet.lead_given_back");
    expect(given?.reason).toBe("clock_off");
    expect(Math.abs(given?.agoSeconds ?? offMs)).toBeLessThan(60);
    await leader.start();
    await saysSo(leader, "");
    await answersLiving(leader);
    expect(provider.tokenRequests).toHaveLength(sent);
    for (const hub of followers) await answersLiving(hub);
  }, 120_000);
});
