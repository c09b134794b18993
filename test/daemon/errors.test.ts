/**
 * What today's clients of Nexus meet at REST and at `NexusService` alone. `rest.test.ts` has the routes, and `capture.test.ts` and the
 * files beside it the same cases by RPC.
 */

import { createClient } from "@connectrpc/connect";
import { beforeEach, describe, expect, it } from "vitest";
import { NexusService } from "../../src/gen/nexus/v1/nexus_pb.js";
import type { JsonObject } from "../../src/model/json.js";
import { perSuite } from "../lifetimes.js";
import { json } from "../oauth/scripted_server.js";
import { failureOf } from "./errors.js";
import { socketTransport } from "./harness.js";
import { goodTokens, returnUrl, ScriptedWorld } from "./scripted_world.js";

const unknownId = "00000000-0000-4000-8000-000000000000";
const leak = "upstream-leak-4711";

const world = perSuite(() => ScriptedWorld.make());
beforeEach(() => {
  world.answerToken = goodTokens();
});

/** A token endpoint that is good for the code and answers a refresh as told. */
function refusing(status: number, body: object, headers: Record<string, string> = {}) {
  const good = goodTokens();
  return (request: Parameters<ReturnType<typeof goodTokens>>[0]) =>
    request.form.get("grant_type") === "refresh_token" ? json(body, status, headers) : good(request);
}

let count = 0;
const registerStatic = (profile: JsonObject): Promise<string> =>
  world.register({
    name: `static-${++count}`,
    client_id: "",
    client_secret: "",
    auth_url: "",
    token_url: "",
    ...profile,
  });
const capture = (state: string, credentials: JsonObject) =>
  world.rest.post("/v1/capture-credential", { state, credentials });

it.each([
  [429, { error: "rate_limited" }, 503],
  [401, { error: "invalid_client" }, 409],
])(
  "a refresh that is answered %i %j leaves the connection active and its token usable",
  async (status, body, said) => {
    const connectionId = await world.connect(await world.register());
    const before = (await world.token(connectionId)).body;
    world.answerToken = refusing(status, body, { "retry-after": "1" });
    expect((await world.refresh(connectionId)).status).toBe(said);
    expect(await world.status(connectionId)).toBe("active");
    expect((await world.token(connectionId)).body).toEqual(before);
    world.answerToken = () => json({ access_token: "fixed", token_type: "Bearer", expires_in: 3600 });
    // The daemon waits as long as the provider asked, and probes a profile that was refused.
    let fixed = await world.refresh(connectionId);
    for (let minute = 0; minute < 30 && fixed.status !== 200; minute++) {
      world.clock.advance(60_000);
      fixed = await world.refresh(connectionId);
    }
    expect(fixed.body.access_token).toBe("fixed");
  },
);

it("codes and states are not logged, and a provider's error body is told to nobody", async () => {
  const providerId = await world.register();
  const { authUrl, state, connection_id } = await world.request(providerId);
  await world.consent(authUrl);
  world.answerToken = refusing(400, { error: leak, error_description: leak, trace: leak });
  const failed = await world.refresh(connection_id);
  expect(failed.status).toBe(503);
  world.answerToken = () => json(`<h1>${leak}</h1>`, 502);
  const second = await world.request(providerId);
  const page = await world.consent(second.authUrl);
  const told = JSON.stringify([failed.body, (await world.token(connection_id)).body, page]);
  const log = world.place.logLines.join("");
  expect(log.length).toBeGreaterThan(1000);
  expect(told.includes(leak)).toBe(false);
  const audit = JSON.stringify((await world.rest.get("/v1/audit?limit=1000")).body);
  expect(audit).toContain("token_refresh_failed");
  expect(audit).toContain("token_exchange_failed");
  for (const secret of [leak, state, second.state, "code-1-secret", "code-2-secret", "access-1-secret"]) {
    expect([log.includes(secret), audit.includes(secret)], secret).toEqual([false, false]);
  }
});

it("the audit log says the address of the socket, whatever X-Forwarded-For says", async () => {
  const headers = {
    "x-api-key": world.place.apiKey,
    "x-forwarded-for": "203.0.113.7",
    "x-real-ip": "203.0.113.7",
  };
  const profile = { name: "forwarded", auth_type: "api_key" };
  expect((await world.rest.send("POST", "/v1/providers", { profile }, headers)).status).toBe(201);
  const { events } = (await world.rest.get("/v1/audit?event_type=provider.created&limit=1")).body;
  expect(events[0]).toMatchObject({ principal: "admin", origin: "127.0.0.1" });
});

