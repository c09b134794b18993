import { Code, ConnectError } from "@connectrpc/connect";
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { consented, registeredAt, requestOf } from "../../../daemon/requests.js";
import { Browser } from "../../../fakes/browser.js";
import { type OpenIdProvider, startOpenIdProvider } from "../../../fakes/openid_provider.js";
import { has, needs } from "../../../needs.js";
import { silence, startScriptedServer } from "../../../oauth/scripted_server.js";
import { startChild } from "../../../store/child.js";
import { replicaFolder } from "../replication/fleet.js";
import { type HubProcess, Hubs, shortLease } from "./hubs.js";

let hubs: Hubs;
let provider: OpenIdProvider;

beforeAll(async () => {
  if (!has("postgresql")) return;
  provider = await startOpenIdProvider({ redirectUris: [], accessTokenTtlSeconds: 3600 });
  hubs = await Hubs.start({ count: 2, environment: shortLease });
  const leader = await hubs.leader();
  await hubs.balance(leader);
  await registeredAt(provider, leader.clients);
}, 120_000);

afterAll(async () => {
  await hubs?.close();
  await provider?.stop();
});

beforeEach((context) => needs(context, "postgresql"));

const otherThan = (hub: HubProcess): HubProcess => hubs.all.find((one) => one !== hub) as HubProcess;

describe("a hub that is to end", () => {
  it("answers what another hub has asked it, though it has not heard of that hub", async () => {
    const leader = await hubs.leader();
    const other = otherThan(leader);
    await hubs.postgres.query(
      `CREATE FUNCTION public.long_ago() RETURNS trigger LANGUAGE plpgsql AS
         'BEGIN NEW.seen_at := clock_timestamp() - interval ''1 hour''; RETURN NEW; END';
       CREATE TRIGGER long_ago BEFORE INSERT OR UPDATE ON nexus.member FOR EACH ROW EXECUTE FUNCTION public.long_ago();
       UPDATE nexus.member SET seen_at = seen_at`,
    );
    const known = async () => (await leader.clients.status.getStatus({})).fleet?.members.length;
    await expect.poll(known, { timeout: 30_000 }).toBe(0);
    // Its profile is stored, and the answer waits for its discovery document.
    const slow = await startScriptedServer(silence);
    onTestFinished(() => slow.close());
    const profile = { name: "slow", clientId: "one", clientSecret: "two", issuer: slow.origin };
    const created = other.clients.providers.createProvider({
      provider: { ...profile, enableDiscovery: true },
    });
    await expect.poll(() => slow.requests.length).toBe(1);
    leader.daemon.signal("SIGTERM");
    await expect.poll(() => leader.daemon.output).toContain("gave the lead of the fleet back");
    await slow.close();
    expect((await created).provider?.name).toBe("slow");
    expect(await leader.daemon.exited).toBe(0);
    await hubs.postgres.query("DROP FUNCTION public.long_ago() CASCADE");
    await leader.start();
    await hubs.leader();
  }, 120_000);
});

