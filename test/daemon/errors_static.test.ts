/**
 * The errors of today's Nexus server that need static credentials or the audit log; the others are in `errors.test.ts`.
 * `MUTATION` says what was put back to see the test fail.
 */
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { JsonObject } from "../../src/model/json.js";
import { perSuite } from "../lifetimes.js";
import { json } from "../oauth/scripted_server.js";
import { failureOf } from "./errors.js";
import { Watcher } from "./harness.js";
import { goodTokens, returnUrl, ScriptedWorld } from "./scripted_world.js";

const world = perSuite(() => ScriptedWorld.make());
beforeEach(() => {
  world.answerToken = goodTokens();
  world.decision = "allow";
});

let count = 0;
async function registerStatic(profile: JsonObject): Promise<string> {
  const name = `static-${++count}`;
  const { status, body } = await world.rest.post("/v1/providers", { profile: { name, ...profile } });
  if (status !== 201) throw new Error(body.message);
  return body.id;
}

function capture(state: string, credentials: JsonObject) {
  return world.rest.post("/v1/capture-credential", { state, credentials });
}

describe("2: a static profile can be registered and connected", () => {
  const cases: [string, JsonObject, JsonObject, JsonObject][] = [
    [
      "api_key",
      {},
      { api_key: "k" },
      { type: "header", config: { header_name: "X-API-Key", value_prefix: "", credential_field: "api_key" } },
    ],
    [
      "api_key",
      { auth_header: "X-API-Key" },
      { api_key: "k" },
      { type: "header", config: { header_name: "X-API-Key", value_prefix: "", credential_field: "api_key" } },
    ],
    [
      "api_key",
      { params: { auth_strategy: { type: "query_param", config: { param_name: "key" } } } },
      { api_key: "k" },
      { type: "query_param", config: { param_name: "key", credential_field: "api_key" } },
    ],
    [
      "basic_auth",
      {},
      { username: "ada", password: "" },
      { type: "basic_auth", config: { username_field: "username", password_field: "password" } },
    ],
    [
      "header",
      { params: { header_name: "X-Token", value_prefix: "tok ", credential_field: "token" } },
      { token: "t" },
      { type: "header", config: { header_name: "X-Token", value_prefix: "tok ", credential_field: "token" } },
    ],
    [
      "query_param",
      { params: { param_name: "token" } },
      { api_key: "q" },
      { type: "query_param", config: { param_name: "token", credential_field: "api_key" } },
    ],
    [
      "hmac_payload",
      {
        params: {
          auth_strategy: { type: "hmac_payload", config: { header_name: "X-Sign", encoding: "base64" } },
        },
      },
      { api_secret: "s" },
      {
        type: "hmac_payload",
        config: { header_name: "X-Sign", secret_field: "api_secret", algo: "sha256", encoding: "base64" },
      },
    ],
    [
      "aws_sigv4",
      { params: { service: "s3", region: "eu-west-1" } },
      { access_key: "AK", secret_key: "SK" },
      { type: "aws_sigv4", config: { service: "s3", region: "eu-west-1" } },
    ],
  ];

  // MUTATION: `Connections.request` refuses every type but oauth2, api_key and basic_auth.
  it.each(cases)("%s %j", async (auth_type, profile, credentials, strategy) => {
    const providerId = await registerStatic({ auth_type, scopes: ["ignored"], ...profile });
    const { state, scopes, connection_id } = await world.request(providerId, { scopes: ["ignored"] });
    expect(scopes).toEqual([]);
    expect(await world.status(connection_id)).toBe("pending");

    const asked = await world.rest.get(`/v1/capture-schema?state=${encodeURIComponent(state)}`);
    expect(asked.body.provider_name).toMatch(/^static-/);
    expect(Object.keys(asked.body.schema.properties)).toEqual(
      expect.arrayContaining(Object.keys(credentials)),
    );

    const { status, body } = await capture(state, credentials);
    expect([status, body.connection_id, body.status]).toEqual([200, connection_id, "success"]);
    expect(body.redirect_url).toContain(`${returnUrl}&status=success&connection_id=${connection_id}`);
    // Not flat at the root, and without an end: clients of Nexus take a missing one for expired.
    const expires_at = Date.UTC(9999, 11, 31, 23, 59, 59) / 1_000;
    expect((await world.token(connection_id)).body).toEqual({ strategy, credentials, expires_at });
    expect(await world.status(connection_id)).toBe("active");
    const refused = await world.refresh(connection_id);
    expect([refused.status, refused.body.error]).toEqual([400, "static_token"]);
  });
});

