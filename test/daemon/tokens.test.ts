import { beforeEach, describe, expect, it } from "vitest";
import { ConnectionStatus } from "../../src/gen/nexus/v1/connection_pb.js";
import { Browser, consent } from "../fakes/browser.js";
import { perTest } from "../lifetimes.js";
import { failureOf } from "./errors.js";
import { World } from "./harness.js";

const hourMs = 3_600_000;
const minuteMs = 60_000;

describe("tokens", () => {
  const world = perTest(() => World.make());
  let connectionId: string;
  beforeEach(async () => {
    connectionId = await world.connect(await world.register());
  });
  const getToken = (minTtlSeconds = 0) =>
    world.clients.tokens.getToken({ connectionId, minTtl: { seconds: BigInt(minTtlSeconds), nanos: 0 } });
  const refreshes = () =>
    world.provider.tokenRequests.filter(({ grantType }) => grantType === "refresh_token").length;

  it("answers the same token without asking the provider, until the refresh window", async () => {
    const { token: first } = await getToken();
    world.clock.advance(54 * minuteMs);
    const { token: second } = await getToken();
    expect(second).toEqual(first);
    expect(refreshes()).toBe(0);
    const expiresMs = Number(first?.expiresAt?.seconds) * 1000;
    const notBeforeMs = Number(first?.refreshNotBefore?.seconds) * 1000;
    expect(expiresMs - notBeforeMs).toBeGreaterThanOrEqual(5 * minuteMs - 1000);
    expect(expiresMs - notBeforeMs).toBeLessThanOrEqual(5 * minuteMs * 1.25 + 1000);
  });

  it("answers a token that is at hand no longer than it holds: not when it is replaced, revoked or deleted", async () => {
    expect((await getToken()).token?.revision).toBe(1n);
    expect((await getToken()).token?.revision).toBe(1n);
    await world.clients.tokens.refreshToken({ connectionId });
    expect((await getToken()).token?.revision).toBe(2n);
    await world.clients.connections.revokeConnection({ connectionId });
    expect((await failureOf(getToken())).reason).toBe("CONNECTION_REVOKED");
    await world.clients.connections.deleteConnection({ connectionId });
    expect((await failureOf(getToken())).code).toBe("NotFound");
  });

  it("lets callers of an expired token share one refresh", async () => {
    await world.provider.setOutage("503");
    world.clock.advance(hourMs);
    await world.provider.waitForTokenRequests(2);
    await failureOf(getToken());
    await world.provider.setOutage("none");
    const before = refreshes();
    const answers = await Promise.all(Array.from({ length: 50 }, () => getToken()));
    expect(refreshes() - before).toBe(1);
    expect(new Set(answers.map(({ token }) => token?.revision))).toEqual(new Set([2n]));
  });

  it("answers the living token while refreshes fail, and UNAVAILABLE with a delay once it is dead", async () => {
    await world.provider.setOutage("503");
    const watcher = world.watch({ connectionIds: [connectionId] });
    await watcher.until((event) => event.case === "bookmark");
    world.clock.advance(hourMs - 5 * minuteMs);
    const failing = await watcher.state(({ problem }) => problem?.reason === "refresh_failing");
    expect(failing.status).toBe(ConnectionStatus.ACTIVE);
    expect(failing.problem?.retryAt).toBeDefined();
    expect((await getToken()).token?.revision).toBe(1n);

    world.clock.advance(5 * minuteMs);
    const dead = await watcher.state(({ token }) => token === undefined);
    expect(dead).toMatchObject({ status: ConnectionStatus.ACTIVE, revision: 1n });
    const failure = await failureOf(getToken());
    expect(failure.code).toBe("Unavailable");
    expect(failure.retryMs).toBeGreaterThan(0);

    await world.provider.setOutage("none");
    world.clock.advance(hourMs);
    const alive = await watcher.state(({ token }) => token !== undefined);
    expect(alive.revision).toBe(2n);
    expect(alive.problem).toBeUndefined();
    watcher.cancel();
  });

  it("refreshes first when the token lives shorter than min_ttl, and no more often than a token can help it", async () => {
    world.clock.advance(30 * minuteMs);
    expect((await getToken(29 * 60)).token?.revision).toBe(1n);
    expect((await getToken(31 * 60)).token?.revision).toBe(2n);
    expect((await getToken(24 * 3600)).token?.revision).toBe(2n);
    expect((await getToken(24 * 3600)).token?.revision).toBe(2n);
    expect((await failureOf(getToken(24 * 3600 + 1))).fields).toEqual(["min_ttl"]);
    expect((await failureOf(getToken(-1))).fields).toEqual(["min_ttl"]);
  });

  it("answers at once inside the window while a refresh is nudged", async () => {
    const release = world.provider.holdTokenResponses();
    world.clock.advance(56 * minuteMs);
    expect((await getToken()).token?.revision).toBe(1n);
    await world.provider.waitForTokenRequests(2);
    const watcher = world.watch({ connectionIds: [connectionId] });
    release();
    await watcher.state(({ revision }) => revision === 2n);
    expect(refreshes()).toBe(1);
    watcher.cancel();
  });

  it("forces a refresh, and joins one that is under way", async () => {
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => world.clients.tokens.refreshToken({ connectionId })),
    );
    expect(new Set(answers.map(({ token }) => token?.revision))).toEqual(new Set([2n]));
    expect(refreshes()).toBe(1);
  });

  it("turns to attention when the grant is revoked, and is fixed by a new consent under the same id", async () => {
    const watcher = world.watch({
      connectionIds: [connectionId],
      bookmarkInterval: { seconds: 120n, nanos: 0 },
    });
    await world.provider.revokeAllGrants();
    world.clock.advance(hourMs);
    const lost = await watcher.state(({ status }) => status === ConnectionStatus.ATTENTION);
    expect(lost.token).toBeUndefined();
    expect(lost.problem?.reason).toBe("reauth_required");
    expect(await failureOf(getToken())).toMatchObject({
      code: "FailedPrecondition",
      reason: "ATTENTION_REQUIRED",
    });
    const refresh = world.clients.tokens.refreshToken({ connectionId });
    expect((await failureOf(refresh)).code).toBe("FailedPrecondition");
    const asked = refreshes();
    // By the hour: the watcher must have time to read the bookmarks, or its stream is reset as one that nobody reads.
    for (let hour = 0; hour < 24; hour++) {
      world.clock.advance(hourMs);
      await failureOf(getToken());
    }
    expect(refreshes()).toBe(asked);

    // The provider lives in real time: its id_token must not look expired.
    world.clock.jump(-25 * hourMs);
    const { authUrl } = await world.clients.connections.requestConnection({ connectionId });
    await consent(new Browser(), authUrl);
    const fixed = await watcher.state(({ status }) => status === ConnectionStatus.ACTIVE);
    expect(fixed.revision).toBe(2n);
    expect((await getToken()).token?.revision).toBe(2n);
    watcher.cancel();
  });

  it("refreshes again and again, each time with the refresh token of the last answer", async () => {
    const watcher = world.watch({ connectionIds: [connectionId] });
    for (let revision = 2n; revision <= 12n; revision++) {
      world.clock.advance(hourMs - 5 * minuteMs);
      await watcher.state((state) => state.revision === revision);
    }
    expect(refreshes()).toBe(11);
    watcher.cancel();
  });

  it("keeps the token over a restart, and refreshes what fell due meanwhile", async () => {
    const { token: before } = await getToken();
    await world.restart();
    expect((await getToken()).token).toEqual(before);
    await world.stop();
    world.clock.advance(2 * hourMs);
    await world.start();
    const watcher = world.watch({ connectionIds: [connectionId] });
    await watcher.state(({ revision, token }) => revision === 2n && token !== undefined);
    watcher.cancel();
  });

  it("stores a refresh that is under way when it is told to stop", async () => {
    const release = world.provider.holdTokenResponses();
    world.clock.advance(hourMs);
    await world.provider.waitForTokenRequests(2);
    const stopped = world.stop();
    release();
    await stopped;
    await world.start();
    expect((await getToken()).token?.revision).toBe(2n);
    expect(refreshes()).toBe(1);
  });

  it("lets a revocation win over a refresh under way", async () => {
    const release = world.provider.holdTokenResponses();
    const refresh = failureOf(world.clients.tokens.refreshToken({ connectionId }));
    await world.provider.waitForTokenRequests(2);
    const { connection } = await world.clients.connections.revokeConnection({ connectionId });
    expect(connection?.status).toBe(ConnectionStatus.REVOKED);
    release();
    expect(await refresh).toMatchObject({ code: "FailedPrecondition", reason: "CONNECTION_REVOKED" });
    expect(await failureOf(getToken())).toMatchObject({ reason: "CONNECTION_REVOKED" });
    const again = world.clients.connections.requestConnection({ connectionId });
    expect(await failureOf(again)).toMatchObject({ reason: "CONNECTION_REVOKED" });
  });

  it("keeps the token of a connection whose provider was deleted until it expires", async () => {
    const { connection } = await world.clients.connections.getConnection({ connectionId });
    await world.clients.providers.deleteProvider({ id: connection?.providerId ?? "" });
    const watcher = world.watch({ connectionIds: [connectionId] });
    world.clock.advance(56 * minuteMs);
    await watcher.state(({ problem }) => problem?.reason === "provider_deleted");
    expect((await getToken()).token?.revision).toBe(1n);
    expect(await failureOf(world.clients.tokens.refreshToken({ connectionId }))).toMatchObject({
      reason: "PROVIDER_DELETED",
    });
    world.clock.advance(4 * minuteMs);
    const dead = await watcher.state(({ status }) => status === ConnectionStatus.ATTENTION);
    expect(dead.problem?.reason).toBe("provider_deleted");
    expect(await failureOf(getToken())).toMatchObject({
      reason: "ATTENTION_REQUIRED",
      problem: "provider_deleted",
    });
    expect(refreshes()).toBe(0);
    watcher.cancel();
  });
});
