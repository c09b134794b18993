import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import * as oauth from "oauth4webapi";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Browser, consent } from "./browser.js";
import { type OpenIdProvider, startOpenIdProvider } from "./openid_provider.js";

const redirectUri = "http://localhost:9/auth/callback";
const insecure = { [oauth.allowInsecureRequests]: true };
const isCallback = (url: string) => url.startsWith(redirectUri);

let provider: OpenIdProvider;

beforeEach(async () => {
  provider = await startOpenIdProvider({ redirectUris: [redirectUri] });
});

afterEach(() => provider.stop());

interface Agent {
  readonly server: oauth.AuthorizationServer;
  readonly client: oauth.Client;
  readonly auth: oauth.ClientAuth;
}

async function discover(): Promise<oauth.AuthorizationServer> {
  const issuer = new URL(provider.issuer);
  return oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, insecure));
}

async function agent(kind: "post" | "basic" | "public" = "post"): Promise<Agent> {
  const { post, basic } = provider.clients;
  const auth = {
    post: oauth.ClientSecretPost(post.clientSecret),
    basic: oauth.ClientSecretBasic(basic.clientSecret),
    public: oauth.None(),
  }[kind];
  return { server: await discover(), client: { client_id: provider.clients[kind].clientId }, auth };
}

interface Request {
  readonly url: string;
  readonly state: string;
  readonly nonce: string;
  readonly verifier: string;
}

async function authorizationRequest(
  { server, client }: Agent,
  more: Record<string, string> = {},
): Promise<Request> {
  const [state, nonce, verifier] = [
    oauth.generateRandomState(),
    oauth.generateRandomNonce(),
    oauth.generateRandomCodeVerifier(),
  ];
  const url = new URL(server.authorization_endpoint ?? "");
  url.search = new URLSearchParams({
    response_type: "code",
    client_id: client.client_id,
    redirect_uri: redirectUri,
    scope: "openid profile email read write",
    state,
    nonce,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
    ...more,
  }).toString();
  return { url: url.href, state, nonce, verifier };
}

async function exchange({ server, client, auth }: Agent, request: Request, callback: string) {
  const params = oauth.validateAuthResponse(server, client, new URL(callback), request.state);
  const response = await oauth.authorizationCodeGrantRequest(
    server,
    client,
    auth,
    params,
    redirectUri,
    request.verifier,
    insecure,
  );
  const options = { expectedNonce: request.nonce, requireIdToken: true };
  const tokens = await oauth.processAuthorizationCodeResponse(server, client, response, options);
  await oauth.validateApplicationLevelSignature(server, response, insecure);
  return tokens;
}

async function connect(who: Agent, browser = new Browser()): Promise<oauth.TokenEndpointResponse> {
  const request = await authorizationRequest(who);
  const page = await consent(browser, request.url, "allow", isCallback);
  expect(page.status).toBe(0);
  return exchange(who, request, page.url);
}

async function refresh({ server, client, auth }: Agent, refreshToken: string | undefined) {
  const response = await oauth.refreshTokenGrantRequest(server, client, auth, refreshToken ?? "", insecure);
  return oauth.processRefreshTokenResponse(server, client, response);
}

const invalidGrant = { error: "invalid_grant", status: 400 };

const isAlive = async (accessToken: string) => {
  const headers = { authorization: `Bearer ${accessToken}` };
  return (await fetch(provider.userinfoEndpoint, { headers })).status === 200;
};

