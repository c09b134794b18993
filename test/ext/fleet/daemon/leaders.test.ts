import { spawn } from "node:child_process";
import { join } from "node:path";
import { Code, ConnectError } from "@connectrpc/connect";
import { beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { Role } from "../../../../src/gen/nexus/v1/access_pb.js";
import { consented, registeredAt, requestOf } from "../../../daemon/requests.js";
import { Browser } from "../../../fakes/browser.js";
import { startOpenIdProvider } from "../../../fakes/openid_provider.js";
import { TcpProxy } from "../../../fakes/tcp_proxy.js";
import { needs } from "../../../needs.js";
import { Samples } from "../../../observability/expressions.js";
import { type HubProcess, Hubs, shortLease } from "./hubs.js";

beforeEach((context) => needs(context, "postgresql"));

describe("a hub that is deposed", () => {
  /** Two hubs with a provider, whose lease nobody renews while a test runs. */
  async function twoHubs() {
    const provider = await startOpenIdProvider({ redirectUris: [] });
    const hubs = await Hubs.start({ count: 2, environment: { NEXUS_FLEET_LEASE_SECONDS: "60" } });
    onTestFinished(async () => {
      await hubs.close();
      await provider.stop();
    }, 60_000);
    const { leader, follower } = await hubs.pair();
    await registeredAt(provider, leader.clients);
    return { hubs, leader, follower };
  }

  /** Everything that is to be committed waits until the leader has lost its lease. */
  async function held({
    postgres,
  }: Hubs): Promise<{ isAsked: () => Promise<boolean>; depose: () => Promise<void> }> {
    const client = await postgres.client();
    await client.query("BEGIN");
    await client.query("SELECT FROM nexus.head FOR UPDATE");
    return {
      isAsked: async () => {
        const waiting = `SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%commit_1%'`;
        return (await client.query(waiting)).rowCount === 1;
      },
      depose: async () => {
        await client.query(
          "UPDATE nexus.lease SET owner = gen_random_uuid(), fence = fence + 1, address = '127.0.0.1:1'",
        );
        await client.query("COMMIT");
        await client.end();
      },
    };
  }

  it("a leader that is deposed amid writes answers each of them UNAVAILABLE, wherever it was asked", async () => {
    const { hubs, leader, follower } = await twoHubs();
    const create = ({ clients }: HubProcess, name: string) =>
      clients.access.createApiKey({ name, role: Role.OPERATOR });
    // The link between the hubs is open.
    const { apiKey } = await create(follower, "before");
    const { isAsked, depose } = await held(hubs);
    const writes = [
      create(leader, "a"),
      create(follower, "b"),
      leader.clients.access.revokeApiKey({ key: { case: "id", value: apiKey?.id ?? "" } }),
      leader.clients.connections.requestConnection(requestOf("op")),
      follower.clients.connections.requestConnection(requestOf("op")),
    ].map((write) =>
      write.then(
        () => "acknowledged",
        (error: unknown) => ConnectError.from(error),
      ),
    );
    await expect.poll(isAsked).toBe(true);
    await depose();
    for (const answer of await Promise.all(writes))
      expect(answer).toMatchObject({
        code: Code.Unavailable,
        // What reached the leader when it had lost the lease was not begun.
        rawMessage: expect.stringMatching(/look whether the request was acted on|nothing was done/),
      });
    expect(await leader.daemon.exited).toBe(75);
    const { apiKeys } = await follower.clients.access.listApiKeys({});
    expect(apiKeys.map(({ name }) => name)).toEqual(["before"]);
  }, 120_000);
});

const reroute = join(import.meta.dirname, "../../../fakes/reroute.cjs");

/** Two hubs, each with a link of its own to the one provider. */
async function twoHubs(environment: NodeJS.ProcessEnv = {}) {
  const provider = await startOpenIdProvider({ redirectUris: [] });
  const port = Number(new URL(provider.issuer).port);
  const links = [await TcpProxy.tcp(port), await TcpProxy.tcp(port)] as const;
  const hubs = await Hubs.start({
    count: 2,
    environment: { NODE_OPTIONS: `--require=${reroute}`, ...environment },
    own: (index) => ({ NEXUS_TEST_REROUTE: `${port}:${links[index]?.port}` }),
  });
  onTestFinished(async () => {
    await hubs.close();
    await Promise.all(links.map((link) => link.close().catch(() => undefined)));
    await provider.stop();
  }, 60_000);
  const { leader, follower: other } = await hubs.pair();
  await hubs.balance(leader);
  await registeredAt(provider, leader.clients);
  const connectionId = await consented(leader.clients, requestOf("op"), new Browser());
  // Each hub has heard that the other is there.
  for (const { clients } of hubs.all)
    await expect
      .poll(async () => (await clients.status.getStatus({})).fleet?.members.length, { timeout: 30_000 })
      .toBe(2);
  return {
    ...{ hubs, provider, connectionId, leader, other },
    linkOf: (hub: HubProcess) => links[hubs.all.indexOf(hub)] as TcpProxy,
  };
}

/** Somebody wants a new token until one comes. */
async function refreshed({ clients }: HubProcess, connectionId: string): Promise<bigint> {
  for (;;) {
    const answer = await clients.tokens.refreshToken({ connectionId }).catch(() => undefined);
    if (answer?.token) return answer.token.revision;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

/** Why leads were given back, by the audit log as a hub has it; the oldest first. */
async function givenBack({ clients }: HubProcess): Promise<string[]> {
  const { events } = await clients.audit.listAuditEvents({
    eventType: "fleet.lead_given_back",
    pageSize: 10,
  });
  return events.map(({ principal, reason, via }) => [principal, reason, ...via].join(" ")).reverse();
}

const isBackingOff = async ({ opsUrl }: HubProcess): Promise<string[]> =>
  new Samples(await (await fetch(`${opsUrl}/metrics`)).text()).of("nexus_fleet_stands_back");

describe("a hub that leads and reaches no provider", () => {
  it("gives the lead to one that does, stands back, and leads again where it is alone", async () => {
    const { hubs, leader, other, connectionId, linkOf } = await twoHubs(shortLease);
    const before = await refreshed(leader, connectionId);
    await linkOf(leader).close();
    const [ended, revision] = await Promise.all([leader.daemon.exited, refreshed(other, connectionId)]);
    expect(ended).toBe(75);
    expect(revision).toBeGreaterThan(before);
    expect(leader.daemon.output).toContain("gives the lead of its fleet back, since it reaches no provider");
    expect(await hubs.leader([other])).toBe(other);
    expect(await givenBack(other)).toEqual(["daemon providers_unreachable"]);

    await leader.start();
    expect(await hubs.leader()).toBe(other);
    expect(await isBackingOff(leader)).toEqual(["nexus_fleet_stands_back 1"]);
    expect(await isBackingOff(other)).toEqual(["nexus_fleet_stands_back 0"]);
    const warnings = (await leader.clients.status.getStatus({})).fleet?.warnings;
    expect(warnings).toContain("this hub gave the lead back, since it reaches no provider");

    // Reads and what calls no provider need a leader, wherever it stands.
    await other.daemon.kill("SIGKILL");
    expect(await hubs.leader([leader])).toBe(leader);
    await leader.clients.access.createApiKey({ name: "late", role: Role.OPERATOR });
  }, 300_000);
});

describe("a hub that leads and whose disk", () => {
  /** From now on system calls of the leader end otherwise. Resolves when they do, with what ends that. */
  const inject = async ({ daemon }: HubProcess, calls: string, how: string): Promise<() => void> => {
    const strace = spawn("strace", [
      ...["-f", "-p", `${daemon.pid}`, "-o", "/dev/null"],
      ...["-e", `trace=${calls}`, "-e", `inject=${calls}:${how}`],
    ]);
    onTestFinished(() => void strace.kill("SIGKILL"));
    await new Promise<void>((resolve, reject) => {
      strace.stderr.on("data", (text) => String(text).includes("attached") && resolve());
      strace.on("exit", () => reject(new Error("strace did not attach")));
    });
    return () => void strace.kill("SIGKILL");
  };

  /** It cannot wait for its own thread: see `endAtOnce`. */
  const endedAtOnce = "execve" in process ? 75 : "SIGKILL";

  /** The process has ended, but for a thread that strace holds. */
  const abandoned = ({ daemon }: HubProcess) => daemon.wrote(/the daemon ends without closing it/);

  beforeEach((context) => needs(context, "strace"));

  /** Longer than the tests wait: a lease that runs out tells nothing. */
  const long = { NEXUS_FLEET_LEASE_SECONDS: "60" };

  /** It is on record, and the one that comes back does not take the lead again. */
  const expectGivenBack = async (
    { hubs, leader, other }: Awaited<ReturnType<typeof twoHubs>>,
    reason: string,
  ): Promise<void> => {
    await expect.poll(() => givenBack(other)).toEqual([`daemon ${reason} ${leader.address}`]);
    await leader.start();
    expect(await hubs.leader()).toBe(other);
    expect((await other.clients.audit.verifyAuditLog({})).reason).toBe("");
  };

  it("is full gives the lead to another one", async () => {
    const two = await twoHubs(long);
    const { hubs, leader, other, connectionId } = two;
    const before = await refreshed(leader, connectionId);
    await inject(leader, "pwrite64,pwritev", "error=ENOSPC");
    void leader.clients.access.createApiKey({ name: "stuck", role: Role.OPERATOR }).catch(() => undefined);
    expect(await hubs.leader([other])).toBe(other);
    expect(await leader.daemon.exited).toBe(14);
    expect(await refreshed(other, connectionId)).toBeGreaterThan(before);
    await expectGivenBack(two, "disk_failed");
  }, 300_000);

  it("does not come back from a write gives another one the lead, and what a provider answers it", async () => {
    const two = await twoHubs(long);
    const { hubs, leader, other, connectionId, provider } = two;
    const before = await refreshed(leader, connectionId);
    const release = provider.holdTokenResponses();
    const sent = provider.tokenRequests.length + 1;
    void leader.clients.tokens.refreshToken({ connectionId }).catch(() => undefined);
    await provider.waitForTokenRequests(sent);
    const isAbandoned = abandoned(leader);
    const resume = await inject(leader, "fsync,fdatasync,pwrite64,pwritev", "delay_enter=600s");
    void leader.clients.access.createApiKey({ name: "stuck", role: Role.OPERATOR }).catch(() => undefined);
    release();
    expect(await hubs.leader([other])).toBe(other);
    const revision = async () => (await other.clients.tokens.getToken({ connectionId })).token?.revision;
    await expect.poll(revision, { timeout: 20_000 }).toBe(before + 1n);
    expect(provider.tokenRequests.length).toBe(sent);
    await isAbandoned;
    resume();
    expect(await leader.daemon.exited).toBe(endedAtOnce);
    await expectGivenBack(two, "disk_stuck");
  }, 300_000);
});
