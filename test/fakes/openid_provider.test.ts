import * as oauth from "oauth4webapi";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Browser, consent } from "./browser.js";
import {
  agentOf,
  authorizationRequest,
  connect,
  exchange,
  insecure,
  invalidGrant,
  isAlive,
  isCallback,
  redirectUri,
  refresh,
} from "./oauth_client.js";
import { type OpenIdProvider, startOpenIdProvider } from "./openid_provider.js";

let provider: OpenIdProvider;

beforeEach(async () => {
  provider = await startOpenIdProvider({ redirectUris: [redirectUri] });
});

afterEach(() => provider.stop());

describe("a connection", () => {
  test.each(["post", "basic", "public"] as const)("is made and refreshed by the client %s", async (kind) => {
    const who = await agentOf(provider, kind);
    const first = await connect(who);
    expect(first.expires_in).toBe(3600);
    expect(first.scope?.split(" ").sort()).toEqual(["email", "openid", "profile", "read", "write"]);
    expect(oauth.getValidatedIdTokenClaims(first)).toMatchObject({ iss: provider.issuer, sub: "ada" });
    expect(await isAlive(provider, first.access_token)).toBe(true);

    const second = await refresh(who, first.refresh_token);
    expect(second.access_token).not.toBe(first.access_token);
    expect(second.refresh_token).toEqual(expect.any(String));
    expect(second.refresh_token).not.toBe(first.refresh_token);

    const clientId = provider.clients[kind].clientId;
    expect(provider.tokenRequests).toEqual([
      { grantType: "authorization_code", clientId, status: 200, at: expect.any(Number) },
      { grantType: "refresh_token", clientId, status: 200, at: expect.any(Number) },
    ]);
  });

  test("needs no openid and no offline_access for a refresh token", async () => {
    const who = await agentOf(provider);
    const request = await authorizationRequest(who, { scope: "read", nonce: "" });
    const url = new URL(request.url);
    url.searchParams.delete("nonce");
    const { url: callback } = await consent(new Browser(), url.href, "allow", isCallback);
    const params = oauth.validateAuthResponse(who.server, who.client, new URL(callback), request.state);
    const tokens = await oauth.processAuthorizationCodeResponse(
      who.server,
      who.client,
      await oauth.authorizationCodeGrantRequest(
        who.server,
        who.client,
        who.auth,
        params,
        redirectUri,
        request.verifier,
        insecure,
      ),
    );
    expect(tokens).toMatchObject({ scope: "read", refresh_token: expect.any(String) });
    expect(tokens.id_token).toBeUndefined();
  });

  test("has offline_access among its scopes with prompt=consent", async () => {
    const who = await agentOf(provider);
    const request = await authorizationRequest(who, { scope: "openid offline_access", prompt: "consent" });
    const page = await consent(new Browser(), request.url, "allow", isCallback);
    const tokens = await exchange(who, request, page.url);
    expect(tokens.scope).toBe("openid offline_access");
  });

  test("has the access-token lifetime of the options", async () => {
    await provider.stop();
    provider = await startOpenIdProvider({ redirectUris: [redirectUri], accessTokenTtlSeconds: 20 });
    const who = await agentOf(provider);
    const first = await connect(who);
    expect(first.expires_in).toBe(20);
    expect((await refresh(who, first.refresh_token)).expires_in).toBe(20);
  });

  test("comes back with iss, and with the reason when the person says no", async () => {
    const who = await agentOf(provider);
    const request = await authorizationRequest(who);
    const page = await consent(new Browser(), request.url, "deny", isCallback);
    const answer = new URL(page.url).searchParams;
    expect(answer.get("error")).toBe("access_denied");
    expect(answer.get("state")).toBe(request.state);
    expect(answer.get("iss")).toBe(provider.issuer);
    expect(provider.tokenRequests).toEqual([]);
  });

  test("is refused without PKCE and with the method plain", async () => {
    const who = await agentOf(provider);
    for (const method of [undefined, "plain"]) {
      const url = new URL((await authorizationRequest(who)).url);
      url.searchParams.delete("code_challenge_method");
      if (method === undefined) url.searchParams.delete("code_challenge");
      else url.searchParams.set("code_challenge_method", method);
      const page = await consent(new Browser(), url.href, "allow", isCallback);
      expect(new URL(page.url).searchParams.get("error")).toBe("invalid_request");
    }
  });

  test("is refused for an unregistered redirect URI until that is registered", async () => {
    const who = await agentOf(provider);
    const elsewhere = { redirect_uri: "http://localhost:9/elsewhere" };
    const refused = await new Browser().get((await authorizationRequest(who, elsewhere)).url);
    expect(refused.status).toBe(400);
    expect(refused.body).toContain("invalid_redirect_uri");
    provider.addRedirectUri(elsewhere.redirect_uri);
    const accepted = await new Browser().get((await authorizationRequest(who, elsewhere)).url);
    expect(accepted.status).toBe(200);
  });

  test("made twice in one browser asks for consent twice and dies alone", async () => {
    const who = await agentOf(provider);
    const browser = new Browser();
    const one = await connect(who, browser);
    const again = await authorizationRequest(who);
    const page = await browser.get(again.url, isCallback);
    expect(page.body).not.toContain("provider-login");
    expect(page.body).toContain("provider-consent");
    const two = await connect(who, browser);
    await refresh(who, one.refresh_token);
    await expect(refresh(who, one.refresh_token)).rejects.toMatchObject(invalidGrant);
    await refresh(who, two.refresh_token);
  });
});

test("nothing is printed, from start to refusal", async () => {
  const spies = (["log", "info", "warn", "error"] as const).map((name) =>
    vi.spyOn(console, name).mockImplementation(() => {}),
  );
  const loud = await startOpenIdProvider({ redirectUris: [redirectUri] });
  await fetch(loud.tokenEndpoint, { method: "POST" });
  await fetch(loud.authorizationEndpoint, { headers: { accept: "text/html" } });
  await fetch(`${loud.issuer}/interaction/none`);
  await loud.stop();
  for (const spy of spies) {
    expect(spy).not.toHaveBeenCalled();
    spy.mockRestore();
  }
});