describe("a connection", () => {
  test.each(["post", "basic", "public"] as const)("is made and refreshed by the client %s", async (kind) => {
    const who = await agent(kind);
    const first = await connect(who);
    expect(first.expires_in).toBe(3600);
    expect(first.scope?.split(" ").sort()).toEqual(["email", "openid", "profile", "read", "write"]);
    expect(oauth.getValidatedIdTokenClaims(first)).toMatchObject({ iss: provider.issuer, sub: "ada" });
    expect(await isAlive(first.access_token)).toBe(true);

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
    const who = await agent();
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
    const who = await agent();
    const request = await authorizationRequest(who, { scope: "openid offline_access", prompt: "consent" });
    const page = await consent(new Browser(), request.url, "allow", isCallback);
    const tokens = await exchange(who, request, page.url);
    expect(tokens.scope).toBe("openid offline_access");
  });

  test("has the access-token lifetime of the options", async () => {
    await provider.stop();
    provider = await startOpenIdProvider({ redirectUris: [redirectUri], accessTokenTtlSeconds: 20 });
    const who = await agent();
    const first = await connect(who);
    expect(first.expires_in).toBe(20);
    expect((await refresh(who, first.refresh_token)).expires_in).toBe(20);
  });

  test("comes back with iss, and with the reason when the person says no", async () => {
    const who = await agent();
    const request = await authorizationRequest(who);
    const page = await consent(new Browser(), request.url, "deny", isCallback);
    const answer = new URL(page.url).searchParams;
    expect(answer.get("error")).toBe("access_denied");
    expect(answer.get("state")).toBe(request.state);
    expect(answer.get("iss")).toBe(provider.issuer);
    expect(provider.tokenRequests).toEqual([]);
  });

  test("is refused without PKCE and with the method plain", async () => {
    const who = await agent();
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
    const who = await agent();
    const elsewhere = { redirect_uri: "http://localhost:9/elsewhere" };
    const refused = await new Browser().get((await authorizationRequest(who, elsewhere)).url);
    expect(refused.status).toBe(400);
    expect(refused.body).toContain("invalid_redirect_uri");
    await provider.setRedirectUris([redirectUri, elsewhere.redirect_uri]);
    const accepted = await new Browser().get((await authorizationRequest(who, elsewhere)).url);
    expect(accepted.status).toBe(200);
  });

  test("made twice in one browser asks for consent twice and dies alone", async () => {
    const who = await agent();
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

describe("a grant", () => {
  test("dies when a rotated refresh token is used again", async () => {
    const who = await agent();
    const first = await connect(who);
    const second = await refresh(who, first.refresh_token);
    await expect(refresh(who, first.refresh_token)).rejects.toMatchObject(invalidGrant);
    await expect(refresh(who, second.refresh_token)).rejects.toMatchObject(invalidGrant);
    expect(await isAlive(second.access_token)).toBe(false);
    expect(provider.tokenRequests.map(({ status }) => status)).toEqual([200, 200, 400, 400]);
  });

  test("dies when refreshes race, and only one of them wins", async () => {
    const who = await agent();
    const first = await connect(who);
    const racers = Array.from({ length: 8 }, () => refresh(who, first.refresh_token));
    const won = (await Promise.allSettled(racers)).filter((result) => result.status === "fulfilled");
    expect(won).toHaveLength(1);
    for (const { value } of won) {
      expect(await isAlive(value.access_token)).toBe(false);
      await expect(refresh(who, value.refresh_token)).rejects.toMatchObject(invalidGrant);
    }
  });

  test("dies when the person revokes it, and can be made again in the same browser", async () => {
    const who = await agent();
    const browser = new Browser();
    const first = await connect(who, browser);
    await provider.revokeAllGrants();
    await expect(refresh(who, first.refresh_token)).rejects.toMatchObject(invalidGrant);
    expect(await isAlive(first.access_token)).toBe(false);
    const second = await connect(who, browser);
    await refresh(who, second.refresh_token);
  });

  test("dies when the client revokes its refresh token", async () => {
    const who = await agent();
    const first = await connect(who);
    const { server, client, auth } = who;
    const token = first.refresh_token ?? "";
    await oauth.processRevocationResponse(
      await oauth.revocationRequest(server, client, auth, token, insecure),
    );
    await expect(refresh(who, first.refresh_token)).rejects.toMatchObject(invalidGrant);
  });

  test("outlives a restart of the provider on the same port", async () => {
    const who = await agent();
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
    const who = await agent();
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
    const who = await agent("basic");
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
    const who = await agent();
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
    const who = await agent();
    const first = await connect(who);
    const release = provider.holdTokenResponses();
    const lost = refresh(who, first.refresh_token).catch((fault: unknown) => fault);
    await provider.waitForTokenRequests(2);
    expect(provider.tokenRequests[1]?.status).toBe(0);
    await provider.stop();
    expect(await lost).toBeInstanceOf(Error);
    release();
    await provider.restart();
    await expect(refresh(who, first.refresh_token)).rejects.toMatchObject(invalidGrant);
  });

  test("a held answer arrives once it is released, a delayed one by itself", async () => {
    const who = await agent();
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

describe("the browser without a browser", () => {
  async function site(answer: (request: IncomingMessage, response: ServerResponse) => void) {
    const server = createServer(answer);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    return {
      at: (host: string, path: string) => `http://${host}:${port}${path}`,
      close: () => void server.close(),
    };
  }

  test("keeps cookies by host and path, whatever the port, and obeys SameSite and Max-Age", async () => {
    const show = (request: IncomingMessage, response: ServerResponse) =>
      response.end(JSON.stringify([request.headers.cookie, request.headers["sec-fetch-site"]]));
    const other = await site((request, response) => {
      const target = /^\/away\?(.*)/.exec(request.url ?? "")?.[1];
      if (target === undefined) show(request, response);
      else response.writeHead(302, { location: decodeURIComponent(target) }).end();
    });
    const home = await site((request, response) => {
      if (request.url !== "/auth/set") {
        show(request, response);
        return;
      }
      response.setHeader("set-cookie", [
        "lax=1; Path=/",
        "strict=2; Path=/auth; SameSite=Strict; HttpOnly",
        "gone=3; Path=/; Max-Age=0",
        "here=4",
      ]);
      response.end();
    });
    const browser = new Browser();
    const see = async (url: string) => JSON.parse((await browser.get(url)).body);
    await browser.get(home.at("127.0.0.1", "/auth/set"));
    expect(await see(home.at("127.0.0.1", "/auth/x"))).toEqual(["strict=2; here=4; lax=1", "none"]);
    expect(await see(home.at("127.0.0.1", "/authority"))).toEqual(["lax=1", "none"]);
    expect(await see(other.at("127.0.0.1", "/"))).toEqual(["lax=1", "none"]);
    expect(await see(home.at("localhost", "/auth/x"))).toEqual([null, "none"]);
    const back = encodeURIComponent(home.at("127.0.0.1", "/auth"));
    expect(await see(other.at("localhost", `/away?${back}`))).toEqual(["here=4; lax=1", "none"]);
    home.close();
    other.close();
  });

  test("sends the form with what it holds, and its origin", async () => {
    const home = await site((request, response) => {
      if (request.method !== "POST") {
        const hidden = `<input type="hidden" name="csrf" value="a&amp;&#34;b">`;
        response.end(
          `<form action="x"></form><form action="/in" method="POST">${hidden}<input name=key></form>`,
        );
        return;
      }
      response.write(`${request.url} ${request.headers.origin} ${request.headers["sec-fetch-site"]} `);
      request.pipe(response);
    });
    const browser = new Browser();
    const page = await browser.get(home.at("127.0.0.1", "/"));
    const { body } = await browser.submit(page, { key: "k v" });
    expect(body).toBe(`/in ${home.at("127.0.0.1", "")} same-origin csrf=a%26%22b&key=k+v`);
    home.close();
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
