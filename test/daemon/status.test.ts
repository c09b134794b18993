import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { ConnectionStatus } from "../../src/gen/nexus/v1/connection_pb.js";
import { DaemonState, type GetStatusResponse } from "../../src/gen/nexus/v1/status_pb.js";
import { perSuite } from "../lifetimes.js";
import { json } from "../oauth/scripted_server.js";
import { Watcher } from "./harness.js";
import { ScriptedWorld } from "./scripted_world.js";

describe("the status of a daemon", () => {
  const world = perSuite(() => ScriptedWorld.make());

  const status = (maxEntries = 0): Promise<GetStatusResponse> =>
    world.clients.status.getStatus({ maxEntries });
  const page = async (): Promise<string> => await (await fetch(`${world.place.opsUrl}/status`)).text();
  const countOf = ({ connections }: GetStatusResponse, wanted: ConnectionStatus): bigint | undefined =>
    connections.find(({ status }) => status === wanted)?.count;

  it("has nothing to tell of an empty one but that it is ready", async () => {
    const answer = await status();
    expect(answer).toMatchObject({ state: DaemonState.READY, subscribers: 0, failingProviderCount: 0 });
    expect(answer.checks.map(({ name, passing }) => [name, passing])).toEqual([
      ["serving", true],
      ["refreshing", true],
      ["storing", true],
      ...(world.beside ? [["following", true]] : []),
    ]);
    expect(answer.connections.map(({ count }) => count)).toEqual([0n, 0n, 0n, 0n, 0n, 0n]);
    expect(answer.version).toMatch(/^\d+\.\d+\.\d+/);
    expect(answer.storeBytes).toBeGreaterThan(4096n);
    expect(await page()).toContain("<h1>Ready</h1>");
  });

  it("counts, plans, and names who fails, over the RPC and on the page", async () => {
    const providerId = await world.register({ name: "acme" });
    const ids = [await world.connect(providerId), await world.connect(providerId)];
    await world.request(providerId);
    const watcher = new Watcher(world.clients.tokens, { connectionIds: ids });
    await watcher.next();
    const before = await status();
    expect(before).toMatchObject({ state: DaemonState.READY, subscribers: 1 });
    expect(countOf(before, ConnectionStatus.ACTIVE)).toBe(2n);
    expect(countOf(before, ConnectionStatus.PENDING)).toBe(1n);
    expect(before.nextRefreshes.map(({ connectionId }) => connectionId).sort()).toEqual([...ids].sort());
    expect((await status(1)).nextRefreshes).toHaveLength(1);

    world.answerToken = () => json({ error: "temporarily_unavailable" }, 503);
    for (const connectionId of ids)
      await world.clients.tokens.refreshToken({ connectionId }).catch((error: unknown) => {
        expect(ConnectError.from(error).code).toBe(Code.Unavailable);
      });
    const after = await status();
    expect(after).toMatchObject({ state: DaemonState.ATTENTION, failingProviderCount: 1 });
    expect(after.failingProviders).toMatchObject([
      { providerId, providerName: "acme", reason: "transient", suspended: false, failures: 2 },
    ]);
    expect(after.failingProviders[0]).toMatchObject({ connections: 3n });
    expect(after.nextRefreshes[0]).toMatchObject({ failedRefreshes: 1, providerName: "acme" });

    const shown = await page();
    expect(shown).toContain("<h1>Needs attention</h1>");
    expect(shown).toContain("<bdi>acme</bdi></b>: It did not process the requests");
    expect(shown).toContain("1 subscriber ");
    for (const secret of [...ids, providerId, "ada", "access-", "refresh-", "the-client"])
      expect(shown).not.toContain(secret);
    watcher.cancel();
  });

  it("names tokens that end within a day and cannot be refreshed, the earliest first", async () => {
    const tokensFor = (seconds: number, more: object) => () =>
      json({ access_token: "a", token_type: "Bearer", expires_in: seconds, ...more });
    const providerId = await world.register();
    const connect = async (seconds: number, more: object = {}): Promise<string> => {
      world.answerToken = tokensFor(seconds, more);
      return await world.connect(providerId);
    };
    const later = await connect(80_000);
    const sooner = await connect(7_000);
    await connect(7_000, { refresh_token: "r" });
    await connect(90_000);
    const { endingTokens } = await status();
    expect(endingTokens.map(({ connectionId }) => connectionId)).toEqual([sooner, later]);
    expect((await status(1)).endingTokens.map(({ connectionId }) => connectionId)).toEqual([sooner]);
  });

  it("tells what the refreshes came to, and who holds a stream open", async () => {
    const { status: rpcs, tokens, connections } = world.clients;
    world.answerToken = () => json({ access_token: "a", token_type: "Bearer", refresh_token: "r" });
    const connectionId = await world.connect(await world.register());
    const sum = async () => {
      const { intervals } = await rpcs.getActivity({});
      const counts = [0, 0, 0];
      for (const { refreshed, retried, failed } of intervals) {
        for (const [index, count] of [refreshed, retried, failed].entries())
          counts[index] = (counts[index] ?? 0) + Number(count);
      }
      return counts;
    };
    const before = await sum();
    await tokens.refreshToken({ connectionId });
    world.answerToken = () => json({ error: "invalid_grant" }, 400);
    await tokens.refreshToken({ connectionId }).catch(() => undefined);
    expect(await sum()).toEqual([(before[0] ?? 0) + 1, before[1], (before[2] ?? 0) + 1]);
    const activity = await rpcs.getActivity({});
    expect(activity.recordedSince).toEqual(activity.startedAt);
    expect(activity.expiries).toHaveLength(7);
    expect(activity.expiries.at(-1)).toMatchObject({ unlimited: true });

    const watcher = new Watcher(tokens, { connectionIds: [connectionId] });
    await watcher.next();
    const { streams, count } = await rpcs.listOpenStreams({});
    expect(count).toBe(1);
    expect(streams).toMatchObject([
      { principal: "owner", rpc: "nexus.v1.TokenService/WatchTokens", listener: "grpc", origin: "unix" },
    ]);
    watcher.cancel();
    await expect.poll(async () => (await rpcs.listOpenStreams({})).count).toBe(0);
    // Of the connection alone, and nothing of it is a stream.
    await connections.getConnection({ connectionId });
    expect((await rpcs.listOpenStreams({})).streams).toEqual([]);
  });

  it("answers by JSON over the http listener too, and to nobody without a key", async () => {
    const ask = (headers: Record<string, string>) =>
      fetch(`${world.place.httpUrl}/nexus.v1.StatusService/GetStatus`, {
        method: "POST",
        headers: { "content-type": "application/json", ...headers },
        body: "{}",
      });
    const answer = await ask({ "x-api-key": world.place.apiKey });
    expect(await answer.json()).toMatchObject({
      version: expect.any(String),
      connections: expect.any(Array),
    });
    expect((await ask({})).status).toBe(401);
  });
});
