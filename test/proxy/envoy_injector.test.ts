import { beforeAll, describe, expect, it } from "vitest";
import { has } from "../needs.js";
import { ProxyProgram } from "./programs.js";
import { itJudgesTheApi, proxied } from "./proxied.js";
import { eventually, forged } from "./proxy_world.js";

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
