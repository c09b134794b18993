import { beforeEach, describe, expect, it } from "vitest";
import { ConnectionStatus } from "../../src/gen/nexus/v1/connection_pb.js";
import { TokenEndpointAuthMethod } from "../../src/gen/nexus/v1/provider_pb.js";
import { answerConsent, Browser } from "../fakes/browser.js";
import { perTest } from "../lifetimes.js";
import { json, type Script, type ScriptedRequest } from "../oauth/scripted_server.js";
import { auditEvents } from "./audit_events.js";
import { failureOf } from "./errors.js";
import { World } from "./harness.js";
import { registered, requestOf } from "./requests.js";
import { ScriptedWorld } from "./scripted_world.js";

const hour = 3_600;
const grantType = "urn:ietf:params:oauth:grant-type:device_code";

describe("device authorization", () => {
  const world = perTest(() => ScriptedWorld.make());
  let asked: ScriptedRequest[];
  /** For how long timers were set since the last request. */
  const waits: number[] = [];
  let answerDevice: Script;

  /** A server that says what RFC 8628 section 3.2 shows, changed. */
  const codes = (change: object = {}): Script =>
    json({
      device_code: "device-code-secret",
      user_code: "WDJB-MJHT",
      verification_uri: "https://op.example/device",
      verification_uri_complete: "https://op.example/device?user_code=WDJB-MJHT",
      expires_in: 1_800,
      // None that another part of the daemon sets a timer for.
      interval: 7,
      ...change,
    });
  const pending = () => json({ error: "authorization_pending" }, 400);
  const tokens = () =>
    json({ access_token: "at-1", refresh_token: "rt-1", token_type: "Bearer", expires_in: hour });

  beforeEach(() => {
    asked = [];
    waits.length = 0;
    const setTimer = world.clock.setTimer.bind(world.clock);
    world.clock.setTimer = (waitMs, callback) => {
      waits.push(waitMs);
      return setTimer(waitMs, callback);
    };
    answerDevice = codes();
    const serve = world.provider.script;
    world.provider.script = (response, request) => {
      if (!request.path.startsWith("/device")) return serve(response, request);
      asked.push(request);
      answerDevice(response, request);
    };
    world.answerToken = pending;
  });

  const register = (more: object = {}) =>
    world.register({
      oauth2_options: { device_authorization_url: `${world.provider.origin}/device` },
      ...more,
    });
  const request = async (more: object = {}) => {
    const providerId = await register();
    const { connections } = world.clients;
    return await connections.requestConnection({
      userId: "ada",
      provider: { case: "providerId", value: providerId },
      scopes: ["read"],
      device: true,
      ...more,
    });
  };
  const stateOf = async (connectionId: string) => {
    const { connection } = await world.clients.connections.getConnection({ connectionId });
    return connection;
  };
  /** Waits until a timer was set for so long, lets that pass, and waits for the request that it is for. */
  const polled = async (waitMs: number): Promise<void> => {
    const { length } = world.tokenRequests;
    await expect.poll(() => waits, { timeout: 10_000 }).toContain(waitMs);
    waits.length = 0;
    world.clock.advance(waitMs - 1);
    expect(world.tokenRequests).toHaveLength(length);
    world.clock.advance(1);
    await expect.poll(() => world.tokenRequests.length).toBe(length + 1);
  };

  it("shows a code, asks until the person is done, and keeps the token alive from then on", async () => {
    const answer = await request();
    expect(answer).toMatchObject({
      authUrl: "",
      state: "",
      redirectUri: "",
      userCode: "WDJB-MJHT",
      verificationUri: "https://op.example/device",
      verificationUriComplete: "https://op.example/device?user_code=WDJB-MJHT",
    });
    expect(asked[0]?.form.get("scope")).toBe("read");
    expect([asked[0]?.form.get("client_id"), asked[0]?.form.get("client_secret")]).toEqual([
      "the-client",
      "the-client-secret",
    ]);
    await polled(7_000);
    await polled(7_000);
    expect((await stateOf(answer.connectionId))?.status).toBe(ConnectionStatus.PENDING);
    world.answerToken = tokens;
    await polled(7_000);
    await expect.poll(async () => (await stateOf(answer.connectionId))?.status).toBe(ConnectionStatus.ACTIVE);
    expect(await stateOf(answer.connectionId)).toMatchObject({ revision: 1n, refreshable: true });
    const form = world.tokenRequests[2]?.form;
    expect([form?.get("grant_type"), form?.get("device_code")]).toEqual([grantType, "device-code-secret"]);
    world.clock.advance(60_000);
    expect(world.tokenRequests.filter((each) => each.form.get("grant_type") === grantType)).toHaveLength(3);
    expect(world.place.logLines.join("")).not.toMatch(/device-code-secret|WDJB|rt-1|at-1/);
  });

  it.each([
    [5, 5],
    [undefined, 5],
    ["7", 7],
    [0, 5],
    [-3, 5],
    ["soon", 5],
    [1e9, 60],
  ])("asks at the interval %j every %i s", async (interval, seconds) => {
    answerDevice = codes({ interval });
    await request();
    await polled(seconds * 1_000);
    await polled(seconds * 1_000);
  });

  it("goes on more slowly for good when it is told to, a restart included", async () => {
    world.answerToken = () => json({ error: "slow_down" }, 400);
    const answer = await request();
    await polled(7_000);
    world.answerToken = pending;
    await polled(12_000);
    await polled(12_000);
    await world.restart();
    await polled(12_000);
    world.answerToken = tokens;
    await polled(12_000);
    await expect.poll(async () => (await stateOf(answer.connectionId))?.status).toBe(ConnectionStatus.ACTIVE);
  });

  it.each([
    [429, {}],
    [503, {}],
    [504, {}],
    [500, { error: "server_error" }],
  ])("backs off while the server answers %i, and ends nothing", async (status, body) => {
    world.answerToken = () => json(body, status);
    const answer = await request();
    for (const waitMs of [7_000, 14_000, 28_000, 56_000, 60_000]) await polled(waitMs);
    world.answerToken = tokens;
    await polled(60_000);
    await expect.poll(async () => (await stateOf(answer.connectionId))?.status).toBe(ConnectionStatus.ACTIVE);
  });

  it.each([
    ["access_denied", ConnectionStatus.FAILED, "access_denied"],
    ["authorization_declined", ConnectionStatus.FAILED, "access_denied"],
    ["expired_token", ConnectionStatus.EXPIRED, "consent_expired"],
    ["invalid_grant", ConnectionStatus.FAILED, "token_exchange_failed"],
    ["invalid_client", ConnectionStatus.FAILED, "client_rejected"],
  ])("ends with %s", async (error, status, reason) => {
    world.answerToken = () => json({ error }, 400);
    const answer = await request();
    await polled(7_000);
    await expect.poll(async () => (await stateOf(answer.connectionId))?.problem?.reason).toBe(reason);
    expect((await stateOf(answer.connectionId))?.status).toBe(status);
    world.clock.advance(120_000);
    expect(world.tokenRequests).toHaveLength(1);
  });

  it("ends when the code does, and asks no more", async () => {
    answerDevice = codes({ expires_in: 40 });
    const answer = await request();
    for (let count = 0; count < 5; count++) await polled(7_000);
    world.clock.advance(40_000);
    await expect
      .poll(async () => (await stateOf(answer.connectionId))?.status)
      .toBe(ConnectionStatus.EXPIRED);
    world.clock.advance(60_000);
    expect(world.tokenRequests).toHaveLength(5);
  });

  it("keeps no token of a request that was replaced while it was asked for", async () => {
    const first = await request();
    let release = (): void => undefined;
    world.answerToken = () => (response, sent) => {
      release = () => tokens()(response, sent);
    };
    await polled(7_000);
    const { connections } = world.clients;
    const again = await connections.requestConnection({ connectionId: first.connectionId, device: true });
    expect(again.connectionId).toBe(first.connectionId);
    world.answerToken = pending;
    release();
    const events = async () =>
      (await auditEvents(world.clients, { eventType: "token_storage_failed" })).map(({ reason }) => reason);
    await expect.poll(events).toEqual(["request_replaced"]);
    expect(await stateOf(first.connectionId)).toMatchObject({
      status: ConnectionStatus.PENDING,
      revision: 0n,
    });
    await connections.revokeConnection({ connectionId: first.connectionId });
    const { length } = world.tokenRequests;
    world.clock.advance(60_000);
    await expect.poll(events).toHaveLength(1);
    expect(world.tokenRequests).toHaveLength(length);
  });

  it("loses no token that is on its way when the daemon stops", async () => {
    const answer = await request();
    let release = (): void => undefined;
    world.answerToken = () => (response, sent) => {
      release = () => tokens()(response, sent);
    };
    await polled(7_000);
    const restarted = world.restart();
    release();
    await restarted;
    expect(await stateOf(answer.connectionId)).toMatchObject({
      status: ConnectionStatus.ACTIVE,
      revision: 1n,
    });
  });

  it("answers AcquireToken with the code, its whole link for whoever asked alone, and the token when it is there", async () => {
    await register({ name: "acme" });
    const { tokens: rpc } = world.clients;
    const name = { providerName: "acme", userId: "ada" };
    const first = await rpc.acquireToken({ ...name, device: true });
    const shown = { userCode: "WDJB-MJHT", verificationUri: "https://op.example/device", authUrl: "" };
    expect(first.result).toMatchObject({
      case: "consent",
      value: { ...shown, verificationUriComplete: "https://op.example/device?user_code=WDJB-MJHT" },
    });
    // The admin's key is another caller than the owner of the socket.
    const other = await fetch(`${world.place.httpUrl}/nexus.v1.TokenService/AcquireToken`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-api-key": world.place.apiKey },
      body: JSON.stringify({ provider_name: "acme", user_id: "ada" }),
    });
    const { consent } = (await other.json()) as { consent: Record<string, string> };
    expect([consent["userCode"], consent["verificationUriComplete"] ?? ""]).toEqual(["WDJB-MJHT", ""]);
    const waiting = rpc.acquireToken({ ...name, wait: { seconds: 60n, nanos: 0 } });
    world.answerToken = tokens;
    await polled(7_000);
    expect((await waiting).result).toMatchObject({ case: "token" });
    expect(asked).toHaveLength(1);
  });

  it.each([
    [{ user_code: "A\nB" }],
    [{ user_code: "" }],
    [{ user_code: "x".repeat(65) }],
    [{ verification_uri: "javascript:alert(1)" }],
    [{ verification_uri: "https://u:p@op.example/" }],
    [{ verification_uri_complete: "ftp://op.example/" }],
    [{ verification_uri: undefined }],
    [{ device_code: "" }],
    [{ expires_in: "never" }],
    [{ expires_in: -1 }],
  ])("shows a person nothing odd: %j", async (change) => {
    answerDevice = codes(change);
    const failure = await failureOf(request());
    expect(failure.code).toMatch(/FailedPrecondition|Unavailable/);
    expect(failure.message).not.toContain("device-code-secret");
    const { connections } = await world.clients.connections.listConnections({});
    expect(connections).toEqual([]);
  });

  it("takes Google's name of the page", async () => {
    answerDevice = codes({ verification_uri: undefined, verification_url: "https://www.google.com/device" });
    expect((await request()).verificationUri).toBe("https://www.google.com/device");
  });

  it.each([
    [{ returnUrl: "http://127.0.0.1:3999/back" }, "return_url"],
    [{ requireConfirmation: true, returnUrl: "http://127.0.0.1:3999/back" }, "return_url"],
  ])("refuses what no browser comes back for: %j", async (more, field) => {
    const failure = await failureOf(request(more));
    expect([failure.code, failure.fields]).toEqual(["InvalidArgument", [field]]);
    expect(asked).toEqual([]);
  });

  it("says that a provider has none", async () => {
    const providerId = await world.register();
    const provider = { case: "providerId", value: providerId } as const;
    const failure = await failureOf(
      world.clients.connections.requestConnection({ userId: "ada", provider, device: true }),
    );
    expect([failure.code, failure.message]).toEqual([
      "FailedPrecondition",
      expect.stringContaining("oauth2_options.device_authorization_url"),
    ]);
  });
});

