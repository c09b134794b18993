import { readFileSync } from "node:fs";
import { Validator } from "@seriousme/openapi-schema-validator";
import { beforeAll, describe, expect, it } from "vitest";
import { AuthType } from "../../src/gen/nexus/v1/provider_pb.js";
import { restTable } from "../../src/server/rest/table.js";
import { Browser, consent } from "../fakes/browser.js";
import { perSuite } from "../lifetimes.js";
import { World } from "./harness.js";
import type { RestClient } from "./rest_client.js";

const unknownId = "00000000-0000-4000-8000-000000000000";
const manual = {
  name: "github",
  client_id: "id",
  client_secret: "a very secret secret",
  auth_url: "https://github.com/login/oauth/authorize",
  token_url: "https://github.com/login/oauth/access_token",
  scopes: ["repo"],
};

describe("the REST routes", () => {
  const world = perSuite(() => World.make());
  let rest: RestClient;
  let connectionId: string;
  let providerId: string;
  beforeAll(async () => {
    rest = await world.rest();
    providerId = await world.register();
    connectionId = await world.connect(providerId);
  });

  it("describe themselves, to anybody, in valid OpenAPI 3.1", async () => {
    const response = await fetch(`${world.place.httpUrl}/openapi.json`);
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toBe("application/json");
    const text = await response.text();
    const result = await new Validator().validate(JSON.parse(text));
    expect(result.errors).toBeUndefined();
    expect(result.valid).toBe(true);
    const { openapi, paths } = JSON.parse(text);
    expect(openapi).toMatch(/^3\.1\./);
    const documented = Object.entries<object>(paths).flatMap(([path, operations]) =>
      Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`),
    );
    const served = restTable.map(({ method, path }) => `${method} ${path}`);
    expect(documented.sort()).toEqual([...served, "GET /v1/authorize/{connection_id}"].sort());
    const ids = restTable.map(({ operationId }) => operationId);
    expect(new Set(ids).size).toBe(ids.length);
  });

  describe("of providers", () => {
    let id: string;

    it("say at POST that discovery fails, and what issuer to set", async () => {
      const issuer = `${world.provider.issuer}/`;
      const profile = {
        name: "slash",
        client_id: "id",
        client_secret: "a secret",
        issuer,
        enable_discovery: true,
      };
      const { status, body } = await rest.post("/v1/providers", {
        profile: { ...profile, scopes: ["read"] },
      });
      expect(status).toBe(201);
      expect(body.message).toContain(`set the issuer of the profile to ${world.provider.issuer}`);
      await world.clients.providers.deleteProvider({ id: body.id });
    });

    it.each(["/v1/providers", "/providers"])("POST %s answers 201 with the id", async (path) => {
      const name = path === "/providers" ? "gitlab" : "github";
      const created = await rest.post(path, { profile: { ...manual, name, unknown: 1, issuer: null } });
      expect(created.status).toBe(201);
      expect(created.body).toEqual({ id: expect.any(String), message: expect.any(String) });
      id = created.body.id;
    });

    it("have the default header of an RPC for an API key, which a manifest does not change", async () => {
      const profile = { name: "bare-key", auth_type: "api_key", api_base_url: "https://api.example.com" };
      const created = await rest.post("/v1/providers", { profile });
      const { providers } = world.clients;
      const { provider } = await providers.createProvider({
        provider: { name: "bare-rpc", authType: AuthType.API_KEY, apiBaseUrl: "https://api.example.com" },
      });
      const { provider: posted } = await providers.getProvider({
        key: { case: "id", value: created.body.id },
      });
      expect(posted?.strategy?.kind).toMatchObject({ case: "header", value: { headerName: "X-API-Key" } });
      expect(provider?.strategy).toEqual(posted?.strategy);
      await Promise.all([
        providers.deleteProvider({ id: created.body.id }),
        providers.deleteProvider({ id: provider?.id ?? "" }),
      ]);
    });

    it("answers 409 when the name is taken", async () => {
      const again = await rest.post("/v1/providers", { profile: { ...manual, name: "github" } });
      expect([again.status, again.body.error]).toEqual([409, "already_exists"]);
      expect(again.body.message).toContain('"github"');
    });

    it.each(["GitLab-2", " gitlab-2"])("answers 400 to the name %j, and stores nothing", async (name) => {
      const refused = await rest.post("/v1/providers", { profile: { ...manual, name } });
      expect([refused.status, refused.body.details[0].field]).toEqual([400, "name"]);
      expect((await rest.get("/providers/by-name/gitlab-2")).status).toBe(404);
    });

    it("answers 400 with every error named, by the fields of the contract", async () => {
      const { status, body } = await rest.post("/v1/providers", {
        profile: { name: "-x-", scopes: "repo", enable_discovery: "yes", token_url: "http://example.com" },
      });
      expect([status, body.error]).toEqual([400, "invalid_argument"]);
      const fields = body.details.map(({ field }: { field: string }) => field);
      expect(fields.sort()).toEqual(
        ["auth_url", "client_id", "client_secret", "enable_discovery", "name", "scopes", "token_url"].sort(),
      );
      for (const field of fields) expect(body.message).toContain(`${field}: `);
      const judged = await rest.post("/v1/providers", { profile: { name: "x", auth_type: "query_param" } });
      expect(judged.body.details[0].field).toBe("params.auth_strategy.config.param_name");
    });

    it.each([
      ["no profile", {}, "missing_profile"],
      ["a null profile", { profile: null }, "missing_profile"],
      ["a profile of text", { profile: "x" }, "invalid_argument"],
      ["an unknown type", { profile: { name: "x", auth_type: "magic" } }, "invalid_argument"],
    ])("refuses %s", async (_name, body, error) => {
      const refused = await rest.post("/v1/providers", body);
      expect([refused.status, refused.body.error]).toEqual([400, error]);
    });

    it.each(["/v1/providers", "/providers"])(
      "GET %s/{id} answers the profile without its secret",
      async (path) => {
        const { status, body } = await rest.get(`${path}/${id}`);
        expect(status).toBe(200);
        expect(body).toMatchObject({ id, auth_type: "oauth2", scopes: ["repo"], client_secret_set: true });
        expect(JSON.stringify(body)).not.toContain(manual.client_secret);
        expect((await rest.get(`${path}/${id.toUpperCase()}/`)).body).toEqual(body);
      },
    );

    it("GET /v1/providers and its kin group by type and name", async () => {
      const { body } = await rest.get("/v1/providers");
      expect(body.oauth2.gitlab).toEqual({
        id,
        api_base_url: "",
        user_info_endpoint: "",
        scopes: ["repo"],
        description: "",
        category: "",
      });
      expect((await rest.get("/v1/providers/metadata")).body).toEqual(body);
      expect((await rest.get("/providers/metadata")).body).toEqual(body);
      const names = (await rest.get("/providers")).body;
      expect(names).toContainEqual({ id, name: "gitlab" });
      expect(Object.keys(names[0])).toEqual(["id", "name"]);
    });

    it("GET /providers/by-name/{name} trims and lower-cases, and decodes its path", async () => {
      expect((await rest.get("/providers/by-name/%20GitLab%20")).body.id).toBe(id);
      expect((await rest.get("/providers/by-name/nobody")).body.error).toBe("provider_not_found");
      const broken = await rest.get("/providers/by-name/%zz");
      expect([broken.status, broken.body.error]).toEqual([400, "bad_request"]);
    });

    it.each([
      ["PUT", "/v1/providers"],
      ["PATCH", "/v1/providers"],
      ["PUT", "/providers"],
      ["PATCH", "/providers"],
    ])("%s %s/{id} changes what is present and nothing else", async (method, path) => {
      const before = (await rest.get(`${path}/${id}`)).body;
      const description = `by ${method} ${path}`;
      // The last as the GitOps client sends it: everything that it knows, the rest null.
      const known = { name: before.name, enable_discovery: false, params: null };
      for (const more of [{ client_secret: "" }, { ...known, client_secret: null }]) {
        const changed = await rest.send(method, `${path}/${id}`, { description, scopes: null, ...more });
        expect(changed.status).toBe(200);
        expect(changed.body).toEqual({ ...before, description, updated_at: expect.any(String) });
      }
    });

    it.each(["PUT", "PATCH"])(
      "%s refuses an unknown id, another type, a taken name and a bad value",
      async (method) => {
        const change = async (of: string, body: object) => {
          const answer = await rest.send(method, `/v1/providers/${of}`, { ...body });
          return [answer.status, answer.body.error, answer.body.details?.[0].field];
        };
        expect(await change(unknownId, { description: "x" })).toEqual([404, "provider_not_found", undefined]);
        expect(await change("x", { description: "x" })).toEqual([400, "invalid_argument", "id"]);
        expect(await change(id, { name: "github" })).toEqual([409, "already_exists", undefined]);
        expect(await change(id, { auth_type: "api_key" })).toEqual([400, "invalid_argument", "auth_type"]);
        expect(await change(id, { name: "" })).toEqual([400, "invalid_argument", "name"]);
        expect(await change(id, { auth_type: "oauth2", token_url: "x" })).toEqual([
          400,
          "invalid_argument",
          "token_url",
        ]);
      },
    );

    it("lets two changes at once both count", async () => {
      const changes = [
        { description: "both" },
        { category: "count" },
        { api_base_url: "https://api.example" },
      ];
      await Promise.all(changes.map((change) => rest.send("PATCH", `/v1/providers/${id}`, change)));
      expect((await rest.get(`/v1/providers/${id}`)).body).toMatchObject(Object.assign({}, ...changes));
    });

    it.each(["/v1/providers", "/providers"])(
      "DELETE %s/{id} says how many connections are left",
      async (path) => {
        const doomed = await world.register("doomed");
        await rest.post("/v1/request-connection", { user_id: "ada", provider_id: doomed });
        const deleted = await rest.send("DELETE", `${path}/${doomed}`);
        expect(deleted.body).toEqual({ message: expect.stringContaining("1"), orphaned_connections: 1 });
        expect((await rest.send("DELETE", `${path}/${doomed}`)).status).toBe(404);
      },
    );
  });

  describe("of connections", () => {
    it("request one by id or name, and tell its state from pending to active", async () => {
      const { status, body } = await rest.post("/v1/request-connection", {
        user_id: "ada",
        provider_name: " OP ",
        scopes: null,
        return_url: "http://127.0.0.1:3999/back",
        metadata: { any: 1 },
        action: "connect",
      });
      expect(status).toBe(200);
      expect(Object.keys(body).sort()).toEqual([
        "authUrl",
        "connection_id",
        "provider_id",
        "scopes",
        "state",
      ]);
      expect(body).toMatchObject({ provider_id: providerId, scopes: ["openid", "email"] });
      const check = async () => (await rest.get(`/v1/check-connection/${body.connection_id}`)).body;
      expect(await check()).toEqual({ status: "pending", state: "pending" });
      const pending = await rest.get(`/v1/token/${body.connection_id}`);
      expect([pending.status, pending.body.error]).toEqual([409, "connection_pending"]);
      const page = await consent(new Browser(), body.authUrl, "allow", (url) => url.includes(":3999/"));
      expect(new URL(page.url).searchParams.get("connection_id")).toBe(body.connection_id);
      expect(await check()).toEqual({ status: "active", state: "active" });
    });

    it("take the broker's request too, with workspace_id for user_id", async () => {
      const { status, body } = await rest.post("/auth/consent-spec", {
        workspace_id: "w-1",
        provider_id: providerId.toUpperCase(),
        scopes: ["openid", "openid"],
      });
      expect([status, body.scopes]).toEqual([200, ["openid"]]);
      const { connection } = await world.clients.connections.getConnection({
        connectionId: body.connection_id,
      });
      expect(connection?.userId).toBe("w-1");
    });

    it.each([
      [{ user_id: "a", provider_id: unknownId }, 404, "provider_not_found", undefined],
      [{ user_id: "a", provider_name: "nobody" }, 404, "provider_not_found", undefined],
      [{ user_id: "a", provider_id: "x" }, 400, "invalid_argument", "provider_id"],
      [{ user_id: "a" }, 400, "invalid_argument", "provider"],
      [{ provider_name: "op" }, 400, "invalid_argument", "user_id"],
      [{ user_id: 1, provider_name: "op" }, 400, "invalid_argument", "user_id"],
      [{ user_id: "a", provider_name: "op", scopes: "a" }, 400, "invalid_argument", "scopes"],
      [
        { user_id: "a", provider_name: "op", return_url: "http://evil.example" },
        400,
        "invalid_argument",
        "return_url",
      ],
    ])("answer %j by %i %s", async (body, status, error, field) => {
      const refused = await rest.post("/v1/request-connection", body);
      expect([refused.status, refused.body.error, refused.body.details?.[0].field]).toEqual([
        status,
        error,
        field,
      ]);
    });

    it.each([
      ["GET", "/v1/check-connection/"],
      ["GET", "/v1/token/"],
      ["POST", "/v1/refresh/"],
    ])("%s %s{id}: 404 for an unknown id, 400 for what is no id", async (method, path) => {
      const unknown = await rest.send(method, path + unknownId);
      expect([unknown.status, unknown.body.error]).toEqual([404, "connection_not_found"]);
      const malformed = await rest.send(method, `${path}no%2Fid`);
      expect([malformed.status, malformed.body.details[0].field]).toEqual([400, "connection_id"]);
    });

    it("confirm nothing that does not wait for it", async () => {
      const body = { connection_id: connectionId, completion_code: "x" };
      const answer = await rest.post("/v1/confirm-connection", body);
      expect([answer.status, answer.body.error]).toEqual([409, "not_awaiting_confirmation"]);
      const bare = await rest.post("/v1/confirm-connection", { ...body, completion_code: "" });
      expect([bare.status, bare.body.details[0].field]).toEqual([400, "completion_code"]);
    });

    it.each([
      [{ state: "never-made", credentials: {} }, 404, "invalid_state"],
      [{ credentials: {} }, 404, "invalid_state"],
      [{ state: "x", credentials: "x" }, 400, "invalid_argument"],
    ])(
      "capture static credentials by a state that exists: %j is answered by %i %s",
      async (body, status, error) => {
        const refused = await rest.post("/v1/capture-credential", body);
        expect([refused.status, refused.body.error]).toEqual([status, error]);
        const schema = await rest.get("/v1/capture-schema?state=none");
        expect([schema.status, schema.body.error]).toEqual([404, "invalid_state"]);
      },
    );
  });

  describe("of tokens", () => {
    it.each(["/v1/token/{id}", "/connections/{id}/token"])(
      "GET %s answers strategy and credentials",
      async (path) => {
        const { status, body } = await rest.get(path.replace("{id}", connectionId));
        const { token } = await world.clients.tokens.getToken({ connectionId, includeIdToken: true });
        expect(status).toBe(200);
        const expiresAt = Number(token?.expiresAt?.seconds);
        const credentials = {
          access_token: token?.credentials["access_token"],
          token_type: "Bearer",
          scope: token?.grantedScopes.join(" "),
          id_token: token?.idToken,
          expires_at: new Date(expiresAt * 1_000).toISOString(),
          expired: false,
        };
        expect(body).toEqual({
          ...credentials,
          credentials,
          strategy: {
            type: "oauth2",
            config: {
              header_name: "Authorization",
              value_prefix: "Bearer ",
              credential_field: "access_token",
            },
          },
          expires_at: expiresAt,
          expires_in: expect.any(Number),
        });
        expect(body.id_token).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+$/);
        expect(body.expires_in).toBeGreaterThan(0);
        expect(body.expires_in).toBeLessThanOrEqual(3_600);
        expect(JSON.stringify(body)).not.toContain("refresh_token");
      },
    );

    it.each(["/v1/refresh/{id}", "/connections/{id}/refresh"])(
      "POST %s answers a new token",
      async (path) => {
        const before = (await rest.get(`/v1/token/${connectionId}`)).body;
        const refreshed = await rest.post(path.replace("{id}", connectionId));
        expect(refreshed.status).toBe(200);
        expect(refreshed.body.access_token).not.toBe(before.access_token);
        expect((await rest.get(`/v1/token/${connectionId}`)).body).toEqual({
          ...refreshed.body,
          expires_in: expect.any(Number),
        });
      },
    );

    it("answer 503 with Retry-After while the provider cannot be asked", async () => {
      await world.provider.setOutage("503");
      const failed = await rest.post(`/v1/refresh/${connectionId}`);
      await world.provider.setOutage("none");
      expect([failed.status, failed.body.error]).toEqual([503, "unavailable"]);
      expect(Number(failed.headers.get("retry-after"))).toBeGreaterThan(0);
    });

    it("answer 409 attention_required when the user must consent again, and 409 once it is revoked", async () => {
      const lost = await world.connect(providerId, "lost");
      await world.provider.revokeAllGrants();
      const refused = await rest.post(`/v1/refresh/${lost}`);
      expect([refused.status, refused.body.error]).toEqual([409, "attention_required"]);
      expect((await rest.get(`/v1/token/${lost}`)).body.error).toBe("attention_required");
      expect((await rest.get(`/v1/check-connection/${lost}`)).body).toEqual({
        status: "failed",
        state: "attention",
      });
      await world.clients.connections.revokeConnection({ connectionId: lost });
      expect((await rest.get(`/v1/token/${lost}`)).body.error).toBe("connection_revoked");
      expect((await rest.get(`/v1/check-connection/${lost}`)).body).toEqual({
        status: "failed",
        state: "revoked",
      });
    });
  });

  describe("of the broker", () => {
    it("DELETE /providers/by-name/{name} deletes by name, and answers 404 where there is none", async () => {
      await rest.post("/providers", { profile: { ...manual, name: "by-name" } });
      const deleted = await rest.send("DELETE", "/providers/by-name/By-Name");
      expect([deleted.status, deleted.body]).toEqual([
        200,
        { message: expect.any(String), orphaned_connections: 0 },
      ]);
      const again = await rest.send("DELETE", "/providers/by-name/by-name");
      expect([again.status, again.body.error]).toEqual([404, "provider_not_found"]);
    });

    it("GET /health needs no key; GET /metrics needs one, and the role to read the status", async () => {
      const health = await fetch(`${world.place.httpUrl}/health`);
      expect([health.status, await health.json()]).toEqual([200, { status: "healthy" }]);
      const headers = { "x-api-key": world.place.apiKey };
      const metrics = await fetch(`${world.place.httpUrl}/metrics`, { headers });
      expect(metrics.status).toBe(200);
      expect(metrics.headers.get("content-type")).toMatch(/^text\/plain/);
      expect(await metrics.text()).toContain("nexus_rpc_requests_total");
      const refused = await fetch(`${world.place.httpUrl}/metrics`);
      expect(refused.status).toBe(401);
    });

    it("GET /audit answers its rows, the newest first, and absent members where nothing is known", async () => {
      const rows = (await rest.get(`/audit?connection_id=${connectionId}&limit=1000`)).body;
      expect(rows.length).toBeGreaterThan(1);
      for (const row of rows) {
        expect(row).toEqual({
          id: expect.stringMatching(/^\d+$/),
          event_type: expect.any(String),
          connection_id: connectionId,
          created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
          event_data: expect.any(String),
          ...("ip_address" in row && { ip_address: expect.any(String) }),
        });
        expect(JSON.parse(row.event_data)).toMatchObject({ principal: expect.any(String) });
      }
      const ids = rows.map(({ id }: { id: string }) => Number(id));
      expect(ids).toEqual([...ids].sort((one, other) => other - one));
      const event = (await rest.get("/v1/audit?limit=1")).body.events[0];
      expect(event).toHaveProperty("sequence");
    });

    it("errors say their word as error and as code", async () => {
      const { body } = await rest.get(`/v1/token/${unknownId}`);
      expect(body).toMatchObject({ error: "connection_not_found", code: "connection_not_found" });
      const response = await fetch(`${world.place.httpUrl}/v1/token/${unknownId}`);
      expect(await response.json()).toMatchObject({ error: "unauthenticated", code: "unauthenticated" });
    });

    it("POST /auth/capture-credential sends the browser on", async () => {
      const profile = { name: "keyed", auth_type: "api_key" };
      await rest.post("/v1/providers", { profile });
      const request = (return_url: string) =>
        rest.post("/v1/request-connection", { user_id: "ada", provider_name: "keyed", return_url });
      const { state, connection_id } = (await request("http://127.0.0.1:3999/")).body;
      const schema = await rest.get(`/auth/capture-schema?state=${encodeURIComponent(state)}`);
      expect([schema.status, schema.body.provider_name]).toEqual([200, "keyed"]);
      const sent = await fetch(`${world.place.httpUrl}/auth/capture-credential`, {
        method: "POST",
        redirect: "manual",
        headers: { "content-type": "application/json", "x-api-key": world.place.apiKey },
        body: JSON.stringify({ state, credentials: { api_key: "k" } }),
      });
      expect(sent.status).toBe(302);
      const location = new URL(sent.headers.get("location") ?? "");
      expect(Object.fromEntries(location.searchParams)).toMatchObject({ status: "success", connection_id });
      const second = (await request("")).body;
      const captured = await rest.post("/auth/capture-credential", {
        state: second.state,
        credentials: { api_key: "k" },
      });
      expect([captured.status, captured.body]).toEqual([
        200,
        { connection_id: second.connection_id, status: "success", redirect_url: "" },
      ]);
    });
  });

  it("of the audit log refuse a limit, a time and an id that are none", async () => {
    for (const path of ["/v1/audit", "/audit"]) {
      for (const [query, field] of [
        ["limit=0", "limit"],
        ["limit=many", "limit"],
        ["since=yesterday", "since"],
        ["since=2026-01-01T00:00:00", "since"],
        ["connection_id=x", "connection_id"],
      ] as const) {
        const refused = await rest.get(`${path}?${query}`);
        expect([refused.status, refused.body.details[0].field], query).toEqual([400, field]);
      }
    }
  });

  it("are answered by NexusService in the same words", async () => {
    const post = async (method: string, body: object) => {
      const response = await fetch(`${world.place.httpUrl}/nexus.v1.NexusService/${method}`, {
        method: "POST",
        headers: { "content-type": "application/json", "x-api-key": world.place.apiKey },
        body: JSON.stringify(body),
      });
      return (await response.json()) as Record<string, unknown>;
    };
    const fresh = await world.connect(providerId, "nexus");
    expect(await post("CheckConnection", { connectionId: fresh })).toEqual({
      status: "active",
      state: "active",
    });
    expect(await post("GetToken", { connectionId: fresh })).toEqual({
      token: { ...(await rest.get(`/v1/token/${fresh}`)).body, expires_in: expect.any(Number) },
    });
    const { token } = await post("RefreshConnection", { connectionId: fresh });
    const current = (await rest.get(`/v1/token/${fresh}`)).body;
    expect(token).toEqual({ ...current, expires_in: expect.any(Number) });
    const requested = await post("RequestConnection", {
      userId: "ada",
      providerName: "op",
      scopes: ["read"],
      returnUrl: "http://127.0.0.1:3999/",
      action: "anything",
    });
    expect(requested).toEqual({
      authUrl: expect.stringContaining("/auth/start?state="),
      state: expect.any(String),
      scopes: ["read"],
      providerId,
      connectionId: expect.any(String),
    });
  });

  it("are counted as the RPCs that they are, and leave no secret in the log", async () => {
    const metrics = await (await fetch(`${world.place.opsUrl}/metrics`)).text();
    expect(metrics).toMatch(
      /nexus_rpc_requests_total\{method="nexus\.v1\.ProviderService\/CreateProvider",code="already_exists",listener="http"\} 1/,
    );
    const { body } = await rest.get(`/v1/token/${connectionId}`);
    const log = world.place.logLines.join("");
    for (const secret of [manual.client_secret, body.access_token, world.place.apiKey]) {
      expect(log.includes(secret ?? "missing")).toBe(false);
    }
    const file = readFileSync(`${world.place.config.dataDir}/nexus.mdb`, "latin1");
    expect(file.includes(manual.client_secret)).toBe(false);
  });

  it("refuse whoever shows no key, every one of them", async () => {
    for (const { method, path, open } of restTable) {
      const url = path.replace(/\{\w+\}/, unknownId);
      const forwarded = { "x-forwarded-for": "127.0.0.1", "x-real-ip": "127.0.0.1" };
      for (const headers of [{}, forwarded, { authorization: "Bearer nxk_wrong" }, { "x-api-key": "" }]) {
        if (open) continue;
        const refused = await rest.send(method, url, undefined, headers as Record<string, string>);
        expect([refused.status, refused.body.error], `${method} ${path}`).toEqual([401, "unauthenticated"]);
        expect(refused.headers.get("www-authenticate")).toBe("Bearer");
      }
    }
  });

  it("were all asked in these tests, and answered as the document says", () => {
    const asked = [...rest.exercised];
    for (const { method, path, success, open } of restTable) {
      if (open || path === "/metrics") continue;
      const wanted = /capture|audit|confirm/.test(path)
        ? `${method} ${path} `
        : `${method} ${path} ${success.status}`;
      expect(
        asked.some((entry) => entry.startsWith(wanted)),
        wanted,
      ).toBe(true);
    }
  });
});