it("gRPC answers a missing or inactive connection with an error, not with an empty token", async () => {
  const nexus = createClient(NexusService, socketTransport(world.place.socket));
  const missing = { connectionId: unknownId };
  expect((await failureOf(nexus.getToken(missing))).code).toBe("NotFound");
  expect((await failureOf(nexus.refreshConnection(missing))).code).toBe("NotFound");
  expect((await failureOf(nexus.checkConnection(missing))).code).toBe("NotFound");
  expect((await failureOf(nexus.getToken({ connectionId: "no-id" }))).code).toBe("InvalidArgument");
  const providerId = await world.register();
  const pending = { connectionId: (await world.request(providerId)).connection_id };
  expect(await nexus.checkConnection(pending)).toMatchObject({ status: "pending", state: "pending" });
  expect(await failureOf(nexus.getToken(pending))).toMatchObject({
    code: "FailedPrecondition",
    reason: "CONNECTION_PENDING",
  });
  const active = { connectionId: await world.connect(providerId) };
  expect((await nexus.getToken(active)).token).toEqual((await world.token(active.connectionId)).body);
  await world.clients.connections.revokeConnection(active);
  expect((await failureOf(nexus.getToken(active))).reason).toBe("CONNECTION_REVOKED");
  const request = nexus.requestConnection({ userId: "ada", providerName: "nobody" });
  expect((await failureOf(request)).code).toBe("NotFound");
});

describe("a static profile over REST", () => {
  const header = (header_name: string, value_prefix: string, credential_field: string) => ({
    type: "header",
    config: { header_name, value_prefix, credential_field },
  });
  const query = (param_name: string) => ({
    type: "query_param",
    config: { param_name, credential_field: "api_key" },
  });
  const sign = { header_name: "X-Sign", encoding: "base64" };
  const cases: [string, JsonObject, JsonObject, JsonObject][] = [
    ["api_key", {}, { api_key: "k" }, header("X-API-Key", "", "api_key")],
    ["api_key", { auth_header: "X-API-Key" }, { api_key: "k" }, header("X-API-Key", "", "api_key")],
    [
      "api_key",
      { params: { auth_strategy: { type: "query_param", config: { param_name: "key" } } } },
      { api_key: "k" },
      query("key"),
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
      header("X-Token", "tok ", "token"),
    ],
    ["query_param", { params: { param_name: "token" } }, { api_key: "q" }, query("token")],
    [
      "hmac_payload",
      { params: { auth_strategy: { type: "hmac_payload", config: sign } } },
      { api_secret: "s" },
      { type: "hmac_payload", config: { ...sign, secret_field: "api_secret", algo: "sha256" } },
    ],
    [
      "aws_sigv4",
      { params: { service: "s3", region: "eu-west-1" } },
      { access_key: "AK", secret_key: "SK" },
      { type: "aws_sigv4", config: { service: "s3", region: "eu-west-1" } },
    ],
  ];

  it.each(cases)(
    "of type %s %j is connected, and read",
    async (auth_type, profile, credentials, strategy) => {
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
    },
  );

  it("is refused in the contract's words, and the state stays usable", async () => {
    const tried = { api_base_url: world.provider.origin, user_info_endpoint: "/me" };
    const { state, connection_id } = await world.request(
      await registerStatic({ auth_type: "api_key", ...tried }),
    );
    const refused = async (credentials: JsonObject) => {
      const { status, body } = await capture(state, credentials);
      expect(JSON.stringify(body)).not.toContain(leak);
      expect(await world.status(connection_id)).toBe("pending");
      return [status, body.error, body.details?.length];
    };
    expect(await refused({ api_key: 5 })).toEqual([400, "invalid_argument", 1]);
    for (const [answer, status, error] of [
      [403, 400, "credential_rejected"],
      [500, 503, "unavailable"],
    ] as const) {
      world.api.set("/me", (response) => void response.writeHead(answer).end(leak));
      expect(await refused({ api_key: "tried-secret" })).toEqual([status, error, undefined]);
    }
    world.api.set("/me", json({}));
    expect((await capture(state, { api_key: "tried-secret" })).status).toBe(200);
    expect((await world.rest.get(`/v1/capture-schema?state=${state}`)).body.error).toBe("invalid_state");
    expect(world.place.logLines.join("")).not.toContain("tried-secret");
  });

  it("is no profile of oauth2, and nothing of such a state is consumed", async () => {
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
});
