import { timestampMs } from "@bufbuild/protobuf/wkt";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ConnectionStatus } from "../../src/gen/nexus/v1/connection_pb.js";
import { AuthType } from "../../src/gen/nexus/v1/provider_pb.js";
import type { ConsentRequired, Token } from "../../src/gen/nexus/v1/token_pb.js";
import { consent } from "../fakes/browser.js";
import { failureOf } from "./errors.js";
import { Place, World } from "./harness.js";

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const wait = { seconds: 60n };

describe("AcquireToken", () => {
  let world: World;
  let providerId: string;
  beforeEach(async () => {
    world = await World.make();
    providerId = await world.register();
  });
  afterEach(() => world.close());

  const ask = async (more: object = {}, options: { signal?: AbortSignal } = {}) => {
    const request = { providerName: "op", userId: "ada", ...more };
    return (await world.clients.tokens.acquireToken(request, options)).result;
  };
  const link = async (more: object = {}): Promise<ConsentRequired> => {
    const result = await ask(more);
    if (result.case !== "consent") throw new Error(`the answer is a ${result.case}`);
    return result.value;
  };
  const token = async (more: object = {}): Promise<Token> => {
    const result = await ask(more);
    if (result.case !== "token") throw new Error(`the answer is a ${result.case}`);
    return result.value;
  };
  const connected = async (more: object = {}): Promise<string> => {
    const { authUrl, connectionId } = await link(more);
    expect((await consent(world.browser, authUrl)).status).toBe(200);
    return connectionId;
  };
  const connections = async () => (await world.clients.connections.listConnections({})).connections;
  /** Resolves when the daemon has this many callers that wait. */
  const waiting = (count: number) =>
    expect.poll(() => world.clock.pending, { timeout: 10_000 }).toBeGreaterThanOrEqual(count);

  it("answers a link, the same again, and the token once a person has consented", async () => {
    const first = await link();
    expect(first.reason).toBe("not_connected");
    expect(first.authUrl).toMatch(/\/auth\/start\?state=[\w-]{43,}$/);
    expect(first.expiresAt && timestampMs(first.expiresAt)).toBe(world.clock.nowMs() + 10 * minuteMs);
    expect(await link({ providerName: " OP " })).toEqual(first);
    await world.restart();
    expect(await link()).toEqual(first);
    await consent(world.browser, first.authUrl);
    const { credentials, revision } = await token();
    expect(revision).toBe(1n);
    const { connectionId } = first;
    expect((await world.clients.tokens.getToken({ connectionId })).token?.credentials).toEqual(credentials);
    expect(await connections()).toHaveLength(1);
  });

  it("makes one connection and one link, however many ask at the same time", async () => {
    const links = await Promise.all(Array.from({ length: 20 }, () => link()));
    expect(new Set(links.map(({ authUrl }) => authUrl)).size).toBe(1);
    expect(await connections()).toHaveLength(1);
    expect(await link({ label: "work" })).not.toMatchObject({ connectionId: links[0]?.connectionId });
    expect(await link({ userId: "bob" })).not.toMatchObject({ connectionId: links[0]?.connectionId });
    expect(await connections()).toHaveLength(3);
  });

  it("finds the link of RequestConnection, unless the profile was changed since", async () => {
    const requested = await world.clients.connections.requestConnection({
      userId: "ada",
      provider: { case: "providerId", value: providerId },
    });
    const { connectionId } = requested;
    expect(await link()).toMatchObject({ authUrl: requested.authUrl, connectionId });
    await world.clients.providers.updateProvider({
      provider: { id: providerId, description: "another" },
      updateMask: { paths: ["description"] },
    });
    const fresh = await link();
    expect(fresh.connectionId).toBe(connectionId);
    expect(fresh.authUrl).not.toBe(requested.authUrl);
    expect((await consent(world.browser, fresh.authUrl)).status).toBe(200);
  });

  it("waits for the person, and answers all who wait as soon as the token is there", async () => {
    const { authUrl } = await link();
    const answers = Promise.all([ask({ wait }), ask({ wait }), ask({ wait, minTtl: { seconds: 60n } })]);
    await consent(world.browser, authUrl);
    expect((await answers).map((result) => result.case)).toEqual(["token", "token", "token"]);
  });

  it("answers the link when the time is over", async () => {
    const first = await link();
    const before = world.clock.pending;
    const answer = ask({ wait });
    await waiting(before + 1);
    world.clock.advance(minuteMs);
    expect(await answer).toEqual({ case: "consent", value: first });
  });

  it("ends with its caller, and holds no daemon up", async () => {
    await link();
    const before = world.clock.pending;
    const controller = new AbortController();
    const left = failureOf(ask({ wait }, { signal: controller.signal }));
    await waiting(before + 1);
    controller.abort();
    expect((await left).code).toBe("Canceled");
    await expect.poll(() => world.clock.pending).toBe(before);
    const cut = ask({ wait }).then(
      (result) => result.case,
      () => "cut",
    );
    await waiting(before + 1);
    await world.restart();
    expect(["consent", "cut"]).toContain(await cut);
  });

  it("answers another link at once when the person says no, or nobody comes", async () => {
    const first = await link();
    const denied = ask({ wait });
    await consent(world.browser, first.authUrl, "deny");
    const second = (await denied).value as ConsentRequired;
    expect(second).toMatchObject({ connectionId: first.connectionId, reason: "access_denied" });
    expect(second.authUrl).not.toBe(first.authUrl);
    world.clock.advance(9.5 * minuteMs);
    expect(await link()).toMatchObject({ authUrl: second.authUrl });
    const before = world.clock.pending;
    const late = ask({ wait });
    await waiting(before + 1);
    world.clock.advance(minuteMs / 2);
    const third = (await late).value as ConsentRequired;
    expect(third).toMatchObject({ connectionId: first.connectionId, reason: "consent_expired" });
    expect(third.authUrl).not.toBe(second.authUrl);
    expect((await consent(world.browser, third.authUrl)).status).toBe(200);
    expect((await token()).revision).toBe(1n);
  });

  it("asks again under the same id for a connection that needs attention", async () => {
    const connectionId = await connected();
    await world.provider.revokeAllGrants();
    world.clock.advance(hourMs);
    const watcher = world.watch({ connectionIds: [connectionId] });
    await watcher.state(({ status }) => status === ConnectionStatus.ATTENTION);
    watcher.cancel();
    const again = await link();
    expect(again).toMatchObject({ connectionId, reason: "reauth_required" });
    expect(await link()).toEqual(again);
    const answer = ask({ wait });
    await consent(world.browser, again.authUrl);
    expect((await answer).case).toBe("token");
  });

  it("asks for the union of scopes when some are missing, and goes on serving who asks for less", async () => {
    const connectionId = await connected();
    expect((await token({ scopes: ["email"] })).revision).toBe(1n);
    const up = await link({ scopes: ["read"] });
    expect(up).toMatchObject({ connectionId, reason: "scopes_missing" });
    expect(await link({ scopes: ["read", "openid"] })).toEqual(up);
    expect((await token()).revision).toBe(1n);
    expect((await token({ scopes: ["openid"] })).revision).toBe(1n);
    const { connection } = await world.clients.connections.getConnection({ connectionId });
    expect(connection).toMatchObject({
      status: ConnectionStatus.ACTIVE,
      requestedScopes: ["openid", "email", "read"],
    });
    const wider = await link({ scopes: ["write"] });
    expect(wider.authUrl).not.toBe(up.authUrl);
    await consent(world.browser, wider.authUrl);
    const all = ["openid", "email", "read"];
    expect((await token({ scopes: [...all, "write"] })).grantedScopes).toEqual(expect.arrayContaining(all));
  });

  it("serves on after a step-up that was refused, and asks again for it", async () => {
    await connected();
    const up = await link({ scopes: ["read"] });
    const denied = ask({ scopes: ["read"], wait });
    await consent(world.browser, up.authUrl, "deny");
    const again = (await denied).value as ConsentRequired;
    expect(again).toMatchObject({ connectionId: up.connectionId, reason: "access_denied" });
    expect(again.authUrl).not.toBe(up.authUrl);
    expect((await token()).revision).toBe(1n);
  });

  it("waits for the exchange of a code that is under way, and no longer than that takes", async () => {
    const first = await link();
    const release = world.provider.holdTokenResponses();
    const page = consent(world.browser, first.authUrl);
    await world.provider.waitForTokenRequests(1);
    await world.caughtUp();
    const before = world.clock.pending;
    const late = ask();
    await waiting(before + 1);
    // Connecting may take 10 s, the mark as long, and the answer two minutes.
    world.clock.advance(140_000);
    const another = (await late).value as ConsentRequired;
    expect(another).toMatchObject({ connectionId: first.connectionId, reason: "not_connected" });
    expect(another.authUrl).not.toBe(first.authUrl);
    release();
    expect((await page).status).toBe(200);
    expect((await token()).revision).toBe(1n);
    expect(await connections()).toHaveLength(1);
  });

  it("makes a new connection instead of a revoked one", async () => {
    const connectionId = await connected();
    await world.clients.connections.revokeConnection({ connectionId });
    const fresh = await link();
    expect(fresh.connectionId).not.toBe(connectionId);
    expect(fresh.reason).toBe("not_connected");
  });

  it("refreshes as GetToken does, and says that the provider is down as that does", async () => {
    await connected();
    world.clock.advance(30 * minuteMs);
    expect((await token({ minTtl: { seconds: 31n * 60n } })).revision).toBe(2n);
    await world.provider.setOutage("503");
    world.clock.advance(2 * hourMs);
    const failure = await failureOf(ask());
    expect(failure.code).toBe("Unavailable");
    expect(failure.retryMs).toBeGreaterThan(0);
  });

  it("leads to the form for a static type, and asks for no scopes there", async () => {
    await world.clients.providers.createProvider({ provider: { name: "keys", authType: AuthType.API_KEY } });
    const keys = { providerName: "keys", scopes: ["anything"] };
    const { authUrl } = await link(keys);
    expect(await link(keys)).toMatchObject({ authUrl });
    const form = await world.browser.get(authUrl);
    const answer = ask({ ...keys, wait });
    await world.browser.submit(form, { api_key: "sk-1" });
    expect((await answer).value).toMatchObject({ credentials: { api_key: "sk-1" } });
    expect((await token(keys)).credentials).toEqual({ api_key: "sk-1" });
  });

  it("is refused what it cannot do, and stores nothing then", async () => {
    expect(await failureOf(ask({ providerName: "none" }))).toMatchObject({ code: "NotFound" });
    const leaderPage = { returnUrl: "https://evil.example" };
    expect(await failureOf(ask(leaderPage))).toMatchObject({ fields: ["return_url"] });
    expect(await connections()).toHaveLength(0);
    await connected({ returnUrl: "http://127.0.0.1:3999/done" }).catch(() => undefined);
    expect(await failureOf(ask(leaderPage))).toMatchObject({ fields: ["return_url"] });
  });
});

describe("AcquireToken where consents are to be confirmed", () => {
  it("waits for the confirmation, and says that it is missing", async () => {
    const world = await World.make({}, await Place.make({ NEXUS_REQUIRE_CONFIRMATION: "true" }));
    try {
      await world.register();
      const request = { providerName: "op", userId: "ada" };
      const acquire = (more: object = {}) => world.clients.tokens.acquireToken({ ...request, ...more });
      expect((await failureOf(acquire())).fields).toEqual(["return_url"]);
      const { result } = await acquire({ returnUrl: "http://127.0.0.1:3999/done" });
      if (result.case !== "consent") throw new Error("no link");
      const answer = acquire({ wait });
      const isReturn = (url: string): boolean => url.startsWith("http://127.0.0.1:3999/");
      const page = await consent(world.browser, result.value.authUrl, "allow", isReturn);
      expect(await failureOf(acquire())).toMatchObject({ reason: "CONNECTION_PENDING" });
      await world.clients.connections.confirmConnection({
        connectionId: result.value.connectionId,
        completionCode: new URL(page.url).searchParams.get("completion_code") ?? "",
      });
      expect((await answer).result.case).toBe("token");
    } finally {
      await world.close();
    }
  });
});
