import { beforeAll, describe, expect, it } from "vitest";
import { AuthType } from "../../src/gen/nexus/v1/provider_pb.js";
import { applyStrategy } from "../../src/strategies/apply_strategy.js";
import { has } from "../needs.js";
import { ProxyProgram } from "./programs.js";
import {
  importHmac,
  importQuery,
  invalidToken,
  itFollowsTheConnection,
  itJudgesTheApi,
  itProves,
  lacksScope,
  proxied,
  rejections,
  sha256Of,
} from "./proxied.js";
import { eventually, forged } from "./proxy_world.js";

describe("Envoy's external authorization", () => {
  const use = proxied("envoy", (variables) => ProxyProgram.envoy("authorization.yaml", variables));

  it("puts the value into the query, instead of every forged spelling", async () => {
    const url = await use.start(await importQuery(use.world));
    expect((await fetch(`${url}/list?x=1&key=forged&%6bey=forged`, { headers: forged })).status).toBe(200);
    expect(use.world.last.url).toContain("x=1");
    expect(use.world.last.url).toContain("key=a%20b%26c");
    expect(JSON.stringify(use.world.last)).not.toContain("forged");
  });

  it("signs the body that Envoy shows, and denies one that it cannot show", async () => {
    const url = await use.start(await importHmac(use.world));
    const body = '{"hello":"wörld"}';
    const sent = await fetch(url, { method: "POST", body, headers: { "x-signature": "forged" } });
    expect(sent.status).toBe(200);
    expect(use.world.last.headers["x-signature"]).toBe(sha256Of(body));
    const count = use.world.arrived.length;
    expect((await fetch(url, { method: "POST", body: "x".repeat(524_289) })).status).toBe(413);
    expect(use.world.arrived).toHaveLength(count);
  });

  it("signs for AWS, and overwrites what the caller made of it", async () => {
    const strategy = { kind: { case: "awsSigv4", value: { service: "execute-api", region: "eu-west-1" } } };
    const credentials = { access_key: "AKIDEXAMPLE", secret_key: "wJalrXUtnFEMI" };
    const url = await use.start(
      await use.world.import({ name: "aws", authType: AuthType.AWS_SIGV4, strategy }, credentials),
    );
    const headers = { ...forged, "x-amz-date": "20200101T000000Z", "x-amz-security-token": "forged" };
    expect((await fetch(`${url}/v1/x?b=2&a=1`, { method: "POST", body: "{}", headers })).status).toBe(200);
    const { headers: sent } = use.world.last;
    const date = String(sent["x-amz-date"]);
    const nowMs = Date.parse(date.replace(/^(....)(..)(..)T(..)(..)(..)Z$/, "$1-$2-$3T$4:$5:$6Z"));
    const expected = await applyStrategy(
      {
        method: "POST",
        url: "https://localhost/v1/x?b=2&a=1",
        headers: { "content-type": String(sent["content-type"]) },
        body: "{}",
      },
      { type: "aws_sigv4", config: { service: "execute-api", region: "eu-west-1" } },
      credentials,
      { clock: { nowMs: () => nowMs } },
    );
    expect(sent.authorization).toBe(expected.headers["authorization"]);
    expect(JSON.stringify(sent)).not.toContain("forged");
  });

  it("says why it denies", async () => {
    const denied = await fetch(await use.start("00000000-0000-4000-8000-000000000000"));
    expect(denied.status).toBe(403);
    expect(await denied.json()).toMatchObject({ error: expect.any(String), message: expect.any(String) });
  });

  it("reports a 401, and a 403 for scopes, before the agent has the answer", async () => {
    const { world } = use;
    const id = await world.connect();
    const url = await use.start(id);
    world.refusals.push(invalidToken);
    const refused = await fetch(url);
    expect([refused.status, await refused.text()]).toEqual([401, "refused"]);
    expect(await rejections(world, id)).toEqual(["1: 401 invalid_token"]);
    expect((await fetch(url)).status).toBe(200);
    expect(world.last.headers.authorization).toBe(`Bearer ${await world.token(id)}`);
    world.refusals.push(lacksScope, { status: 403, challenge: "Bearer" });
    expect([(await fetch(url)).status, (await fetch(url)).status]).toEqual([403, 403]);
    expect(await rejections(world, id)).toEqual(["2: 403 insufficient_scope", "1: 401 invalid_token"]);
    const { result } = await world.clients.tokens.acquireToken({
      providerName: "op",
      userId: "ada",
      scopes: ["read"],
    });
    expect(result).toMatchObject({ case: "consent", value: { reason: "scopes_missing" } });
    await world.clients.connections.revokeConnection({ connectionId: id });
    expect((await fetch(url)).status).toBe(401);
    expect(await rejections(world, id)).toHaveLength(2);
  });

  itProves(use, false);
  itJudgesTheApi(use, 503);
  itFollowsTheConnection(use, 403);
});

