import { describe, expect, it } from "vitest";
import { ConnectionStatus } from "../../src/gen/nexus/v1/connection_pb.js";
import { AuthType } from "../../src/gen/nexus/v1/provider_pb.js";
import { Browser, consent } from "../fakes/browser.js";
import { perTest } from "../lifetimes.js";
import { hangUp, json } from "../oauth/scripted_server.js";
import { World } from "./harness.js";
import { requestOf } from "./requests.js";
import { returnUrl, ScriptedWorld } from "./scripted_world.js";

describe("whose account a connection is, by OpenID Connect", () => {
  const world = perTest(() => World.make());

  it("is what id_token and user-info say, wherever the connection is told of", async () => {
    const providerId = await world.register();
    await world.clients.providers.updateProvider({
      provider: { id: providerId, userInfoEndpoint: world.provider.userinfoEndpoint },
      updateMask: { paths: ["user_info_endpoint"] },
    });
    const { authUrl, connectionId } = await world.clients.connections.requestConnection(
      requestOf(providerId),
    );
    const page = await consent(world.browser, authUrl);
    expect(page.body).toContain("<dt>Account</dt><dd><bdi>ada@example.test</bdi></dd>");
    expect(page.url).not.toMatch(/ada|example\.test/);
    expect((await world.browser.get(page.url)).body).toContain("ada@example.test");
    const account = { subject: "ada", email: "ada@example.test" };
    await world.clients.tokens.refreshToken({ connectionId });
    await world.restart();
    const { connections } = await world.clients.connections.listConnections({});
    expect(connections[0]).toMatchObject({ account, revision: 2n });
    const watcher = world.watch({ connectionIds: [connectionId] });
    expect(await watcher.state(() => true)).toMatchObject({ account });
    watcher.cancel();
    // The page is one of the process that is gone.
    expect((await world.browser.get(page.url)).body).not.toContain("ada@example.test");
    expect(world.place.logLines.join("")).not.toContain("ada@example.test");
  });

  it("is what the id_token says alone where the profile names no endpoint", async () => {
    const id = await world.connect(await world.register());
    const { connection } = await world.clients.connections.getConnection({ connectionId: id });
    expect(connection?.account).toMatchObject({ subject: "ada", email: "" });
  });
});

/** An API like GitHub's. */
class ApiWorld {
  static async make(environment: NodeJS.ProcessEnv = {}): Promise<ApiWorld> {
    const world = new ApiWorld(await ScriptedWorld.make(environment));
    world.is({ id: 1815, login: "ada", name: "Ada", email: null });
    const api = { user_info_endpoint: "user", user_info_mapping: { subject: "id", login: "login" } };
    await world.scripted.register({ name: "hub", api_base_url: world.scripted.provider.origin, ...api });
    return world;
  }

  constructor(readonly scripted: ScriptedWorld) {}

  close(): Promise<void> {
    return this.scripted.close();
  }

  is(user: unknown): void {
    this.scripted.api.set("/user", json(user));
  }

  /** Without a return URL. @returns the page at the end */
  async consent(connectionId?: string, more: object = {}) {
    const first = requestOf("hub");
    const request = connectionId === undefined ? first : { connectionId };
    const asked = await this.scripted.clients.connections.requestConnection({ ...request, ...more });
    const page = await new Browser().get(asked.authUrl, (url) => url.startsWith("http://127.0.0.1:3999/"));
    return { page, id: asked.connectionId };
  }

  async connection(connectionId: string) {
    return (await this.scripted.clients.connections.getConnection({ connectionId })).connection;
  }

  async events(connectionId: string) {
    const { events } = await this.scripted.clients.audit.listAuditEvents({ connectionId });
    return events.map(({ eventType, reason }) => (reason === "" ? eventType : `${eventType} ${reason}`));
  }
}

