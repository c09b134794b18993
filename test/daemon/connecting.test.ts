import { beforeAll, describe, expect, it } from "vitest";
import { ConnectionStatus } from "../../src/gen/nexus/v1/connection_pb.js";
import { TokenEndpointAuthMethod } from "../../src/gen/nexus/v1/provider_pb.js";
import { Browser, consent } from "../fakes/browser.js";
import { perSuite } from "../lifetimes.js";
import { failureOf } from "./errors.js";
import { World } from "./harness.js";
import { registeredAt, requestOf } from "./requests.js";

const returnUrl = "http://127.0.0.1:3999/back?tab=1&x=a%20b";

describe("connecting", () => {
  const world = perSuite(() => World.make());
  let providerId: string;
  beforeAll(async () => {
    providerId = await world.register();
  });

  const request = (
    more: { scopes?: string[]; returnUrl?: string; connectionId?: string; userId?: string } = {},
  ) => world.clients.connections.requestConnection(requestOf("op", more));
  const connection = async (connectionId: string) =>
    (await world.clients.connections.getConnection({ connectionId })).connection;
  const toCaller = (url: string): boolean => url.startsWith("http://127.0.0.1:3999/");
  const toCallback = (url: string): boolean => url.startsWith(world.place.config.redirectUri);

  it("answers what a caller needs, and the connection is pending, not failed", async () => {
    const requested = await request();
    expect(requested).toMatchObject({ providerId, scopes: ["openid", "email"] });
    expect(requested.authUrl).toBe(`${world.place.config.publicUrl}/auth/start?state=${requested.state}`);
    expect(requested.state).toMatch(/^[A-Za-z0-9_-]{48}$/);
    expect(Number(requested.expiresAt?.seconds) * 1000 - world.clock.nowMs()).toBeGreaterThan(599_000);
    expect(await connection(requested.connectionId)).toMatchObject({
      status: ConnectionStatus.PENDING,
      revision: 0n,
    });
    const failure = await failureOf(world.clients.tokens.getToken({ connectionId: requested.connectionId }));
    expect(failure).toMatchObject({ code: "FailedPrecondition", reason: "CONNECTION_PENDING" });
  });

  it("always sends PKCE with S256, and a nonce with openid", async () => {
    const { authUrl } = await request();
    const browser = new Browser();
    const page = await browser.get(authUrl, (url) => url.startsWith(world.provider.issuer));
    const sent = new URL(page.url).searchParams;
    expect(sent.get("code_challenge_method")).toBe("S256");
    expect(sent.get("code_challenge")).toMatch(/^[A-Za-z0-9_-]{43}$/);
    expect(sent.get("nonce")).toMatch(/^[A-Za-z0-9_-]{43}$/);
    expect(sent.get("nonce")).not.toBe(sent.get("state"));
    expect(sent.get("redirect_uri")).toBe(`${world.place.config.redirectUri}/op`);
  });

  it("lets requested scopes override the defaults", async () => {
    const requested = await request({ scopes: ["read"] });
    expect(requested.scopes).toEqual(["read"]);
    await consent(new Browser(), requested.authUrl);
    expect((await connection(requested.connectionId))?.grantedScopes).toEqual(["read"]);
    expect((await new Browser().get(requested.authUrl)).status, "a link works once").toBe(404);
  });

  it("sends the person back to the return URL and keeps its query", async () => {
    const requested = await request({ returnUrl });
    const page = await consent(new Browser(), requested.authUrl, "allow", toCaller);
    expect(page.url).toBe(`${returnUrl}&status=success&connection_id=${requested.connectionId}&provider=op`);
    expect((await connection(requested.connectionId))?.status).toBe(ConnectionStatus.ACTIVE);
  });

  it("sends a denied consent back too", async () => {
    const requested = await request({ returnUrl });
    const page = await consent(new Browser(), requested.authUrl, "deny", toCaller);
    const { connectionId } = requested;
    const ended = "status=error&error=access_denied";
    expect(page.url).toBe(`${returnUrl}&${ended}&connection_id=${connectionId}&provider=op`);
    expect(await connection(requested.connectionId)).toMatchObject({
      status: ConnectionStatus.FAILED,
      problem: { reason: "access_denied" },
    });
  });

  it("does not know a state that it did not make, nor a callback without one", async () => {
    for (const [path, status] of [
      ["/auth/start?state=nope", 404],
      ["/auth/start", 400],
      ["/auth/callback/op?state=nope&code=x", 404],
      ["/auth/callback/op", 400],
    ] as const) {
      expect((await world.browser.get(world.place.config.publicUrl + path)).status).toBe(status);
    }
  });

  it("ends a request after ten minutes, and tells the watcher", async () => {
    const requested = await request();
    const watcher = world.watch({ connectionIds: [requested.connectionId] });
    await watcher.until((event) => event.case === "bookmark");
    world.clock.advance(10 * 60_000);
    const state = await watcher.state(({ status }) => status === ConnectionStatus.EXPIRED);
    expect(state.problem?.reason).toBe("consent_expired");
    watcher.cancel();
    const page = await new Browser().get(requested.authUrl);
    expect([page.status, page.body]).toEqual([410, expect.stringContaining("This link has expired")]);
    const failure = await failureOf(world.clients.tokens.getToken({ connectionId: requested.connectionId }));
    expect(failure.reason).toBe("CONNECTION_EXPIRED");
  });

  it("replaces an older request of the same connection", async () => {
    const first = await request();
    const second = await request({ connectionId: first.connectionId });
    expect(second.connectionId).toBe(first.connectionId);
    expect((await new Browser().get(first.authUrl)).status).toBe(404);
    await consent(new Browser(), second.authUrl);
    expect((await connection(first.connectionId))?.status).toBe(ConnectionStatus.ACTIVE);
  });

  it("keeps an active connection active while consent is asked for again, denied, or left to expire", async () => {
    const connectionId = await world.connect(providerId);
    const denied = await request({ connectionId });
    expect((await connection(connectionId))?.status).toBe(ConnectionStatus.ACTIVE);
    await consent(new Browser(), denied.authUrl, "deny");
    expect(await connection(connectionId)).toMatchObject({ status: ConnectionStatus.ACTIVE, revision: 1n });
    await request({ connectionId });
    world.clock.advance(10 * 60_000);
    expect((await connection(connectionId))?.status).toBe(ConnectionStatus.ACTIVE);
    const granted = await request({ connectionId });
    await consent(new Browser(), granted.authUrl);
    expect(await connection(connectionId)).toMatchObject({ status: ConnectionStatus.ACTIVE, revision: 2n });
  });

  it("answers an error code that names a part of every object like any other", async () => {
    const requested = await request();
    const browser = new Browser();
    const stopped = await consent(browser, requested.authUrl, "deny", toCallback);
    const url = new URL(stopped.url);
    url.searchParams.set("error", "constructor");
    expect((await browser.get(url.href)).status).toBe(400);
    expect((await connection(requested.connectionId))?.problem?.reason).toBe("authorization_failed");
  });

  it("refuses a re-consent under another user or provider", async () => {
    const connectionId = await world.connect(providerId);
    expect((await failureOf(request({ connectionId, userId: "eve" }))).fields).toEqual(["user_id"]);
    const other = await world.register("other");
    const call = world.clients.connections.requestConnection({
      connectionId,
      provider: { case: "providerId", value: other },
    });
    expect((await failureOf(call)).fields).toEqual(["provider"]);
  });

  it.each([
    ["client_secret_basic", TokenEndpointAuthMethod.CLIENT_SECRET_BASIC],
    ["none", TokenEndpointAuthMethod.NONE],
  ] as const)("authenticates by %s, with endpoints set by hand, and refreshes", async (_name, method) => {
    const { basic, public: open } = world.provider.clients;
    const client = method === TokenEndpointAuthMethod.NONE ? { ...open, clientSecret: "" } : basic;
    const { provider, redirectUri } = await world.clients.providers.createProvider({
      provider: {
        name: `manual-${method}`,
        clientId: client.clientId,
        clientSecret: client.clientSecret,
        tokenEndpointAuthMethod: method,
        authUrl: world.provider.authorizationEndpoint,
        tokenUrl: world.provider.tokenEndpoint,
        scopes: ["read"],
      },
    });
    world.provider.addRedirectUri(redirectUri);
    const connectionId = await world.connect(provider?.id ?? "");
    const { token } = await world.clients.tokens.refreshToken({ connectionId });
    expect(token?.revision).toBe(2n);
  });

  it("says so when the client secret is wrong", async () => {
    const wrong = { name: "wrong-secret", clientSecret: "not the secret", scopes: ["read"] };
    await registeredAt(world.provider, world.clients, wrong);
    const requested = await world.clients.connections.requestConnection(requestOf(wrong.name, { returnUrl }));
    const page = await consent(new Browser(), requested.authUrl, "allow", toCaller);
    expect(new URL(page.url).searchParams.get("error")).toBe("token_exchange_failed");
    expect((await connection(requested.connectionId))?.problem).toMatchObject({
      reason: "client_rejected",
      message: expect.stringContaining("nexusd provider update wrong-secret --client-secret-file FILE"),
    });
  });

  it("answers UNAVAILABLE when discovery never worked, and works from the last good copy in an outage", async () => {
    await world.provider.setOutage("503");
    try {
      const requested = await request();
      expect(requested.state).not.toBe("");
      await world.restart();
      expect((await request()).state).not.toBe("");
    } finally {
      await world.provider.setOutage("none");
    }
    const unreachable = { name: "unreachable", issuer: "http://127.0.0.1:1" };
    const providerId = await registeredAt(world.provider, world.clients, unreachable);
    const call = world.clients.connections.requestConnection(requestOf(providerId));
    expect((await failureOf(call)).code).toBe("Unavailable");
  });
});