describe("Envoy's credential injector, by secret discovery", () => {
  const use = proxied("envoy", (variables) => ProxyProgram.envoy("injector.yaml", variables));
  let url: string;
  let id: string;
  beforeAll(async () => {
    if (!has("envoy")) return;
    id = await use.world.connect();
    url = await use.start(id);
  });
  const sent = (): string | undefined => use.world.last.headers.authorization;

  it("gives a request the credential that it comes without", async () => {
    expect((await fetch(`${url}/me?x=1`)).status).toBe(200);
    expect(sent()).toBe(`Bearer ${await use.world.token(id)}`);
    expect(use.world.last.url).toBe("/me?x=1");
  });

  it("overwrites a forged credential, and removes the others", async () => {
    expect((await fetch(url, { headers: forged })).status).toBe(200);
    expect(sent()).toBe(`Bearer ${await use.world.token(id)}`);
    expect(JSON.stringify(use.world.last.headers)).not.toContain("forged");
  });

  it("sends the new token after a refresh, without a restart", async () => {
    const before = await use.world.token(id);
    await use.world.clients.tokens.refreshToken({ connectionId: id });
    const after = await use.world.token(id);
    expect(after).not.toBe(before);
    await eventually(async () => {
      await fetch(url);
      expect(sent()).toBe(`Bearer ${after}`);
    });
  });

  it("follows the profile, when that says otherwise how the token is applied", async () => {
    const { connection } = await use.world.clients.connections.getConnection({ connectionId: id });
    const value = { headerName: "Authorization", valuePrefix: "token ", credentialField: "access_token" };
    await use.world.clients.providers.updateProvider({
      provider: { id: connection?.providerId ?? "", strategy: { kind: { case: "oauth2", value } } },
      updateMask: { paths: ["strategy"] },
    });
    await eventually(async () => {
      await fetch(url);
      expect(sent()).toBe(`token ${await use.world.token(id)}`);
    });
  });

  it("keeps the last token while nexusd is down, and hears of it again afterwards", async () => {
    const last = await use.world.token(id);
    await use.world.restartDaemon(async () => {
      expect((await fetch(url)).status).toBe(200);
      expect(sent()).toBe(`token ${last}`);
    });
    await use.world.clients.tokens.refreshToken({ connectionId: id });
    const next = await use.world.token(id);
    await eventually(async () => {
      await fetch(url);
      expect(sent()).toBe(`token ${next}`);
    });
  });

  it("answers 401 after the connection is revoked, and nothing reaches the API", async () => {
    await use.world.clients.connections.revokeConnection({ connectionId: id });
    await eventually(async () => expect((await fetch(url)).status).toBe(401));
    const count = use.world.arrived.length;
    expect((await fetch(url, { headers: forged })).status).toBe(401);
    expect(use.world.arrived).toHaveLength(count);
  });

  itJudgesTheApi(use, 503);
});