describe("whose account a connection is, by an API", () => {
  const world = perTest(() => ApiWorld.make());

  it("is asked for once after the consent, with the new token, by the profile's paths", async () => {
    const { page, id } = await world.consent();
    expect(page.body).toContain("<dt>Account</dt><dd><bdi>ada</bdi></dd>");
    expect(await world.connection(id)).toMatchObject({
      account: { subject: "1815", name: "Ada", email: "", login: "ada" },
    });
    await world.scripted.clients.tokens.refreshToken({ connectionId: id });
    expect((await world.connection(id))?.account?.login).toBe("ada");
    const asked = world.scripted.provider.requests.filter(({ path }) => path === "/user");
    expect(asked.map(({ method, headers }) => [method, headers.authorization])).toEqual([
      ["GET", "Bearer access-1-secret"],
    ]);
  });

  it.each([
    ["refuses", json({ login: "ada" }, 403)],
    ["hangs up", hangUp],
    ["answers no JSON", json("<html>")],
    ["says nothing", json({ other: 1 })],
    ["answers too much", json({ id: 1, fill: "x".repeat(70_000) })],
    ["leads elsewhere", json("", 302, { location: "http://127.0.0.1:1/" })],
  ])("is unset, and the consent succeeds, where the API %s", async (_what, script) => {
    world.scripted.api.set("/user", script);
    const { page, id } = await world.consent();
    expect(page.body).toContain("Your account at hub is connected.");
    expect(page.body).not.toContain("The account is");
    expect(await world.connection(id)).toMatchObject({ status: ConnectionStatus.ACTIVE, revision: 1n });
    expect((await world.connection(id))?.account).toBeUndefined();
    expect(world.scripted.place.logLines.join("")).not.toContain("access-1-secret");
  });

  it("waits three seconds for an API that does not answer", async () => {
    world.scripted.api.set("/user", () => undefined);
    const before = world.scripted.clock.pending;
    const consented = world.consent();
    await expect
      .poll(() => world.scripted.provider.requests.some(({ path }) => path === "/user"), { timeout: 10_000 })
      .toBe(true);
    await expect.poll(() => world.scripted.clock.pending).toBeGreaterThan(before);
    world.scripted.clock.advance(3_000);
    expect((await consented).page.body).toContain("Your account at hub is connected.");
  });

  it("stands on the page as text, whatever the API answers", async () => {
    world.is({ id: '<img src=x onerror="1">', login: "\u202e<script>alert(1)</script>\u001b[2J" });
    const { page } = await world.consent();
    expect(page.body).toContain(
      "<dt>Account</dt><dd><bdi>&lt;script&gt;alert(1)&lt;/script&gt;[2J</bdi></dd>",
    );
    for (const text of ["<script", "<img", "\u202e", "\u001b"]) expect(page.body).not.toContain(text);
  });

  it("keeps a connection as it was when another account consents, and says so", async () => {
    const { id } = await world.consent();
    world.is({ id: 1816, login: "bob" });
    const { page } = await world.consent(id);
    expect([page.status, page.body]).toEqual([
      400,
      expect.stringContaining("with another account than the one"),
    ]);
    expect(page.body).toContain("Your connection is as it was.");
    expect(await world.connection(id)).toMatchObject({
      status: ConnectionStatus.ACTIVE,
      revision: 1n,
      account: { login: "ada" },
    });
    const { token } = await world.scripted.clients.tokens.getToken({ connectionId: id });
    expect(token?.credentials["access_token"]).toBe("access-1-secret");
    expect(await world.events(id)).toEqual([
      "token_retrieved",
      "revocation_given_up connection_goes_on",
      "token_exchange_failed account_changed",
      "connection.requested",
      "oauth_flow_completed",
      "connection.requested",
    ]);
    const sent = await world.consent(id, { returnUrl });
    expect(new URL(sent.page.url).searchParams.get("error")).toBe("account_changed");
    world.is({ id: 1815, login: "countess" });
    expect((await world.consent(id)).page.body).toContain("<dt>Account</dt><dd><bdi>countess</bdi></dd>");
    expect(await world.connection(id)).toMatchObject({ revision: 2n, account: { login: "countess" } });
  });

  it("compares nothing when the API does not say it, or by another path", async () => {
    const { id } = await world.consent();
    world.scripted.api.set("/user", hangUp);
    expect((await world.consent(id)).page.status).toBe(200);
    expect((await world.connection(id))?.account).toBeUndefined();
    world.is({ id: 1815, login: "ada" });
    expect((await world.consent(id)).page.status).toBe(200);
    const { provider } = await world.scripted.clients.providers.getProvider({
      key: { case: "name", value: "hub" },
    });
    await world.scripted.clients.providers.updateProvider({
      provider: { id: provider?.id ?? "", userInfoMapping: { subject: "login" } },
      updateMask: { paths: ["user_info_mapping"] },
    });
    expect((await world.consent(id)).page.status).toBe(200);
    expect(await world.connection(id)).toMatchObject({ revision: 4n, account: { subject: "ada" } });
  });
});

