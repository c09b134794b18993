import { beforeAll, describe, expect, it } from "vitest";
import type { JsonObject } from "../../src/model/json.js";
import { perSuite } from "../lifetimes.js";
import { World } from "./harness.js";
import type { RestClient } from "./rest_client.js";

// What the clients of the existing Nexus write and compare: their profiles read back as they were written.
describe("profiles of existing Nexus clients", () => {
  const world = perSuite(() => World.make());
  let rest: RestClient;
  beforeAll(async () => {
    rest = await world.rest();
  });

  async function create(profile: JsonObject): Promise<string> {
    const created = await rest.post("/v1/providers", { profile });
    expect(created.body).toEqual({ id: expect.any(String), message: expect.any(String) });
    return created.body.id;
  }

  async function strategyOf(id: string) {
    const { provider } = await world.clients.providers.getProvider({ key: { case: "id", value: id } });
    return provider?.strategy?.kind;
  }

  it("an empty prefix that is meant is kept, flat and whole", async () => {
    const flat = { header_name: "Authorization", value_prefix: "" };
    const whole = { auth_strategy: { type: "header", config: flat } };
    for (const [name, params] of Object.entries<JsonObject>({ flat, whole })) {
      const id = await create({ name, auth_type: "api_key", params });
      expect(await strategyOf(id)).toMatchObject({
        case: "header",
        value: { headerName: "Authorization", valuePrefix: "" },
      });
      expect((await rest.get(`/v1/providers/${id}`)).body.params).toEqual(params);
      // A change of something else leaves it.
      await rest.send("PATCH", `/v1/providers/${id}`, { description: "changed" });
      expect((await rest.get(`/v1/providers/${id}`)).body).toMatchObject({ description: "changed", params });
      expect(await strategyOf(id)).toMatchObject({ value: { valuePrefix: "" } });
    }
  });

  it("an api_key that names no header goes bare into X-API-Key, and reads back as written", async () => {
    const id = await create({ name: "bare", auth_type: "api_key" });
    expect(await strategyOf(id)).toMatchObject({
      case: "header",
      value: { headerName: "X-API-Key", valuePrefix: "", credentialField: "api_key" },
    });
    const { body } = await rest.get(`/v1/providers/${id}`);
    expect(body).toMatchObject({ auth_header: "", auth_strategy: "header", params: {} });
  });

  it("endpoints beside discovery go before it, and read back as written", async () => {
    const profile = {
      name: "overrides",
      client_id: "id",
      client_secret: "a very secret secret",
      issuer: "https://p.example",
      enable_discovery: true,
      auth_url: "https://p.example/own",
      token_url: "https://p.example/t",
    };
    const id = await create(profile);
    const { client_secret: _, ...said } = profile;
    const { body } = await rest.get(`/v1/providers/${id}`);
    expect(body).toMatchObject(said);
    expect((await rest.send("PUT", `/v1/providers/${id}`, profile)).body).toEqual(body);
    const { body: asked } = await rest.post("/v1/request-connection", { user_id: "ada", provider_id: id });
    const started = await fetch(asked.authUrl, { redirect: "manual" });
    expect(started.headers.get("location")).toMatch(/^https:\/\/p\.example\/own\?/);
  });

  it("a list of scopes that was never given reads back as null, and a second write changes nothing", async () => {
    const profile = {
      name: "converges",
      client_id: "id",
      client_secret: "a very secret secret",
      auth_url: "https://p.example/a",
      token_url: "https://p.example/t",
    };
    const id = await create(profile);
    const { body: before } = await rest.get(`/v1/providers/${id}`);
    expect(before.scopes).toBeNull();
    const stored = () => world.clients.providers.getProvider({ key: { case: "id", value: id } });
    const { provider } = await stored();
    for (const method of ["PATCH", "PUT"]) {
      expect((await rest.send(method, `/v1/providers/${id}`, profile)).body).toEqual(before);
    }
    expect((await stored()).provider).toEqual(provider);
    const { events } = await world.clients.audit.listAuditEvents({});
    expect(events.filter(({ providerId }) => providerId === id).map(({ eventType }) => eventType)).toEqual([
      "provider.created",
    ]);

    await rest.send("PATCH", `/v1/providers/${id}`, { client_secret: "another very secret secret" });
    expect((await stored()).provider?.etag).toBe("v2");
  });
});
