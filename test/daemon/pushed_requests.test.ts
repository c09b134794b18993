import { beforeEach, describe, expect, it } from "vitest";
import { ConnectionStatus } from "../../src/gen/nexus/v1/connection_pb.js";
import { TokenEndpointAuthMethod } from "../../src/gen/nexus/v1/provider_pb.js";
import { perTest } from "../lifetimes.js";
import { json, type ScriptedRequest } from "../oauth/scripted_server.js";
import { World } from "./harness.js";
import { consented, registeredAt, requestOf } from "./requests.js";
import { ScriptedWorld } from "./scripted_world.js";

describe("pushed authorization requests at oidc-provider, which takes no others", () => {
  const world = perTest(() => World.make({ requirePushedRequests: true }));

  it.each(["post", "basic"] as const)("consents and refreshes as client %s", async (kind) => {
    const { clientId, clientSecret } = world.provider.clients[kind];
    const method =
      kind === "post"
        ? TokenEndpointAuthMethod.CLIENT_SECRET_POST
        : TokenEndpointAuthMethod.CLIENT_SECRET_BASIC;
    const client = { clientId, clientSecret, tokenEndpointAuthMethod: method };
    await registeredAt(world.provider, world.clients, { ...client, scopes: ["openid", "offline_access"] });
    const { connections, tokens } = world.clients;
    const connectionId = await consented(world.clients, requestOf("op"));
    const { connection } = await connections.getConnection({ connectionId });
    expect(connection).toMatchObject({ status: ConnectionStatus.ACTIVE, refreshable: true });
    expect((await tokens.refreshToken({ connectionId })).token?.revision).toBe(2n);
  });

  it("lets a link be opened twice, each time with a request of its own", async () => {
    await registeredAt(world.provider, world.clients);
    const { authUrl } = await world.clients.connections.requestConnection(requestOf("op"));
    const [first, second] = await Promise.all([1, 2].map(() => fetch(authUrl, { redirect: "manual" })));
    const uris = [first, second].map((answer) => new URL(answer?.headers.get("location") ?? "").searchParams);
    expect(uris.map((query) => [...query.keys()])).toEqual([
      ["client_id", "request_uri"],
      ["client_id", "request_uri"],
    ]);
    expect(uris[0]?.get("request_uri")).not.toBe(uris[1]?.get("request_uri"));
  });
});

describe("pushed authorization requests", () => {
  const world = perTest(() => ScriptedWorld.make());
  let pushed: ScriptedRequest[];
  let answer = json({ request_uri: "urn:example:1", expires_in: 60 }, 201);

  beforeEach(() => {
    pushed = [];
    answer = json({ request_uri: "urn:example:1", expires_in: 60 }, 201);
    const serve = world.provider.script;
    world.provider.script = (response, request) => {
      if (request.path !== "/par") return serve(response, request);
      pushed.push(request);
      answer(response, request);
    };
  });

  const opened = async (options: object = {}) => {
    const oauth2_options = {
      push_authorization_requests: true,
      pushed_authorization_request_url: `${world.provider.origin}/par`,
      ...options,
    };
    const request = await world.request(await world.register({ oauth2_options, scopes: ["read"] }));
    connectionId = request.connection_id;
    return await fetch(request.authUrl, { redirect: "manual" });
  };
  let connectionId = "";
  const connection = async () => (await world.clients.connections.getConnection({ connectionId })).connection;

  it("hold what the browser would have carried, with the client's authentication", async () => {
    const { status, headers } = await opened();
    expect(status).toBe(302);
    const location = new URL(headers.get("location") ?? "");
    expect(Object.fromEntries(location.searchParams)).toEqual({
      client_id: "the-client",
      request_uri: "urn:example:1",
    });
    expect(Object.fromEntries(pushed[0]?.form ?? [])).toMatchObject({
      client_id: "the-client",
      client_secret: "the-client-secret",
      response_type: "code",
      scope: "read",
      code_challenge_method: "S256",
      state: expect.any(String),
      redirect_uri: expect.stringContaining("/auth/callback/"),
    });
  });

  it.each([
    ["503", () => json({}, 503), {}, 503],
    ["no request_uri", () => json({ expires_in: 60 }, 201), {}, 502],
    ["a page", () => json("<html>", 200), {}, 502],
    ["no endpoint", () => json({}), { pushed_authorization_request_url: "" }, 502],
  ])("say on the page that they came to nothing: %s", async (_what, script, options, expected) => {
    answer = script();
    const page = await opened(options);
    const body = await page.text();
    expect([page.status >= 500, body.includes("the-client-secret")]).toEqual([true, false]);
    expect(page.status).toBe(expected);
  });

  it.each([
    [400, "invalid_request", "authorization_failed", "HTTP status 400, invalid_request"],
    [400, "invalid_redirect_uri", "authorization_failed", "register this redirect URI at the provider"],
    [401, "invalid_client", "client_rejected", "HTTP status 401, invalid_client"],
    [403, "unknown_word", "authorization_failed", "HTTP status 403, unknown_word"],
  ])("that are refused end the consent, with the reason: %i %s", async (status, error, reason, detail) => {
    answer = json({ error }, status);
    const returned = new URL((await opened()).headers.get("location") ?? "");
    expect(returned.searchParams.get("error")).toBe(error);
    expect(await connection()).toMatchObject({
      status: ConnectionStatus.FAILED,
      problem: { reason, message: expect.stringContaining(detail) },
    });
  });

  it.each([429, 503])("that are put off by %i leave the consent as it is", async (status) => {
    answer = json({ error: "slow_down" }, status);
    expect((await opened()).status).toBe(503);
    expect((await connection())?.status).toBe(ConnectionStatus.PENDING);
  });
});
