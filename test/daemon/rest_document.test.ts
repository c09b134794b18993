import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { registerStatic, requestStatic } from "./capture_world.js";
import { World } from "./harness.js";
import type { RestClient } from "./rest_client.js";

const unknownId = "00000000-0000-4000-8000-000000000000";

/** What a property-based run finds again and again is held by `npm run test:interop -- --only schemathesis`. */
describe("B14: the OpenAPI document is what is served", () => {
  let world: World;
  let rest: RestClient;
  // biome-ignore lint/suspicious/noExplicitAny: the test looks into it and says what it expects to find
  let document: any;
  beforeAll(async () => {
    world = await World.make();
    rest = await world.rest();
    document = rest.document;
  });
  afterAll(() => world.close());

  it.each(["/v1/audit", "/audit"])(
    "%s refuses a day that no month has, and takes what is empty as absent",
    async (path) => {
      for (const since of ["2020-02-30", "2020-02-30T00:00:00Z", "2020-02-30T00:00:00+02:00"]) {
        const { status, body } = await rest.get(`${path}?since=${encodeURIComponent(since)}`);
        expect([status, body.details?.[0]?.field], since).toEqual([400, "since"]);
      }
      expect((await rest.get(`${path}?since=2020-02-29T00:00:00Z`)).status).toBe(200);
      expect((await rest.get(`${path}?since=&limit=&event_type=&connection_id=&page_token=`)).status).toBe(
        200,
      );
      expect((await rest.get(`${path}?limit=999999999`)).status).toBe(200);
      for (const parameter of document.paths[path].get.parameters)
        expect(parameter.allowEmptyValue).toBe(true);
    },
  );

  it("409 of the capture routes", async () => {
    const { providers } = world.clients;
    const id = await registerStatic(world, { name: "gone" });
    const { state } = await requestStatic(world, id);
    await providers.deleteProvider({ id });
    for (const path of ["/v1/capture-schema", "/auth/capture-schema"]) {
      const { status, body } = await rest.get(`${path}?state=${state}`);
      expect([status, body.error]).toEqual([409, "provider_deleted"]);
    }
    for (const path of ["/v1/capture-credential", "/auth/capture-credential"]) {
      const { status } = await rest.post(path, { state, credentials: { api_key: "k" } });
      expect(status).toBe(409);
    }
  });

  it("count and revision of an audit event, and ids that are empty or UUIDs", async () => {
    await world.connect(await world.register());
    const { body } = await rest.get("/v1/audit?event_type=oauth_flow_completed");
    expect(body.events[0]).toMatchObject({ count: 0, revision: 1 });
    const { required, properties } = document.components.schemas.AuditEvent;
    expect(required).toEqual(expect.arrayContaining(Object.keys(body.events[0])));
    expect(properties.connection_id.anyOf[0]).toEqual({ type: "string", format: "uuid" });
  });

  it("ids in paths are UUIDs, and nothing else is taken for one", async () => {
    for (const [path, methods] of Object.entries<Record<string, { parameters: object[] }>>(document.paths)) {
      if (!/\{(connection_)?id\}/.test(path)) continue;
      for (const [method, { parameters }] of Object.entries(methods)) {
        expect(parameters[0], path).toMatchObject({ in: "path", schema: { format: "uuid" } });
        if (path.startsWith("/v1/authorize")) continue;
        const answer = await rest.send(method.toUpperCase(), path.replace("{id}", "1"));
        expect([answer.status, answer.body.error], `${method} ${path}`).toEqual([400, "invalid_argument"]);
      }
    }
  });

  it("slashes at the end do not count, which it says", async () => {
    expect(document.info.description).toContain("slashes at its end");
    expect((await rest.get("/providers///")).body).toEqual((await rest.get("/providers")).body);
    expect((await rest.get(`/v1/token/${unknownId}/`)).status).toBe(404);
  });

  it("every error has error, code and message, those for proxies too", async () => {
    const url = `${world.place.httpUrl}/v1/authorize/${unknownId}`;
    for (const [method, headers] of [
      ["GET", {}],
      ["GET", { "x-api-key": world.place.apiKey }],
      ["POST", { "x-api-key": world.place.apiKey }],
    ] as const) {
      const response = await fetch(url, { method, headers });
      const body = (await response.json()) as Record<string, unknown>;
      expect(body, `${response.status}`).toEqual({
        error: expect.any(String),
        code: body["error"],
        message: expect.any(String),
      });
    }
  });
});