describe("13: capture-credential", () => {
  // MUTATION: `CredentialCapture` reads the state without deleting it.
  it("takes one credential per state, whoever comes first", async () => {
    const { state, connection_id } = await world.request(await registerStatic({ auth_type: "api_key" }));
    const answers = await Promise.all(["one", "two", "three"].map((api_key) => capture(state, { api_key })));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 404, 404]);
    expect((await capture(state, { api_key: "four" })).body.error).toBe("invalid_state");
    expect((await world.rest.get(`/v1/capture-schema?state=${state}`)).body.error).toBe("invalid_state");
    expect(["one", "two", "three"]).toContain((await world.token(connection_id)).body.credentials.api_key);
  });

  // MUTATION: `CredentialCapture.capture` does not check the values.
  it.each([
    [{}],
    [{ api_key: 5 }],
    [{ api_key: "wrong" }],
    [{ api_key: "sk_1", another: "x" }],
    [{ api_key: ["sk_1"] }],
  ] as JsonObject[][])(
    "checks %j against the schema, and leaves the state usable",
    async (credentials = {}) => {
      const credential_schema = {
        type: "object",
        properties: { api_key: { type: "string", pattern: "^sk_", title: "Key" } },
        required: ["api_key"],
        additionalProperties: false,
      };
      const providerId = await registerStatic({ auth_type: "api_key", params: { credential_schema } });
      const { state, connection_id } = await world.request(providerId);
      const refused = await capture(state, credentials);
      expect([refused.status, refused.body.error]).toEqual([400, "invalid_argument"]);
      expect(refused.body.details.length).toBeGreaterThan(0);
      expect(await world.status(connection_id)).toBe("pending");
      expect((await capture(state, { api_key: "sk_1" })).status).toBe(200);
    },
  );

  // MUTATION: `CredentialCapture.find` takes a request of any type.
  it("refuses the state of an oauth2 request, and consumes nothing of it", async () => {
    const { state, authUrl, connection_id } = await world.request(await world.register());
    for (const refused of [
      await capture(state, { access_token: "forged" }),
      await world.rest.get(`/v1/capture-schema?state=${state}`),
    ]) {
      expect([refused.status, refused.body.error]).toEqual([400, "not_static"]);
    }
    await world.consent(authUrl);
    expect((await world.token(connection_id)).body.access_token).toBe("access-1-secret");
  });

  it.each([
    [{ state: "never-made", credentials: {} }, 404, "invalid_state"],
    [{ credentials: {} }, 404, "invalid_state"],
    [{ state: "x", credentials: "x" }, 400, "invalid_argument"],
  ])("answers %j by %i %s", async (body, status, error) => {
    const refused = await world.rest.post("/v1/capture-credential", body);
    expect([refused.status, refused.body.error]).toEqual([status, error]);
  });

  it("replaces what a later capture under the same connection brings, and the watcher sees it", async () => {
    const { state, connection_id } = await world.request(await registerStatic({ auth_type: "api_key" }));
    expect((await capture(state, { api_key: "old" })).status).toBe(200);
    const watcher = new Watcher(world.clients.tokens, { connectionIds: [connection_id] });
    const again = await world.clients.connections.requestConnection({ connectionId: connection_id });
    await capture(again.state, { api_key: "new" });
    const seen = await watcher.state(({ revision }) => revision === 2n);
    expect(seen.token?.credentials).toEqual({ api_key: "new" });
    watcher.cancel();
    expect((await world.token(connection_id)).body.credentials).toEqual({ api_key: "new" });
  });
});

