import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type CallOptions, Code } from "@connectrpc/connect";
import { beforeAll, describe, expect, it } from "vitest";
import { Role } from "../../../../src/gen/nexus/v1/access_pb.js";
import type { HeldRequest } from "../../../../src/gen/nexus/v1/approval_pb.js";
import { ConnectionStatus } from "../../../../src/gen/nexus/v1/connection_pb.js";
import { AuthType } from "../../../../src/gen/nexus/v1/provider_pb.js";
import { onBehalfField } from "../../../../src/service/forwarding/on_behalf.js";
import type { LocalDaemon } from "../../../daemon/daemon_at.js";
import { Watcher } from "../../../daemon/harness.js";
import { registeredAt, requestOf } from "../../../daemon/requests.js";
import { Browser, consent } from "../../../fakes/browser.js";
import { startOpenIdProvider } from "../../../fakes/openid_provider.js";
import { perSuite } from "../../../lifetimes.js";
import { has } from "../../../needs.js";
import { temporaryFolder } from "../../../temporary_folder.js";
import { localHubs } from "./local_hubs.js";

const provider = perSuite(() => startOpenIdProvider({ redirectUris: [], accessTokenTtlSeconds: 3600 }));
const hubs = localHubs(() => {
  const policy = join(temporaryFolder(), "policy.yaml");
  writeFileSync(policy, "proxies: [key:claude]\nrules: [{ providers: [held], then: ask }]\n");
  return { count: 3, environment: { NEXUS_POLICY_FILE: policy } };
});
let leader: LocalDaemon;
let followers: readonly LocalDaemon[];

beforeAll(async () => {
  if (!has("postgresql")) return;
  leader = await hubs.leader();
  followers = hubs.all.filter((hub) => hub !== leader);
});

/** Requested at one hub, opened at a second, answered at a third. */
async function connected(
  requested: LocalDaemon,
  opened: LocalDaemon,
  answered: LocalDaemon,
): Promise<string> {
  const request = requestOf("op", { userId: `ada-${Math.random()}` });
  const { authUrl, connectionId } = await requested.clients.connections.requestConnection(request);
  const browser = new Browser();
  await hubs.balance(opened);
  const atCallback = await consent(browser, authUrl, "allow", (url) => url.includes("/auth/callback"));
  expect(atCallback.status).toBe(0);
  await hubs.balance(answered);
  const page = await browser.get(atCallback.url);
  expect(page.status).toBe(200);
  return connectionId;
}

/** The token at a hub that need not have been asked for the consent: then its copy hears of that first. */
async function tokenAt({ clients }: LocalDaemon, connectionId: string) {
  const status = async () => (await clients.connections.getConnection({ connectionId })).connection?.status;
  await expect.poll(status).toBe(ConnectionStatus.ACTIVE);
  return (await clients.tokens.getToken({ connectionId })).token;
}