describe("device authorization at oidc-provider", () => {
  const deviceGrant = "urn:ietf:params:oauth:grant-type:device_code";
  const television = {
    client_id: "television",
    client_secret: "a secret of the television, long enough: %&+",
    token_endpoint_auth_method: "client_secret_basic",
    redirect_uris: [],
    response_types: [],
    grant_types: [deviceGrant, "refresh_token"],
  } as const;
  const world = perTest(() =>
    World.make({ clients: [{ ...television, redirect_uris: [], grant_types: [...television.grant_types] }] }),
  );

  it("brings a token that is refreshed when the person has entered the code", async () => {
    await registered(world.clients, {
      name: "op",
      clientId: television.client_id,
      clientSecret: television.client_secret,
      tokenEndpointAuthMethod: TokenEndpointAuthMethod.CLIENT_SECRET_BASIC,
      issuer: world.provider.issuer,
      enableDiscovery: true,
      scopes: ["openid", "offline_access"],
    });
    const { connections, tokens } = world.clients;
    const answer = await connections.requestConnection(requestOf("op", { device: true }));
    expect(answer.verificationUri).toBe(`${world.provider.issuer}/device`);
    expect(answer.verificationUriComplete).toContain(answer.userCode);

    const browser = new Browser();
    const opened = await browser.get(answer.verificationUri);
    const entered = await browser.submit(opened, { user_code: answer.userCode });
    const confirmed = await browser.submit(entered, { confirm: "yes" });
    const done = await answerConsent(browser, confirmed);
    expect([done.status, done.url]).toEqual([200, expect.stringContaining("/device/")]);

    world.clock.advance(5_000);
    const { connectionId } = answer;
    const state = async () => (await connections.getConnection({ connectionId })).connection;
    await expect.poll(async () => (await state())?.status).toBe(ConnectionStatus.ACTIVE);
    expect(await state()).toMatchObject({ refreshable: true, grantedScopes: ["openid", "offline_access"] });
    const { token } = await tokens.refreshToken({ connectionId });
    expect(token?.revision).toBe(2n);
  });
});