describe("a captured credential is tried where the profile says how", () => {
  const tried = async (status: number) => {
    world.provider.script = (response) => void response.writeHead(status).end("upstream-leak-4711");
    const providerId = await registerStatic({
      auth_type: "api_key",
      api_base_url: world.provider.origin,
      user_info_endpoint: "/me",
    });
    const { state, connection_id } = await world.request(providerId);
    return { ...(await capture(state, { api_key: "tried-secret" })), connection_id, state };
  };

  it.each([401, 403])("%i rejects it", async (status) => {
    const answer = await tried(status);
    expect([answer.status, answer.body.error]).toEqual([400, "credential_rejected"]);
    expect(await world.status(answer.connection_id)).toBe("pending");
    expect(JSON.stringify(answer.body)).not.toContain("leak");
  });

  it.each([500, 404])("%i is reported, and not taken for success", async (status) => {
    const answer = await tried(status);
    expect([answer.status, answer.body.error]).toEqual([503, "unavailable"]);
    expect(await world.status(answer.connection_id)).toBe("pending");
  });

  it("200 lets it in", async () => {
    expect((await tried(200)).status).toBe(200);
    expect(world.place.logLines.join("")).not.toContain("tried-secret");
  });
});

describe("the audit log", () => {
  const own = perSuite(() => ScriptedWorld.make());
  let connectionId: string;
  beforeAll(async () => {
    connectionId = await own.connect(await own.register());
  });
  type Event = Record<string, string>;
  const events = async (query = ""): Promise<Event[]> =>
    (await own.rest.get(`/v1/audit${query}`)).body.events;
  const types = (list: Event[]) => list.map(({ event_type }) => event_type);

  it("is read over REST, the newest first, by page, type, connection and time", async () => {
    const all = await events("?limit=1000");
    expect(types(all)).toEqual(
      expect.arrayContaining(["oauth_flow_completed", "connection.requested", "provider.created"]),
    );
    const sequences = all.map(({ sequence }) => Number(sequence));
    expect(sequences).toEqual([...sequences].sort((a, b) => b - a));
    expect(new Set(types(await events("?event_type=provider.created")))).toEqual(
      new Set(["provider.created"]),
    );
    const ours = await events(`?connection_id=${connectionId}`);
    expect(new Set(ours.map(({ connection_id }) => connection_id))).toEqual(new Set([connectionId]));
    expect(await events("?since=2999-01-01T00:00:00Z")).toEqual([]);
    const first = (await own.rest.get("/v1/audit?limit=1")).body;
    const second = (await own.rest.get(`/v1/audit?limit=1&page_token=${first.next_page_token}`)).body;
    expect(second.events[0].sequence).toBe(first.events[0].sequence - 1);
    expect((await own.rest.get("/audit?limit=2")).body).toHaveLength(2);
  });

  // MUTATION: `identify` takes the origin from `x-forwarded-for`.
  it("14: says the address of the socket, whatever X-Forwarded-For says", async () => {
    const headers = {
      "x-api-key": own.place.apiKey,
      "x-forwarded-for": "203.0.113.7",
      "x-real-ip": "203.0.113.7",
    };
    const profile = { name: "forwarded", auth_type: "api_key" };
    expect((await own.rest.send("POST", "/v1/providers", { profile }, headers)).status).toBe(201);
    const [created] = await events("?event_type=provider.created&limit=1");
    expect(created).toMatchObject({ principal: "admin", origin: "127.0.0.1" });
  });

  // MUTATION: `sanitisedCode` lets every text pass.
  it("17: holds no code, no state, no token and no text of a provider", async () => {
    const leak = "upstream-leak-4711";
    own.answerToken = () => json({ error: leak, error_description: leak }, 400);
    await own.refresh(connectionId);
    const { authUrl, state } = await own.request(await own.register());
    await own.consent(authUrl);
    const written = JSON.stringify(await events("?limit=1000"));
    expect(types(await events())).toEqual(
      expect.arrayContaining(["token_refresh_failed", "token_exchange_failed"]),
    );
    for (const secret of [
      leak,
      state,
      "code-1-secret",
      "code-2-secret",
      "access-1-secret",
      "refresh-1-secret",
    ]) {
      expect(written.includes(secret), secret).toBe(false);
    }
  });

  it("19: puts a read of a token on record, and a missing connection is still missing", async () => {
    await own.token(connectionId);
    const reads = await events(`?event_type=token_retrieved&connection_id=${connectionId}`);
    expect(reads.length).toBeGreaterThan(0);
    const unknown = own.clients.tokens.getToken({ connectionId: "00000000-0000-4000-8000-000000000000" });
    expect((await failureOf(unknown)).code).toBe("NotFound");
  });
});