describe("a fleet of three hubs", () => {
  it("has one leader, which every hub names", async () => {
    const roles = await Promise.all(
      hubs.all.map(async ({ clients }) => (await clients.status.getStatus({})).fleet),
    );
    expect(roles.map((fleet) => fleet?.leader)).toEqual(hubs.all.map(() => leader.address));
    expect(roles.filter((fleet) => fleet?.role === 3)).toHaveLength(1);
  });

  it("takes a profile at a follower, and has it at every hub", async () => {
    const [one, other] = followers as [LocalDaemon, LocalDaemon];
    await registeredAt(provider, one.clients);
    for (const { clients } of [one, other, leader]) {
      const { provider: profile } = await clients.providers.getProvider({
        key: { case: "name", value: "op" },
      });
      expect(profile?.name).toBe("op");
    }
  });

  it("takes a consent that is requested, opened and answered at three hubs, and serves its token at each", async () => {
    const [one, other] = followers as [LocalDaemon, LocalDaemon];
    const connectionId = await connected(one, other, leader);
    const again = await connected(leader, one, other);
    for (const hub of hubs.all) {
      expect((await tokenAt(hub, connectionId))?.credentials["access_token"]).toMatch(/./);
      expect((await tokenAt(hub, again))?.revision).toBe(1n);
    }
  });

  it("has on record through which hub a request came, which no caller can say itself", async () => {
    const [one, other] = followers as [LocalDaemon, LocalDaemon];
    const viaOf = async (connectionId: string): Promise<[string, readonly string[]][]> => {
      const { events } = await one.clients.audit.listAuditEvents({ connectionId });
      return events.map(({ eventType, via }) => [eventType, via]);
    };
    const connectionId = await connected(one, leader, other);
    await tokenAt(one, connectionId);
    const atLeader = await connected(leader, other, leader);
    await tokenAt(leader, atLeader);
    expect((await viaOf(connectionId)).reverse()).toEqual([
      ["connection.requested", [one.address]],
      ["oauth_flow_completed", [other.address]],
      ["token_retrieved", [one.address]],
    ]);
    // A follower hears of it a moment later.
    await expect.poll(async () => (await viaOf(atLeader)).map(([, via]) => via)).toEqual([[], [], []]);

    const forged = { via: "10.9.9.9:7443", "x-nexus-via": "10.9.9.9:7443" };
    const claimed = {
      ...forged,
      "x-nexus-caller": onBehalfField({ name: "10.9.9.9:7443", restrictions: [] }),
    };
    await one.clients.connections.refreshConnection({ connectionId }, { headers: forged });
    await leader.clients.connections.refreshConnection({ connectionId }, { headers: claimed });
    const asked = (await viaOf(connectionId)).filter(([type]) => type === "token_refresh_requested");
    // Who calls for somebody else is named as what it was proved to be.
    expect(asked.map(([, via]) => via)).toEqual([["owner"], [one.address]]);
    expect((await leader.clients.audit.verifyAuditLog({})).reason).toBe("");
  });

  it("tells watchers of every hub of a refresh that a follower was asked for, at the same position", async () => {
    const [one, other] = followers as [LocalDaemon, LocalDaemon];
    const connectionId = await connected(one, one, one);
    const watchers = hubs.all.map(
      ({ clients }) => new Watcher(clients.tokens, { connectionIds: [connectionId] }),
    );
    for (const watcher of watchers) await watcher.state(({ token }) => token?.revision === 1n);
    const { token } = await other.clients.tokens.refreshToken({ connectionId });
    expect(token?.revision).toBe(2n);
    expect((await other.clients.tokens.getToken({ connectionId })).token?.credentials["access_token"]).toBe(
      token?.credentials["access_token"],
    );
    for (const watcher of watchers) {
      await watcher.state((state) => state.token?.revision === 2n);
      watcher.cancel();
    }
  });

  it("answers who waits at a follower another link as soon as the person says no", async () => {
    const [one, other] = followers as [LocalDaemon, LocalDaemon];
    const asked = { providerName: "op", userId: `ada-${Math.random()}` };
    const acquire = async (seconds: bigint) => {
      const { result } = await one.clients.tokens.acquireToken({ ...asked, wait: { seconds } });
      if (result.case !== "consent") throw new Error(`the answer is a ${result.case}`);
      return result.value;
    };
    const first = await acquire(0n);
    const waiting = acquire(60n);
    await hubs.balance(other);
    await consent(new Browser(), first.authUrl, "deny");
    const second = await waiting;
    expect(second).toMatchObject({ connectionId: first.connectionId, reason: "access_denied" });
    expect(second.authUrl).not.toBe(first.authUrl);
  });

  it("says at every hub that it is ready", async () => {
    for (const { opsUrl } of hubs.all) {
      const answer = async () => (await fetch(`${opsUrl}/readyz`)).json();
      await expect.poll(answer).toMatchObject({ ready: true, checks: { following: true } });
    }
  });
});

