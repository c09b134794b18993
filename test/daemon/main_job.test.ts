import { describe, expect, it } from "vitest";
import { ConnectionStatus } from "../../src/gen/nexus/v1/connection_pb.js";
import { perTest } from "../lifetimes.js";
import { World } from "./harness.js";

describe("the main job", () => {
  const world = perTest(() => World.make());

  it("connects once, hands out the token, refreshes it before it expires, and tells the watcher", async () => {
    const providerId = await world.register();
    const connectionId = await world.connect(providerId);

    const first = await world.clients.tokens.getToken({ connectionId });
    expect(first.token?.revision).toBe(1n);
    expect(first.token?.credentials["access_token"]).toMatch(/.{20,}/);
    expect(Object.keys(first.token?.credentials ?? {})).toEqual(["access_token"]);
    expect(first.token?.grantedScopes).toEqual(["openid", "email"]);
    expect(first.token?.strategy?.kind.case).toBe("oauth2");

    const watcher = world.watch();
    const snapshot = await watcher.next();
    expect(snapshot?.case === "state" && snapshot.value.token).toEqual(first.token);
    const included = await world.clients.tokens.getToken({ connectionId, includeIdToken: true });
    expect(included.token).toEqual({
      ...first.token,
      idToken: expect.stringMatching(/^[\w-]+\.[\w-]+\.[\w-]+$/),
    });
    expect((await watcher.next())?.case).toBe("bookmark");

    world.clock.advance(3600_000 - 5 * 60_000);
    const refreshed = await watcher.state((state) => state.revision === 2n);
    expect(refreshed.status).toBe(ConnectionStatus.ACTIVE);
    expect(refreshed.token?.credentials["access_token"]).not.toBe(first.token?.credentials["access_token"]);

    const second = await world.clients.tokens.getToken({ connectionId });
    expect(second.token).toEqual(refreshed.token);
    watcher.cancel();
  });
});
