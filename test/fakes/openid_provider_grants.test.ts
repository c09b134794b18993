import * as oauth from "oauth4webapi";
import { describe, expect, test } from "vitest";
import { perTest } from "../lifetimes.js";
import { Browser } from "./browser.js";
import { agentOf, connect, insecure, invalidGrant, isAlive, redirectUri, refresh } from "./oauth_client.js";
import { startOpenIdProvider } from "./openid_provider.js";

const provider = perTest(() => startOpenIdProvider({ redirectUris: [redirectUri] }));

describe("a grant", () => {
  test("dies when a rotated refresh token is used again", async () => {
    const who = await agentOf(provider);
    const first = await connect(who);
    const second = await refresh(who, first.refresh_token);
    await expect(refresh(who, first.refresh_token)).rejects.toMatchObject(invalidGrant);
    await expect(refresh(who, second.refresh_token)).rejects.toMatchObject(invalidGrant);
    expect(await isAlive(provider, second.access_token)).toBe(false);
    expect(provider.tokenRequests.map(({ status }) => status)).toEqual([200, 200, 400, 400]);
  });

  test("dies when refreshes race, and only one of them wins", async () => {
    const who = await agentOf(provider);
    const first = await connect(who);
    const racers = Array.from({ length: 8 }, () => refresh(who, first.refresh_token));
    const won = (await Promise.allSettled(racers)).filter((result) => result.status === "fulfilled");
    expect(won).toHaveLength(1);
    for (const { value } of won) {
      expect(await isAlive(provider, value.access_token)).toBe(false);
      await expect(refresh(who, value.refresh_token)).rejects.toMatchObject(invalidGrant);
    }
  });

  test("dies when the person revokes it, and can be made again in the same browser", async () => {
    const who = await agentOf(provider);
    const browser = new Browser();
    const first = await connect(who, browser);
    await provider.revokeAllGrants();
    await expect(refresh(who, first.refresh_token)).rejects.toMatchObject(invalidGrant);
    expect(await isAlive(provider, first.access_token)).toBe(false);
    const second = await connect(who, browser);
    await refresh(who, second.refresh_token);
  });

  test("dies when the client revokes its refresh token", async () => {
    const who = await agentOf(provider);
    const first = await connect(who);
    const { server, client, auth } = who;
    const token = first.refresh_token ?? "";
    await oauth.processRevocationResponse(
      await oauth.revocationRequest(server, client, auth, token, insecure),
    );
    await expect(refresh(who, first.refresh_token)).rejects.toMatchObject(invalidGrant);
  });

  test("outlives a restart of the provider on the same port", async () => {
    const who = await agentOf(provider);
    const first = await connect(who);
    await provider.stop();
    await expect(refresh(who, first.refresh_token)).rejects.toThrow("fetch failed");
    await provider.restart();
    await refresh(who, first.refresh_token);
    expect(provider.tokenRequests).toHaveLength(2);
  });
});

describe("an outage", () => {
  test("503: every endpoint answers 503, the refresh token stays good", async () => {
    const who = await agentOf(provider);
    const first = await connect(who);
    await provider.setOutage("503");
    for (const url of [`${provider.issuer}/.well-known/openid-configuration`, provider.userinfoEndpoint]) {
      expect((await fetch(url)).status).toBe(503);
    }
    await expect(refresh(who, first.refresh_token)).rejects.toMatchObject({ cause: { status: 503 } });
    await provider.setOutage("none");
    await refresh(who, first.refresh_token);
    expect(provider.tokenRequests.map(({ status }) => status)).toEqual([200, 503, 200]);
  });

  test("hang: the token endpoint never answers, the refresh token stays good", async () => {
    const who = await agentOf(provider, "basic");
    const first = await connect(who);
    await provider.setOutage("hang");
    expect((await fetch(`${provider.issuer}/.well-known/openid-configuration`)).status).toBe(200);
    const { server, client, auth } = who;
    const abort = new AbortController();
    const hanging = oauth.refreshTokenGrantRequest(server, client, auth, first.refresh_token ?? "", {
      ...insecure,
      signal: abort.signal,
    });
    await provider.waitForTokenRequests(2);
    expect(provider.tokenRequests[1]).toMatchObject({ clientId: "nexus-basic", status: 0 });
    abort.abort();
    await expect(hanging).rejects.toThrow();
    await provider.setOutage("none");
    await refresh(who, first.refresh_token);
  });

  test("refuse: nobody listens, then the same port answers again", async () => {
    const who = await agentOf(provider);
    const first = await connect(who);
    await provider.setOutage("refuse");
    await expect(refresh(who, first.refresh_token)).rejects.toMatchObject({
      cause: { code: "ECONNREFUSED" },
    });
    await provider.setOutage("none");
    await refresh(who, first.refresh_token);
    expect(provider.tokenRequests).toHaveLength(2);
  });

  test("an answer that is held was computed before: the refresh token is used up", async () => {
    const who = await agentOf(provider);
    const first = await connect(who);
    const release = provider.holdTokenResponses();
    const lost = refresh(who, first.refresh_token).catch((violation: unknown) => violation);
    await provider.waitForTokenRequests(2);
    expect(provider.tokenRequests[1]?.status).toBe(0);
    await provider.stop();
    expect(await lost).toBeInstanceOf(Error);
    release();
    await provider.restart();
    await expect(refresh(who, first.refresh_token)).rejects.toMatchObject(invalidGrant);
  });

  test("a held answer arrives once it is released, a delayed one by itself", async () => {
    const who = await agentOf(provider);
    const first = await connect(who);
    const release = provider.holdTokenResponses();
    const held = refresh(who, first.refresh_token);
    await provider.waitForTokenRequests(2);
    release();
    const second = await held;
    provider.delayTokenResponsesMs = 1;
    await refresh(who, second.refresh_token);
  });
});