describe("a hub that ends", () => {
  it("ends with 75 when its batch is refused, though reads are being put on record", async () => {
    const leader = await hubs.leader();
    const requested = Array.from({ length: 400 }, (_, index) =>
      leader.clients.connections.requestConnection(requestOf("op", { userId: `user-${index}` })),
    );
    const ids = (await Promise.all(requested)).map(({ connectionId }) => connectionId);
    await hubs.postgres.query(
      "UPDATE nexus.lease SET owner = gen_random_uuid(), fence = fence + 1, until = clock_timestamp() + interval '3 seconds'",
    );
    // Each is refused, and put on record; the first record that goes into the log ends the hub.
    const reads = ids.map((connectionId) => leader.clients.tokens.getToken({ connectionId }));
    await Promise.allSettled([...reads, leader.daemon.exited]);
    expect(await leader.daemon.exited).toBe(75);
    await leader.start();
    await hubs.leader();
  }, 120_000);

  it.each([
    ["deleted", "DELETE FROM nexus.lease"],
    ["truncated", "TRUNCATE nexus.lease"],
  ])(
    "ends with 75 when the row of its lease was %s, and the fleet goes on",
    async (_, harm) => {
      const leader = await hubs.leader();
      const {
        clients: { connections },
      } = otherThan(leader);
      await hubs.postgres.query(harm);
      // Its next renewal finds out, before anything is committed.
      expect(await leader.daemon.exited).toBe(75);
      // One that was sent to the leader while it ended is UNAVAILABLE, and nothing else: its client comes again.
      const refusals: Code[] = [];
      const isDone = async () => {
        const [requested] = await Promise.allSettled([connections.requestConnection(requestOf("op"))]);
        if (requested.status === "rejected") refusals.push(ConnectError.from(requested.reason).code);
        return requested.status === "fulfilled";
      };
      await expect.poll(isDone, { timeout: 30_000 }).toBe(true);
      expect(refusals.filter((code) => code !== Code.Unavailable)).toEqual([]);
      await leader.start();
      await hubs.leader();
    },
    120_000,
  );

  it("brings home what a provider answered after its lease, before it ends", async () => {
    const hung = await hubs.leader();
    const next = otherThan(hung);
    await hubs.balance(hung);
    const connectionId = await consented(hung.clients, requestOf("op"), new Browser());
    const before = (await hung.clients.tokens.getToken({ connectionId })).token?.revision ?? 0n;
    const release = provider.holdTokenResponses();
    const sent = provider.tokenRequests.length + 1;
    const refreshed = hung.clients.tokens.refreshToken({ connectionId }).catch(() => undefined);
    await provider.waitForTokenRequests(sent);
    hung.daemon.signal("SIGSTOP");
    await hubs.leader([next]);
    release();
    hung.daemon.signal("SIGCONT");
    expect(await hung.daemon.exited).toBe(75);
    await refreshed;
    expect(hung.daemon.output).toContain("token sets of the spool file are left for the hub that leads");
    const revision = async () => (await next.clients.tokens.getToken({ connectionId })).token?.revision;
    await expect.poll(revision).toBe(before + 1n);
    expect(provider.tokenRequests.length).toBe(sent);
  }, 120_000);
});

describe("a hub that is to end while a provider does not answer", () => {
  it("gives its lease back when its time to come to rest is over", async () => {
    const slow = await Hubs.start({ count: 2, environment: { NEXUS_FLEET_LEASE_SECONDS: "60" } });
    const silent = await startOpenIdProvider({ redirectUris: [] });
    onTestFinished(async () => {
      await slow.close();
      await silent.stop();
    });
    const leader = await slow.leader();
    await slow.balance(leader);
    await registeredAt(silent, leader.clients);
    const connectionId = await consented(leader.clients, requestOf("op"), new Browser());
    const release = silent.holdTokenResponses();
    const sent = silent.tokenRequests.length + 1;
    const refreshed = leader.clients.tokens.refreshToken({ connectionId }).catch(() => undefined);
    await silent.waitForTokenRequests(sent);
    leader.daemon.signal("SIGTERM");
    const [next] = slow.all.filter((hub) => hub !== leader);
    expect(await slow.leader(next && [next])).toBe(next);
    await Promise.all([leader.daemon.exited, refreshed]);
    // Who leads now leaves alone what may have been answered.
    expect(silent.tokenRequests.length).toBe(sent);
    release();
  }, 120_000);
});

describe("a process that ends when its replica is settled comes to an end", () => {
  it.each(["record", "drop", "apply"])("in the middle of %s", async (what) => {
    const child = startChild("end_while_writing", [await replicaFolder(), what]);
    expect(await child.nextLine()).toBe(what);
    const isDone = await child.nextLine();
    expect({ code: await child.ended(), isDone }).toEqual({ code: 75, isDone: "true" });
  });
});
