import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ConnectionStatus } from "../../src/gen/nexus/v1/connection_pb.js";
import { perTest } from "../lifetimes.js";
import { failureOf } from "./errors.js";
import { type Watcher, World } from "./harness.js";

const hourMs = 3_600_000;

describe("watching", () => {
  const world = perTest(() => World.make());
  let providerId: string;
  let watchers: Watcher[];
  beforeEach(async () => {
    providerId = await world.register();
    watchers = [];
  });
  afterEach(async () => {
    for (const watcher of watchers) watcher.cancel();
  });
  const watch = (request?: Parameters<World["watch"]>[0]): Watcher => {
    const watcher = world.watch(request);
    watchers.push(watcher);
    return watcher;
  };
  const bookmark = async (watcher: Watcher) => {
    const event = await watcher.until((candidate) => candidate.case === "bookmark");
    return event.case === "bookmark" && event.value.position ? event.value.position : undefined;
  };

  it("begins with a bookmark at once when there is nothing", async () => {
    expect((await watch().next())?.case).toBe("bookmark");
  });

  it("follows a connection from its request to its removal", async () => {
    const watcher = watch();
    await bookmark(watcher);
    const connectionId = await world.connect(providerId);
    const active = await watcher.state(({ status }) => status === ConnectionStatus.ACTIVE);
    expect(active).toMatchObject({
      connectionId,
      userId: "ada",
      providerId,
      providerName: "op",
      revision: 1n,
    });
    await world.clients.connections.revokeConnection({ connectionId });
    const revoked = await watcher.state(({ status }) => status === ConnectionStatus.REVOKED);
    expect(revoked.token).toBeUndefined();
    await world.clients.connections.deleteConnection({ connectionId });
    const removed = await watcher.until((event) => event.case === "removed");
    expect(removed).toMatchObject({ value: { connectionId } });
  });

  it("tells of a strategy that the profile changes, those too who were away", async () => {
    const connectionId = await world.connect(providerId);
    const watcher = watch();
    const position = await bookmark(watcher);
    const value = { headerName: "X-Token", valuePrefix: "", credentialField: "access_token" };
    const strategy = { kind: { case: "oauth2" as const, value } };
    await world.clients.providers.updateProvider({
      provider: { id: providerId, strategy },
      updateMask: { paths: ["strategy"] },
    });
    for (const one of [watcher, watch({ ...(position && { position }) })]) {
      const { token, revision } = await one.state((state) => state.connectionId === connectionId);
      expect(token?.strategy?.kind).toMatchObject({ value: { headerName: "X-Token" } });
      expect(revision).toBe(1n);
    }
    // What is left when the profile goes is how the token was applied last.
    await world.clients.providers.deleteProvider({ id: providerId });
    const { token } = await world.clients.tokens.getToken({ connectionId });
    expect(token?.strategy?.kind).toMatchObject({ value: { headerName: "X-Token" } });
  });

  it("sends only what was asked for", async () => {
    const mine = await world.connect(providerId, "ada");
    const theirs = await world.connect(providerId, "bob");
    const unknown = "00000000-0000-4000-8000-000000000000";
    const byId = watch({ connectionIds: [mine, unknown] });
    const events = [await byId.next(), await byId.next(), await byId.next()];
    expect(events.map((event) => event?.case)).toEqual(["state", "removed", "bookmark"]);
    const byUser = watch({ userId: "bob" });
    expect(await byUser.next()).toMatchObject({ case: "state", value: { connectionId: theirs } });
    expect((await byUser.next())?.case).toBe("bookmark");
    await world.clients.tokens.refreshToken({ connectionId: mine });
    await world.clients.tokens.refreshToken({ connectionId: theirs });
    expect(await byUser.next()).toMatchObject({
      case: "state",
      value: { connectionId: theirs, revision: 2n },
    });
    expect(await byId.next()).toMatchObject({ case: "state", value: { connectionId: mine, revision: 2n } });
  });

  it("resumes: only what changed since the bookmark, removals included", async () => {
    const kept = await world.connect(providerId);
    const changed = await world.connect(providerId);
    const deleted = await world.connect(providerId);
    const first = watch();
    const position = await bookmark(first);
    first.cancel();
    await world.clients.tokens.refreshToken({ connectionId: changed });
    await world.clients.connections.deleteConnection({ connectionId: deleted });
    await world.restart();

    const resumed = watch(position === undefined ? {} : { position });
    expect(await resumed.next()).toMatchObject({
      case: "state",
      value: { connectionId: changed, revision: 2n },
    });
    expect(await resumed.next()).toMatchObject({ case: "removed", value: { connectionId: deleted } });
    expect((await resumed.next())?.case).toBe("bookmark");
    await world.clients.tokens.refreshToken({ connectionId: kept });
    expect(await resumed.next()).toMatchObject({
      case: "state",
      value: { connectionId: kept, revision: 2n },
    });
  });

  it.each([
    ["foreign", { epoch: "another", revision: 1n }],
    ["impossible", { revision: 1_000_000n }],
  ])("answers a position that is %s by a reset and a snapshot", async (_, change) => {
    await world.connect(providerId);
    const here = await bookmark(watch());
    const watcher = watch({ position: { epoch: here?.epoch ?? "", ...change } });
    expect(await watcher.next()).toMatchObject({ case: "reset", value: { reason: "epoch_changed" } });
    expect((await watcher.next())?.case).toBe("state");
    expect((await watcher.next())?.case).toBe("bookmark");
  });

  it("sends bookmarks on an idle stream, as often as asked", async () => {
    const usual = watch();
    const often = watch({ bookmarkInterval: { seconds: 5n, nanos: 0 } });
    await bookmark(usual);
    await bookmark(often);
    world.clock.advance(5_000);
    expect((await often.next())?.case).toBe("bookmark");
    world.clock.advance(25_000);
    expect((await often.next())?.case).toBe("bookmark");
    expect((await usual.next())?.case).toBe("bookmark");
    for (const seconds of [4n, 121n]) {
      const call = watch({ bookmarkInterval: { seconds, nanos: 0 } }).next();
      expect((await failureOf(call)).fields).toEqual(["bookmark_interval"]);
    }
  });

  it("sends only the newest state to a reader that is behind", async () => {
    const connectionId = await world.connect(providerId);
    const watcher = watch({ connectionIds: [connectionId] });
    await bookmark(watcher);
    for (let count = 0; count < 5; count++) await world.clients.tokens.refreshToken({ connectionId });
    const seen: bigint[] = [];
    await watcher.state(({ revision }) => {
      seen.push(revision);
      return revision === 6n;
    });
    expect(seen).toEqual([...seen].sort((a, b) => Number(a - b)));
  });

  it("never delivers an expired token, and survives the trouble of one connection", async () => {
    const connectionId = await world.connect(providerId);
    const other = await world.connect(providerId);
    await world.provider.setOutage("503");
    const watcher = watch();
    await bookmark(watcher);
    world.clock.advance(hourMs);
    // The end of the tokens is told first. Time stands still from here on: a failure still to come would never be retried.
    const failing = new Set<string>();
    while (failing.size < 2) {
      const state = await watcher.state(({ token, problem }) => token === undefined && problem !== undefined);
      expect(state.problem?.reason).toBe("refresh_failing");
      failing.add(state.connectionId);
    }
    const late = watch({ connectionIds: [connectionId, other] });
    for (const event of [await late.next(), await late.next()]) {
      expect(event?.case === "state" && event.value.token).toBeUndefined();
    }
    await world.provider.setOutage("none");
    world.clock.advance(hourMs);
    const back = new Set<string>();
    while (back.size < 2) back.add((await watcher.state(({ token }) => token !== undefined)).connectionId);
  });

  it("announces the shutdown, and ends without an error", async () => {
    const watcher = watch();
    await bookmark(watcher);
    const stopped = world.stop();
    const drain = await watcher.until((event) => event.case === "drain");
    expect(drain.case === "drain" && drain.value.reconnectDelay).toBeDefined();
    expect(await watcher.next()).toBeUndefined();
    await stopped;
    await world.start();
  });
});
