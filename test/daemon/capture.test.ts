import { beforeAll, describe, expect, it } from "vitest";
import { ConnectionStatus } from "../../src/gen/nexus/v1/connection_pb.js";
import { Browser, consent } from "../fakes/browser.js";
import { type ApiScript, ScriptedApi } from "../fakes/scripted_api.js";
import { perSuite } from "../lifetimes.js";
import { captureStatic, registerStatic, requestStatic, staticCases } from "./capture_world.js";
import { failureOf } from "./errors.js";
import { World } from "./harness.js";

const returnUrl = "http://127.0.0.1:3999/back?tab=1";

const world = perSuite(() => World.make());
let providerId: string;
let oauthId: string;
beforeAll(async () => {
  oauthId = await world.register();
  providerId = await registerStatic(world, { name: "acme", scopes: ["never"] });
});

const capture = (state: string, credentials?: Parameters<typeof captureStatic>[2]) =>
  world.clients.connections.captureCredential({ state, ...(credentials ? { credentials } : {}) });
const schemaOf = (state: string) => world.clients.connections.getCaptureSchema({ state });
const replace = (connectionId: string, credentials: Record<string, string>) =>
  world.clients.connections.replaceCredential({ connectionId, credentials });
const tokenOf = async (connectionId: string) => (await world.clients.tokens.getToken({ connectionId })).token;
const connectionOf = async (connectionId: string) =>
  (await world.clients.connections.getConnection({ connectionId })).connection;

describe("every static type", () => {
  it.each(staticCases)("$name is connected by the API", async ({ name, authType, strategy, fields }) => {
    const id = await registerStatic(world, { name, authType, ...(strategy ? { strategy } : {}) });
    const { state, connectionId, scopes } = await requestStatic(world, id, { scopes: ["ignored"] });
    expect(scopes).toEqual([]);
    const { providerName, schema } = await schemaOf(state);
    expect(providerName).toBe(name);
    expect(Object.keys((schema?.["properties"] ?? {}) as object)).toEqual(
      expect.arrayContaining(Object.keys(fields)),
    );
    expect(await capture(state, fields)).toMatchObject({
      connectionId,
      status: ConnectionStatus.ACTIVE,
      redirectUrl: "",
    });
    const token = await tokenOf(connectionId);
    expect(token).toMatchObject({
      credentials: fields,
      revision: 1n,
      grantedScopes: [],
    });
    expect(token?.expiresAt).toBeUndefined();
    expect(token?.strategy?.kind.case).toBe(
      strategy?.kind?.case ?? (name === "basic" ? "basicAuth" : "header"),
    );
    expect(await connectionOf(connectionId)).toMatchObject({
      status: ConnectionStatus.ACTIVE,
      refreshable: false,
      requestedScopes: [],
    });
    const refresh = failureOf(world.clients.tokens.refreshToken({ connectionId }));
    expect(await refresh).toMatchObject({ code: "FailedPrecondition", reason: "NOT_REFRESHABLE" });
  });

  it.each(staticCases)("$name is connected by a person", async ({ name, authType, strategy, fields }) => {
    const id = await registerStatic(world, {
      name: `${name}-form`,
      authType,
      ...(strategy ? { strategy } : {}),
    });
    const { authUrl, connectionId } = await requestStatic(world, id);
    const browser = new Browser();
    const page = await browser.get(authUrl);
    expect(page.status).toBe(200);
    expect(page.url).toContain("/auth/capture?state=");
    const done = await browser.submit(page, fields as Record<string, string>);
    expect(done.status).toBe(200);
    expect(done.body).toContain("<title>Connected</title>");
    expect(await tokenOf(connectionId)).toMatchObject({ credentials: fields, revision: 1n });
  });
});

