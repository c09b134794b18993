import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { AuthType } from "../../src/gen/nexus/v1/provider_pb.js";
import { ProxyProgram, programPath } from "./programs.js";
import { forged, ProxyWorld } from "./proxy_world.js";

const nginx = programPath("nginx", "apt-get install nginx-light");

describe.skipIf(nginx === undefined)("nginx's auth_request", () => {
  let world: ProxyWorld;
  const proxies: ProxyProgram[] = [];
  beforeAll(async () => {
    world = await ProxyWorld.make();
  });
  afterEach(async () => {
    for (const proxy of proxies.splice(0)) await proxy.stop();
  });
  afterAll(() => world.close());
  const start = async (id: string): Promise<string> => {
    const variables = { ...(await world.variables(id)), NEXUS_KEY: await world.key(id) };
    const proxy = await ProxyProgram.nginx(nginx ?? "", variables);
    proxies.push(proxy);
    return proxy.url;
  };

  it("puts the value into the query, in the place of every forged spelling", async () => {
    const strategy = {
      kind: { case: "queryParam", value: { paramName: "key", credentialField: "api_key" } },
    };
    const profile = { name: "query", authType: AuthType.QUERY_PARAM, strategy };
    const url = await start(await world.import(profile, { api_key: "a b&c" }));
    const path = "/query/list?x=1&key=forged&%6bey=forged";
    expect((await fetch(`${url}${path}`, { headers: forged })).status).toBe(200);
    expect(world.last.url).toBe("/query/list?x=1&key=a%20b%26c");
    expect(JSON.stringify(world.last)).not.toContain("forged");
  });

  it("denies what it cannot sign", async () => {
    const value = { headerName: "X-Signature", secretField: "api_secret", algo: "sha256", encoding: "hex" };
    const profile = {
      name: "hmac",
      authType: AuthType.HMAC_PAYLOAD,
      strategy: { kind: { case: "hmacPayload", value } },
    };
    const url = await start(await world.import(profile, { api_secret: "s3cret" }));
    const denied = await fetch(url, { method: "POST", body: "{}" });
    expect(denied.status).toBe(403);
    expect(world.arrived.filter(({ body }) => body === "{}")).toEqual([]);
  });

  it("gives, overwrites, follows a refresh, denies what is revoked, and denies when nexusd is killed", async () => {
    const id = await world.connect();
    const url = await start(id);
    expect((await fetch(`${url}/me?x=1`)).status).toBe(200);
    expect(world.last).toMatchObject({ url: "/me?x=1" });
    expect(world.last.headers.authorization).toBe(`Bearer ${await world.token(id)}`);
    expect((await fetch(url, { method: "POST", body: "hello", headers: forged })).status).toBe(200);
    expect(world.last).toMatchObject({ method: "POST", body: "hello" });
    expect(world.last.headers.authorization).toBe(`Bearer ${await world.token(id)}`);
    expect(JSON.stringify(world.last.headers)).not.toContain("forged");

    await world.clients.tokens.refreshToken({ connectionId: id });
    await fetch(url);
    expect(world.last.headers.authorization).toBe(`Bearer ${await world.token(id)}`);

    await world.clients.connections.revokeConnection({ connectionId: id });
    const count = world.arrived.length;
    expect((await fetch(url, { headers: forged })).status).toBe(401);
    expect((await fetch(`${url}/nexus`)).status).toBe(404);

    await world.daemon.kill("SIGKILL");
    expect((await fetch(url, { headers: forged })).status).toBe(500);
    expect(world.arrived).toHaveLength(count);
  });
});