describe("a request that a rule of a fleet has a person asked about", () => {
  let connectionId: string;
  const request = { method: "GET", url: "https://api.example/", showsHeaders: true, bodySize: 0n };
  const bodySha256 = createHash("sha256").digest();

  beforeAll(async () => {
    if (!has("postgresql")) return;
    const { providers, connections } = leader.clients;
    const profile = { name: "held", authType: AuthType.API_KEY, apiBaseUrl: "https://api.example" };
    const { provider: made } = await providers.createProvider({ provider: profile });
    const credentials = { api_key: "secret" };
    const asked = { providerId: made?.id ?? "", userId: "ada", credentials };
    connectionId = (await connections.importConnection(asked)).connection?.id ?? "";
    for (const hub of hubs.all) await tokenAt(hub, connectionId).catch(() => undefined);
  });

  const send = ({ clients }: LocalDaemon, options: CallOptions = {}, session = "") =>
    clients.tokens.getToken({ connectionId, request: { ...request, bodySha256, session } }, options);

  const answer = ({ clients }: LocalDaemon, [waiting]: HeldRequest[], approve: boolean) => {
    if (!waiting) throw new Error("nothing waits");
    const { id, digest } = waiting;
    return clients.approvals.decideHeldRequest({ id, digest: new Uint8Array(digest), approve });
  };

  const waitingAt = async ({ clients }: LocalDaemon, count: number): Promise<HeldRequest[]> => {
    const listed = async () => (await clients.approvals.listHeldRequests({})).requests;
    await expect.poll(async () => (await listed()).length).toBe(count);
    return await listed();
  };

  it("is listed at every hub and answered at another one than the one that it came to", async () => {
    const [one, other] = followers as [LocalDaemon, LocalDaemon];
    for (const [at, by] of [
      [one, other],
      [one, leader],
      [leader, other],
    ] as const) {
      const sent = send(at);
      const waiting = await waitingAt(by, 1);
      for (const hub of hubs.all) expect(await waitingAt(hub, 1)).toEqual(waiting);
      await answer(by, waiting, true);
      expect((await sent).token?.credentials["api_key"]).toBe("secret");
      await waitingAt(at, 0);
    }
    const refused = expect(send(one)).rejects.toMatchObject({ code: Code.PermissionDenied });
    await answer(other, await waitingAt(other, 1), false);
    await refused;
  });

  it("is held on when its caller has left the hub that it came to, and the answer counts at another one", async () => {
    const [one, other] = followers as [LocalDaemon, LocalDaemon];
    const caller = new AbortController();
    const sent = send(one, { signal: caller.signal }).catch((error: Error) => error.message);
    await waitingAt(other, 1);
    caller.abort();
    await sent;
    await answer(other, await waitingAt(other, 1), true);
    expect((await send(leader)).token?.credentials["api_key"]).toBe("secret");
    await waitingAt(other, 0);
  });

  it("ends at every hub with the streams of its agent, when the agent is stopped at one", async () => {
    const [one, other] = followers as [LocalDaemon, LocalDaemon];
    const made = { name: "claude", role: Role.AGENT, restriction: { userIds: ["ada"] } };
    const { key } = await other.clients.access.createApiKey(made);
    const headers = { authorization: `Bearer ${key}` };
    const held = [one, leader].map((hub, index) =>
      send(hub, { headers }, `run-${index}`).catch((error: Error) => error.message),
    );
    const streams = hubs.all.map(async ({ clients }) => {
      for await (const _ of clients.tokens.watchTokens({}, { headers }));
    });
    const ended = streams.map((stream) => stream.catch((error: Error) => error.message));
    await waitingAt(other, 2);
    const startedMs = performance.now();
    await other.clients.access.revokeApiKey({ key: { case: "name", value: "claude" } });
    const ends = await Promise.all([...held, ...ended]);
    // Promised within two seconds. `feed.test.ts` shows that no timer lies between a commit and its followers; of a laden machine five are asked.
    expect(performance.now() - startedMs).toBeLessThan(5_000);
    expect(ends).toEqual(ends.map(() => expect.stringMatching(/not valid any more/)));
    for (const hub of hubs.all) await waitingAt(hub, 0);
  }, 20_000);
});
