import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { Role } from "../../../../src/gen/nexus/v1/access_pb.js";
import { Watcher } from "../../../daemon/harness.js";
import { type OpenIdProvider, startOpenIdProvider } from "../../../fakes/openid_provider.js";
import { freePort } from "../../../free_port.js";
import { has, needs } from "../../../needs.js";
import { promtool } from "../../../observability/promtool.js";
import { ApiStandIn } from "../../egress/api_stand_in.js";
import { connected, key, settingsFor } from "../../egress/daemon/listener_world.js";
import { ProxyClient } from "../../egress/proxy/proxy_client.js";
import { askedAgain, type HubProcess, Hubs } from "./hubs.js";

/** Whoever gives the lead back does not let this run out. */
const lease = { NEXUS_FLEET_LEASE_SECONDS: "8" };
const withinLeaseMs = 6_000;
/** Short enough to be refreshed several times by the clock of this machine. */
const ttlSeconds = 15;

let hubs: Hubs;
let provider: OpenIdProvider;
let connectionId: string;
let api: ApiStandIn;
/** The egress listeners of the hubs. */
let listens: readonly string[];

beforeAll(async () => {
  if (!has("postgresql")) return;
  provider = await startOpenIdProvider({ redirectUris: [], accessTokenTtlSeconds: ttlSeconds });
  api = await ApiStandIn.start();
  listens = await Promise.all([1, 2, 3].map(async () => `127.0.0.1:${await freePort()}`));
  hubs = await Hubs.start({
    count: 3,
    environment: { ...settingsFor(api), ...lease },
    own: (index) => ({ NEXUS_EGRESS_LISTEN: listens[index] }),
  });
  connectionId = await hubs.connected(provider);
}, 120_000);

afterAll(async () => {
  await hubs?.close();
  await provider?.stop();
  await api?.stop();
});

beforeEach((context) => needs(context, "postgresql"));

const others = (...gone: readonly HubProcess[]): HubProcess[] =>
  hubs.all.filter((hub) => !gone.includes(hub));

/** The revision that a hub serves. */
async function revisionAt({ clients }: HubProcess): Promise<bigint> {
  return (await clients.tokens.getToken({ connectionId })).token?.revision ?? 0n;
}

/** A program whose proxy is this hub, with a key of Ada's. */
async function programAt(hub: HubProcess): Promise<ProxyClient> {
  const listen = listens[hubs.all.indexOf(hub)];
  await connected(hub.clients, api);
  const request = { name: "agent", role: Role.AGENT, restriction: { userIds: ["ada"] } };
  const made = await hub.clients.access.createApiKey(request);
  const ca = await (await fetch(`http://${listen}/ca.pem`)).text();
  return new ProxyClient(new URL(`http://ada:${made.key}@${listen}`), ca, api.port);
}

it("names the numbers of a fleet as Prometheus's own tool wants it", async (context) => {
  needs(context, "promtool");
  const { opsUrl } = await hubs.leader();
  const text = await (await fetch(`${opsUrl}/metrics`)).text();
  expect(text).toContain("nexus_fleet_leader 1");
  expect(promtool(["check", "metrics"], text)).toEqual({ code: 0, output: "" });
});