describe("whose account a connection is, where another is accepted", () => {
  const world = perTest(() => ApiWorld.make({ NEXUS_OTHER_ACCOUNT: "accept" }));

  it("is the new one, which page and audit log say", async () => {
    const { id } = await world.consent();
    world.is({ id: 1816, login: "bob" });
    const { page } = await world.consent(id);
    expect(page.body).toContain("It is another account than before");
    expect(page.body).toContain("<dt>Account</dt><dd><bdi>bob</bdi></dd>");
    expect(await world.connection(id)).toMatchObject({
      revision: 2n,
      account: { subject: "1816", name: "" },
    });
    expect((await world.events(id))[0]).toBe("oauth_flow_completed account_changed");
  });
});

describe("whose account a connection is, where consents are confirmed", () => {
  const world = perTest(() => ApiWorld.make({ NEXUS_REQUIRE_CONFIRMATION: "true" }));

  it("is kept with what waits for its confirmation, over a restart", async () => {
    const { page, id } = await world.consent(undefined, { returnUrl });
    expect((await world.connection(id))?.account).toBeUndefined();
    await world.scripted.restart();
    await world.scripted.clients.connections.confirmConnection({
      connectionId: id,
      completionCode: new URL(page.url).searchParams.get("completion_code") ?? "",
    });
    expect(await world.connection(id)).toMatchObject({ account: { subject: "1815", login: "ada" } });
  });
});

describe("whose account a static connection is", () => {
  const world = perTest(() => ScriptedWorld.make());

  it("is what the API answers when the key is tried, at capture, replacement and import", async () => {
    const { clients, provider } = world;
    world.api.set("/user", (response, request) => {
      const login = request.headers["x-api-key"] === "key-of-ada" ? "ada" : "bob";
      json({ account: { id: login.length, login } })(response, request);
    });
    const created = await clients.providers.createProvider({
      provider: {
        name: "keys",
        authType: AuthType.API_KEY,
        strategy: {
          kind: { case: "header", value: { headerName: "X-Api-Key", credentialField: "api_key" } },
        },
        apiBaseUrl: provider.origin,
        userInfoEndpoint: "/user",
        userInfoMapping: { subject: "account.id", login: "account.login" },
      },
    });
    const browser = new Browser();
    const { authUrl, connectionId } = await clients.connections.requestConnection(requestOf("keys"));
    const page = await browser.submit(await browser.get(authUrl), { api_key: "key-of-ada" });
    expect(page.body).toContain("<dt>Account</dt><dd><bdi>ada</bdi></dd>");
    const read = async (id: string) =>
      (await clients.connections.getConnection({ connectionId: id })).connection;
    expect(await read(connectionId)).toMatchObject({ account: { subject: "3", login: "ada" } });
    await clients.connections.replaceCredential({ connectionId, credentials: { api_key: "key-of-bob" } });
    expect(await read(connectionId)).toMatchObject({ account: { login: "bob" }, revision: 2n });
    const imported = await clients.connections.importConnection({
      userId: "ada",
      providerId: created.provider?.id ?? "",
      credentials: { api_key: "key-of-ada" },
    });
    expect(imported.connection?.account?.login).toBe("ada");
  });
});