describe("a capture", () => {
  it("is answered with the way back, and the state works once", async () => {
    const { state, connectionId } = await requestStatic(world, providerId, { returnUrl });
    const answer = await capture(state, { api_key: "k" });
    expect(answer.redirectUrl).toBe(
      `${returnUrl}&status=success&connection_id=${connectionId}&provider=acme`,
    );
    expect(await failureOf(capture(state, { api_key: "other" }))).toMatchObject({ code: "NotFound" });
    expect(await failureOf(schemaOf(state))).toMatchObject({ code: "NotFound" });
    expect(await tokenOf(connectionId)).toMatchObject({ credentials: { api_key: "k" }, revision: 1n });
  });

  it("of many at once with one state succeeds once", async () => {
    const { state, connectionId } = await requestStatic(world, providerId);
    const all = await Promise.allSettled(
      Array.from({ length: 8 }, (_, n) => capture(state, { api_key: `k${n}` })),
    );
    const winner = all.findIndex(({ status }) => status === "fulfilled");
    expect(all.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    expect(await tokenOf(connectionId)).toMatchObject({
      credentials: { api_key: `k${winner}` },
      revision: 1n,
    });
  });

  it("with wrong values names each field and leaves the state usable", async () => {
    const { state, connectionId } = await requestStatic(world, providerId);
    for (const [values, fields] of [
      [{}, ["credentials.api_key"]],
      [{ api_key: "" }, ["credentials.api_key"]],
      [{ api_key: 1 }, ["credentials.api_key"]],
      [{ api_key: true }, ["credentials.api_key"]],
      [{ api_key: "a\nb" }, ["credentials.api_key"]],
      [{ api_key: "k", more: "x" }, ["credentials.more"]],
      [{ more: "x" }, ["credentials.api_key", "credentials.more"]],
      [{ api_key: "k".repeat(70_000) }, ["credentials"]],
    ] as const) {
      const failure = await failureOf(capture(state, values));
      expect(failure).toMatchObject({ code: "InvalidArgument" });
      expect([...failure.fields].sort()).toEqual(fields);
    }
    expect((await failureOf(capture(state))).fields).toEqual(["credentials.api_key"]);
    expect((await connectionOf(connectionId))?.status).toBe(ConnectionStatus.PENDING);
    expect((await capture(state, { api_key: "k" })).status).toBe(ConnectionStatus.ACTIVE);
  });

  it("is not for a state of oauth2, nor the callback for one of a static type", async () => {
    const oauth = await requestStatic(world, oauthId);
    const notStatic = { code: "FailedPrecondition", reason: "NOT_STATIC" };
    expect(await failureOf(capture(oauth.state, { api_key: "k" }))).toMatchObject(notStatic);
    expect(await failureOf(schemaOf(oauth.state))).toMatchObject(notStatic);
    const browser = new Browser();
    expect(
      (await browser.get(`${world.place.config.publicUrl}/auth/capture?state=${oauth.state}`)).status,
    ).toBe(404);
    expect((await consent(new Browser(), oauth.authUrl)).status).toBe(200);

    const { state, authUrl } = await requestStatic(world, providerId);
    await browser.get(authUrl);
    const callback = `${world.place.config.redirectUri}/op?state=${state}&code=x`;
    expect((await browser.get(callback)).status).toBe(404);
    expect((await capture(state, { api_key: "k" })).status).toBe(ConnectionStatus.ACTIVE);
  });

  it("is refused for a state that nobody made, and after ten minutes", async () => {
    expect(await failureOf(schemaOf("nope"))).toMatchObject({ code: "NotFound" });
    expect(await failureOf(capture("", { api_key: "k" }))).toMatchObject({ code: "NotFound" });
    const { state, connectionId } = await requestStatic(world, providerId);
    world.clock.jump(10 * 60_000);
    expect(await failureOf(capture(state, { api_key: "k" }))).toMatchObject({ code: "NotFound" });
    world.clock.jump(-10 * 60_000);
    const watcher = world.watch({ connectionIds: [connectionId] });
    await watcher.until((event) => event.case === "bookmark");
    world.clock.advance(10 * 60_000);
    await watcher.state(({ status }) => status === ConnectionStatus.EXPIRED);
    watcher.cancel();
    expect(await failureOf(capture(state, { api_key: "k" }))).toMatchObject({ code: "NotFound" });
  });

  it("is refused when the provider was edited or deleted meanwhile, or the connection ended", async () => {
    const id = await registerStatic(world, { name: "edited" });
    const first = await requestStatic(world, id);
    await world.clients.providers.updateProvider({
      provider: { id, description: "new" },
      updateMask: { paths: ["description"] },
    });
    expect(await failureOf(capture(first.state, { api_key: "k" }))).toMatchObject({ code: "NotFound" });
    const ended = await requestStatic(world, id);
    await world.clients.connections.revokeConnection({ connectionId: ended.connectionId });
    expect(await failureOf(capture(ended.state, { api_key: "k" }))).toMatchObject({ code: "NotFound" });
    const second = await requestStatic(world, id);
    const connectionId = await captureStatic(world, id, { api_key: "k" });
    await world.clients.providers.deleteProvider({ id });
    const deleted = { code: "FailedPrecondition", reason: "PROVIDER_DELETED" };
    expect(await failureOf(capture(second.state, { api_key: "k" }))).toMatchObject(deleted);
    expect(await failureOf(replace(connectionId, { api_key: "k" }))).toMatchObject(deleted);
  });
});

describe("a rotated key", () => {
  it("reaches the watcher as revision 2, by ReplaceCredential and by another capture", async () => {
    const connectionId = await captureStatic(world, providerId, { api_key: "one" });
    const watcher = world.watch({ connectionIds: [connectionId] });
    const revision = (number: bigint) =>
      watcher.state((state) => state.revision === number && state.token !== undefined);
    expect((await revision(1n)).token?.credentials).toEqual({ api_key: "one" });
    const { connection } = await replace(connectionId, { api_key: "two" });
    expect(connection).toMatchObject({ id: connectionId, revision: 2n, status: ConnectionStatus.ACTIVE });
    expect((await revision(2n)).token?.credentials).toEqual({ api_key: "two" });

    const { state } = await requestStatic(world, providerId, { connectionId });
    expect(await tokenOf(connectionId)).toMatchObject({ credentials: { api_key: "two" } });
    await capture(state, { api_key: "three" });
    expect((await revision(3n)).token?.credentials).toEqual({ api_key: "three" });
    watcher.cancel();
  });

  it("survives a restart", async () => {
    const connectionId = await captureStatic(world, providerId, { api_key: "one" });
    await replace(connectionId, { api_key: "two" });
    await world.restart();
    expect(await tokenOf(connectionId)).toMatchObject({ credentials: { api_key: "two" }, revision: 2n });
  });

  it("is refused with wrong values, for oauth2, and without a credential to replace", async () => {
    const connectionId = await captureStatic(world, providerId, { api_key: "one" });
    expect((await failureOf(replace(connectionId, {}))).fields).toEqual(["credentials.api_key"]);
    expect((await failureOf(replace(connectionId, { x: "y", api_key: "k" }))).fields).toEqual([
      "credentials.x",
    ]);
    expect(await tokenOf(connectionId)).toMatchObject({ credentials: { api_key: "one" }, revision: 1n });
    const oauth = await world.connect(oauthId);
    expect(await failureOf(replace(oauth, { api_key: "k" }))).toMatchObject({ reason: "NOT_STATIC" });
    const pending = await requestStatic(world, providerId);
    expect(await failureOf(replace(pending.connectionId, { api_key: "k" }))).toMatchObject({
      reason: "CONNECTION_PENDING",
    });
    await world.clients.connections.revokeConnection({ connectionId });
    expect(await failureOf(replace(connectionId, { api_key: "k" }))).toMatchObject({
      reason: "CONNECTION_REVOKED",
    });
    const unknown = "11111111-1111-4111-8111-111111111111";
    expect(await failureOf(replace(unknown, { api_key: "k" }))).toMatchObject({ code: "NotFound" });
  });

  it("of many at once ends with one of them, each a revision", async () => {
    const connectionId = await captureStatic(world, providerId, { api_key: "one" });
    await Promise.all(Array.from({ length: 5 }, (_, n) => replace(connectionId, { api_key: `k${n}` })));
    expect((await tokenOf(connectionId))?.revision).toBe(6n);
  });
});

describe("the trial at the provider", () => {
  const api = perSuite(() => ScriptedApi.start());

  const register = (name: string, more: object = {}) =>
    registerStatic(world, { name, apiBaseUrl: `${api.origin}/v1/`, userInfoEndpoint: "/me", ...more });

  it.each(staticCases)("of $name has the credential in its place", async (each) => {
    const { name, authType, strategy, fields, header, target } = each;
    const id = await register(`try-${name}`, { authType, ...(strategy ? { strategy } : {}) });
    api.answer = 200;
    api.calls.length = 0;
    await captureStatic(world, id, fields);
    expect(api.calls).toMatchObject([{ method: "GET", target: target ?? "/v1/me" }]);
    if (!header) return;
    const [field, value] = header;
    const sent = api.calls[0]?.headers[field];
    if (typeof value === "string") expect(sent).toBe(value);
    else expect(sent).toMatch(value);
  });

  it.each<[string, ApiScript, { code: string; reason?: string } | undefined]>([
    ["200", 200, undefined],
    ["204", 204, undefined],
    ["401", 401, { code: "FailedPrecondition", reason: "CREDENTIAL_REJECTED" }],
    ["403", 403, { code: "FailedPrecondition", reason: "CREDENTIAL_REJECTED" }],
    ["404", 404, { code: "Unavailable" }],
    ["429", 429, { code: "Unavailable" }],
    ["500", 500, { code: "Unavailable" }],
    ["503", 503, { code: "Unavailable" }],
    ["302", 302, { code: "Unavailable" }],
    ["304", 304, { code: "Unavailable" }],
    ["a connection that ends", "hang_up", { code: "Unavailable" }],
    [
      "an answer that breaks off",
      (response) =>
        void response.writeHead(200, { "content-length": 9 }).write("{}", () => response.destroy()),
      { code: "Unavailable" },
    ],
    ["2 MiB", (response) => void response.end("x".repeat(2 * 1024 * 1024)), { code: "Unavailable" }],
  ])("that is answered with %s", async (name, script, refused) => {
    const id = await register(`answers-${name.replace(/\W+/g, "-").toLowerCase()}`);
    const { state, connectionId } = await requestStatic(world, id);
    api.answer = script;
    if (refused) {
      const failure = await failureOf(capture(state, { api_key: "hunter2" }));
      expect(failure).toMatchObject(refused);
      expect(failure.message).not.toContain("hunter2");
      expect(await connectionOf(connectionId)).toMatchObject({
        status: ConnectionStatus.PENDING,
        revision: 0n,
      });
      api.answer = 200;
    }
    expect((await capture(state, { api_key: "k" })).status).toBe(ConnectionStatus.ACTIVE);
    if (!refused) return;
    api.answer = script;
    expect(await failureOf(replace(connectionId, { api_key: "worse" }))).toMatchObject(refused);
    expect(await tokenOf(connectionId)).toMatchObject({ credentials: { api_key: "k" }, revision: 1n });
  });

  it("is not made with values that the schema refuses", async () => {
    const id = await register("not-tried");
    const { state } = await requestStatic(world, id);
    api.calls.length = 0;
    await failureOf(capture(state, { api_key: "" }));
    expect(api.calls).toEqual([]);
  });

  it("shows in the form, and the state stays usable", async () => {
    const id = await register("form-tried");
    const { authUrl, connectionId } = await requestStatic(world, id, { returnUrl });
    const browser = new Browser();
    let page = await browser.get(authUrl);
    for (const [script, status, text] of [
      [401, 422, "form-tried did not accept these values."],
      [500, 503, "form-tried could not be asked"],
    ] as const) {
      api.answer = script;
      page = await browser.submit(page, { api_key: "hunter2" });
      expect(page.status).toBe(status);
      expect(page.body).toContain(text);
      expect(page.body).not.toContain("hunter2");
    }
    api.answer = 200;
    const end = await browser.submit(page, { api_key: "k" }, (url) =>
      url.startsWith("http://127.0.0.1:3999/"),
    );
    expect(end.url).toBe(`${returnUrl}&status=success&connection_id=${connectionId}&provider=form-tried`);
  });

  it.each([
    ["http://evil.example/me"],
    ["ftp://127.0.0.1/me"],
    ["javascript:alert(1)"],
    ["https://u:p@api.example/me"],
    ["/me#x"],
  ])("cannot be told to go to %s", async (userInfoEndpoint) => {
    const call = registerStatic(world, { name: "evil", apiBaseUrl: "https://api.example", userInfoEndpoint });
    expect((await failureOf(call)).fields).toEqual(["provider.user_info_endpoint"]);
  });
});

describe("the form", () => {
  const openForm = async (more: Parameters<typeof requestStatic>[2] = {}) => {
    const requested = await requestStatic(world, providerId, more);
    const browser = new Browser();
    return { ...requested, browser, page: await browser.get(requested.authUrl) };
  };

  it("consumes nothing until it is sent, and works once", async () => {
    const { authUrl, browser, page, connectionId } = await openForm();
    expect((await browser.get(page.url)).status).toBe(200);
    expect((await browser.get(authUrl)).status).toBe(200);
    expect((await browser.submit(page, { api_key: "k" })).status).toBe(200);
    const again = await browser.submit(page, { api_key: "other" });
    expect(again.status).toBe(404);
    expect((await browser.get(authUrl)).status).toBe(404);
    expect(await tokenOf(connectionId)).toMatchObject({ credentials: { api_key: "k" }, revision: 1n });
  });

  it("says what is wrong beside the field and leaves the state usable", async () => {
    const { browser, page } = await openForm();
    const refused = await browser.submit(page, { api_key: "  " });
    expect(refused.status).toBe(422);
    expect(refused.body).toContain("API key must not begin or end with a space.");
    expect(refused.body).toContain('aria-invalid="true"');
    const missing = await browser.submit(refused, { api_key: "" });
    expect(missing.body).toContain("API key is required.");
    expect((await browser.submit(missing, { api_key: "k" })).status).toBe(200);
  });

  it("is for the browser that opened the link", async () => {
    const { browser, page, state, connectionId } = await openForm();
    const other = new Browser();
    expect((await other.get(page.url)).status).toBe(400);
    expect((await other.submit(page, { api_key: "k" })).status).toBe(400);
    const forged = await browser.submit(page, { api_key: "k", "nexus-csrf": "x" });
    expect(forged.status).toBe(400);
    expect(forged.body).toContain("foreign_form");
    const second = await openForm();
    expect((await browser.submit({ ...second.page, url: page.url }, { api_key: "k" })).status).toBe(400);
    expect((await connectionOf(connectionId))?.status).toBe(ConnectionStatus.PENDING);
    expect((await capture(state, { api_key: "k" })).status).toBe(ConnectionStatus.ACTIVE);
  });

  it("is refused from another site", async () => {
    const { browser, page, connectionId } = await openForm();
    const foreign = { ...page, url: "http://127.0.0.1:3999/evil" };
    const body = page.body.replace('action="/auth', `action="${world.place.config.publicUrl}/auth`);
    expect((await browser.submit({ ...foreign, body }, { api_key: "k" })).status).toBe(400);
    expect((await connectionOf(connectionId))?.status).toBe(ConnectionStatus.PENDING);
  });

  it("writes nothing of what was entered into the log", async () => {
    const { browser, page } = await openForm();
    await browser.submit(page, { api_key: "hunter2hunter2" });
    const state = new URL(page.url).searchParams.get("state") ?? "?";
    const log = world.place.logLines.join("");
    expect(log).not.toContain("hunter2");
    expect(log).not.toContain(state);
  });

  it("is drawn from the profile's own schema", async () => {
    const id = await registerStatic(world, {
      name: "custom",
      credentialSchema: {
        type: "object",
        title: "Connect <Acme>",
        properties: {
          api_key: { type: "string", title: "Key", pattern: "^sk-" },
          region: { type: "string", title: "Region", enum: ["eu", "us"], default: "us" },
          account: { type: "string", title: "Account" },
        },
        required: ["api_key", "region"],
      },
    });
    const { authUrl, connectionId } = await requestStatic(world, id);
    const browser = new Browser();
    const page = await browser.get(authUrl);
    expect(page.body).toContain("Connect &lt;Acme&gt;");
    const wrong = await browser.submit(page, { api_key: "x", account: "a&b", region: "eu" });
    expect(wrong.body).toContain("Key must have the form that the provider gives it");
    expect(wrong.body).toContain('value="a&amp;b"');
    expect(wrong.body).toContain('<option value="eu" selected="">');
    expect((await browser.submit(wrong, { api_key: "sk-1", region: "eu" })).status).toBe(200);
    const credentials = { api_key: "sk-1", region: "eu", account: "a&b" };
    expect(await tokenOf(connectionId)).toMatchObject({ credentials });
  });
});

describe("a credential_schema", () => {
  it("is judged when a profile is written", async () => {
    const bad = {
      type: "object",
      properties: { api_key: { type: "string", pattern: "(a)\\1" } },
      required: ["api_key"],
    };
    const pattern = 'provider.credential_schema.properties["api_key"].pattern';
    const create = registerStatic(world, { name: "bad", credentialSchema: bad });
    expect(await failureOf(create)).toMatchObject({ code: "InvalidArgument", fields: [pattern] });
    const update = world.clients.providers.updateProvider({
      provider: { id: providerId, credentialSchema: bad },
      updateMask: { paths: ["credential_schema"] },
    });
    expect(await failureOf(update)).toMatchObject({ code: "InvalidArgument", fields: [pattern] });
  });
});

describe("B9: a capture URL that is asked for with Accept: application/json", () => {
  const ask = (url: string, accept: string) => fetch(url, { headers: { accept }, redirect: "manual" });
  const wanting = [
    "application/json",
    "application/json, text/plain, */*",
    "text/html;q=0.5, application/json",
  ];

  it.each(wanting)("answers the schema of the form: %s", async (accept) => {
    const { authUrl, state, connectionId } = await requestStatic(world, providerId);
    const { schema } = await schemaOf(state);
    for (const url of [authUrl, authUrl.replace("/auth/start?", "/auth/capture?")]) {
      const answer = await ask(url, accept);
      expect([answer.status, answer.headers.get("content-type")]).toEqual([200, "application/json"]);
      expect([answer.headers.get("set-cookie"), answer.headers.get("cache-control")]).toEqual([
        null,
        "no-store",
      ]);
      expect(await answer.json()).toEqual({ provider_name: "acme", schema });
    }
    // Nothing is used up by it.
    expect(await capture(state, { api_key: "k" })).toMatchObject({ connectionId });
  });

  it.each(["", "*/*", "text/html,application/xhtml+xml,*/*;q=0.8", "application/json;q=0, */*"])(
    "is a page for whoever asks for %j",
    async (accept) => {
      const { authUrl } = await requestStatic(world, providerId);
      const answer = await ask(authUrl, accept);
      expect([answer.status, answer.headers.get("location")]).toEqual([
        303,
        expect.stringMatching(/^\/auth\/capture\?state=/),
      ]);
    },
  );

  it("says in JSON what is the matter with the link", async () => {
    const { authUrl, state } = await requestStatic(world, providerId);
    await capture(state, { api_key: "k" });
    for (const url of [authUrl, authUrl.replace("/auth/start?", "/auth/capture?")]) {
      const answer = await ask(url, "application/json");
      const body = (await answer.json()) as Record<string, string>;
      expect([answer.status, body["error"], body["code"]]).toEqual([
        404,
        "unknown_request",
        "unknown_request",
      ]);
      expect(body["message"]).toContain("used already");
      expect(JSON.stringify(body)).not.toContain(state);
    }
  });

  it("leads to the provider as ever where the link is one of oauth2", async () => {
    const { authUrl } = await world.clients.connections.requestConnection({
      userId: "ada",
      provider: { case: "providerId", value: oauthId },
    });
    const answer = await ask(authUrl, "application/json");
    expect([answer.status, answer.headers.get("location")]).toEqual([
      302,
      expect.stringContaining("response_type=code"),
    ]);
  });
});