describe("a fleet goes on", () => {
  it("when its leader is killed: another leads, and refreshes by itself", async () => {
    const killed = await hubs.leader();
    const [one] = others(killed) as [HubProcess];
    const before = await revisionAt(one);
    const watcher = new Watcher(one.clients.tokens, { connectionIds: [connectionId] });
    const program = await programAt(one);
    await killed.daemon.kill("SIGKILL");
    // Programs behind the other hub go on with the tokens that live.
    for (const version of [1, 2] as const)
      expect(await program.ask("/v1/user", { version })).toMatchObject({ status: 200, body: "ok" });
    expect(api.received.map(({ headers }) => headers["x-api-key"])).toEqual([key, key]);
    // A write waits for the next leader, if the hub has noticed that there is none.
    const { token } = await askedAgain(() => one.clients.tokens.refreshToken({ connectionId }));
    expect(token?.revision).toBeGreaterThan(before);
    const next = await hubs.leader(others(killed));
    expect(next).not.toBe(killed);
    // And the clock of the new leader brings the one after it.
    await watcher.state((state) => (state.token?.revision ?? 0n) > (token?.revision ?? 0n));
    watcher.cancel();
    await killed.start();
    expect(await hubs.leader()).toBe(next);
    expect(await revisionAt(killed)).toBeGreaterThan(before);
  }, 120_000);

  it("when its leader gets SIGTERM: another leads at once", async () => {
    const ended = await hubs.leader();
    const [one] = others(ended) as [HubProcess];
    const code = ended.daemon.kill("SIGTERM");
    const startedMs = performance.now();
    const { token } = await askedAgain(() => one.clients.tokens.refreshToken({ connectionId }));
    expect(token?.revision).toBeGreaterThan(1n);
    expect(performance.now() - startedMs).toBeLessThan(withinLeaseMs);
    expect(await code).toBe(0);
    await ended.start();
    await hubs.leader();
  }, 120_000);

  it("when its leader steps down: it ends with 75, and follows when it is started again", async () => {
    const leader = await hubs.leader();
    const [one] = others(leader) as [HubProcess];
    const members = async () => (await one.clients.status.getStatus({})).fleet?.members.length;
    await expect.poll(members, { timeout: 20_000 }).toBe(3);
    const told = await hubs.command("fleet", "step-down");
    expect(told).toContain(leader.address);
    expect(await leader.daemon.exited).toBe(75);
    const next = await hubs.leader(others(leader));
    await leader.start();
    expect(await hubs.leader()).toBe(next);
  }, 120_000);

  it("while its leader hangs for longer than its lease, which ends with 75 when it comes back", async () => {
    const hung = await hubs.leader();
    const [one] = others(hung) as [HubProcess];
    const before = await revisionAt(one);
    hung.daemon.signal("SIGSTOP");
    await hubs.leader(others(hung));
    const { token } = await one.clients.tokens.refreshToken({ connectionId });
    expect(token?.revision).toBeGreaterThan(before);
    hung.daemon.signal("SIGCONT");
    expect(await hung.daemon.exited).toBe(75);
    await hung.start();
    await hubs.leader();
    expect(await revisionAt(hung)).toBeGreaterThan(before);
  }, 120_000);

  it("without its database: living tokens are served, and writes wait until it is back", async () => {
    const leader = await hubs.leader();
    const [one] = others(leader) as [HubProcess];
    await one.clients.tokens.refreshToken({ connectionId });
    hubs.postgres.kill();
    for (const hub of hubs.all) expect(await revisionAt(hub)).toBeGreaterThan(0n);
    const refreshed = one.clients.tokens.refreshToken({ connectionId });
    const before = provider.tokenRequests.length;
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    // No intent can be made durable, so nothing is sent.
    expect(provider.tokenRequests.length).toBe(before);
    await hubs.postgres.start();
    const atOutage = (await refreshed.catch(() => undefined))?.token?.revision ?? 0n;
    await hubs.leader();
    const again = async () => (await one.clients.tokens.refreshToken({ connectionId })).token?.revision;
    await expect.poll(() => again().catch(() => 0n), { timeout: 30_000 }).toBeGreaterThan(atOutage);
  }, 120_000);

  it("with one chain of audit events, in which every read of a follower stands", async () => {
    const leader = await hubs.leader();
    const [one] = others(leader) as [HubProcess];
    await one.clients.tokens.getToken({ connectionId });
    await expect.poll(async () => (await leader.clients.status.getStatus({})).fleet?.outbox).toBe(0n);
    for (const { clients } of hubs.all) {
      const verdict = await clients.audit.verifyAuditLog({});
      expect(verdict.reason).toBe("");
    }
  }, 120_000);
});
