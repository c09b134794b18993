import { describe, expect, it } from "vitest";
import { AuditService } from "../../../src/gen/nexus/v1/audit_pb.js";
import { CreateProviderRequestSchema } from "../../../src/gen/nexus/v1/provider_pb.js";
import {
  AcquireTokenRequestSchema,
  TokenServiceGetTokenRequestSchema,
  WatchTokensRequestSchema,
} from "../../../src/gen/nexus/v1/token_pb.js";
import type { JsonValue } from "../../../src/model/json.js";
import { jsonViolation, reservedName } from "../../../src/server/connect/json_request.js";
import { apiKey } from "../fake_services.js";
import { getTokenPath, json, openListener } from "../http_listener_fixture.js";

const acquire = AcquireTokenRequestSchema;
const getToken = TokenServiceGetTokenRequestSchema;
const watch = WatchTokensRequestSchema;
const create = CreateProviderRequestSchema;
const audit = AuditService.method.listAuditEvents.input;
const duration = 'must be a duration such as "60s"';

describe("the JSON form of a message", () => {
  it.each([
    [acquire, { provider_name: "loc", scpoes: ["x"] }, "scpoes: no such field; did you mean scopes?"],
    [acquire, { providerNam: "loc" }, "providerNam: no such field; did you mean providerName?"],
    [acquire, { zzzzzzzz: 1 }, "zzzzzzzz: no such field"],
    [acquire, { "s3cret value": 1 }, "the body: has a member that is no field"],
    [acquire, { ["x".repeat(65)]: 1 }, "the body: has a member that is no field"],
    [acquire, JSON.parse('{"__proto__": {}}'), "__proto__: no such field"],
    [acquire, { wait: 60 }, `wait: ${duration}`],
    [acquire, { wait: "s3cret" }, `wait: ${duration}`],
    [acquire, { wait: "60sx" }, `wait: ${duration}`],
    [acquire, { minTtl: { seconds: 60 } }, `min_ttl: ${duration}`],
    [acquire, { provider_name: 7 }, "provider_name: must be a string"],
    [acquire, { scopes: "read" }, "scopes: must be an array"],
    [acquire, { scopes: ["read", 7] }, "scopes[1]: must be a string"],
    [acquire, { device: "yes" }, "device: must be true or false"],
    [acquire, [], ": must be an object"],
    [acquire, "s3cret", ": must be an object"],
    [getToken, { name: "loc/ada" }, "name: must be an object"],
    [getToken, { name: { provider: "loc" } }, "name.provider: no such field; did you mean provider_name?"],
    [watch, { names: [{}, { usr_id: "a" }] }, "names[1].usr_id: no such field; did you mean user_id?"],
    [watch, { position: { revision: [] } }, "position.revision: must be a number"],
    [create, { provider: { authParams: [] } }, "provider.authParams: no such field"],
    [audit, { since: 7 }, 'since: must be a time such as "2026-01-31T12:00:00Z"'],
    [audit, { since: "yesterday" }, 'since: must be a time such as "2026-01-31T12:00:00Z"'],
    [audit, { since: "2021-02-29T00:00:00Z" }, "since: names a day that no month has"],
  ] as const)("is refused, row %#", (schema, value, expected) => {
    const { field, description } = jsonViolation(schema, value as JsonValue) ?? {};
    expect(`${field}: ${description}`).toContain(expected);
  });

  it.each([
    [acquire, {}],
    [
      acquire,
      { provider_name: "loc", userId: "ada", scopes: ["read"], wait: "60s", min_ttl: "0.5s", device: true },
    ],
    [acquire, { label: null, wait: null }],
    [getToken, { name: { providerName: "loc", user_id: "ada" } }],
    [watch, { position: { epoch: "e", revision: "18446744073709551615" } }],
    [watch, { position: { revision: 7 } }],
    [audit, { since: "2020-02-29T00:00:00.123456789+01:00" }],
  ] as const)("is taken, row %#", (schema, value) => {
    expect(jsonViolation(schema, value as JsonValue)).toBeUndefined();
  });
});

describe("a request in JSON", () => {
  it.each([
    ['{"name": {"provider_name": "s3cret"}', "the body is not JSON"],
    ["", "the body is not JSON"],
    ["s3cret", "the body is not JSON"],
    ["[]", "the body must be a JSON object"],
    ['{"name": "loc/ada"}', "name: must be an object"],
    ['{"conection_id": "s3cret"}', "conection_id: no such field; did you mean connection_id?"],
    // Longer than what is served without the library.
    [
      `{"connection_id": "${"x".repeat(2_000)}", "mn_ttl": "1s"}`,
      "mn_ttl: no such field; did you mean min_ttl?",
    ],
  ])("of %s is answered by what is wrong with it", async (body, message) => {
    const { base } = await openListener();
    const send = (path: string, type: string, sent: Uint8Array<ArrayBuffer>) =>
      fetch(base + path, {
        method: "POST",
        headers: { "content-type": type, "x-api-key": apiKey },
        body: sent,
      });
    const bytes = new Uint8Array(Buffer.from(body));
    const response = await send(getTokenPath, "application/json", bytes);
    expect(response.status).toBe(400);
    const answer = (await response.json()) as { readonly details?: readonly { readonly type: string }[] };
    expect(answer).toMatchObject({ code: "invalid_argument", message });
    expect(JSON.stringify(answer)).not.toContain("s3cret");
    if (message.includes(":")) expect(answer.details?.[0]?.type).toBe("google.rpc.BadRequest");
    const envelope = new Uint8Array(
      Buffer.concat([Buffer.from([0, 0, 0, bytes.length >> 8, bytes.length & 255]), bytes]),
    );
    const stream = await send("/nexus.v1.TokenService/WatchTokens", "application/connect+json", envelope);
    expect(await stream.text()).toContain('"code":"invalid_argument"');
  });

  it("is answered with nothing of what was sent where only the library finds what is wrong", async () => {
    const { port } = await openListener();
    const response = await fetch(`http://127.0.0.1:${port}${getTokenPath}`, {
      method: "POST",
      headers: { ...json, "x-api-key": apiKey },
      body: JSON.stringify({ minTtl: "999999999999s" }),
    });
    expect(response.status).toBe(400);
    expect(await response.json()).toEqual({
      code: "invalid_argument",
      message:
        'cannot decode message google.protobuf.Duration from JSON: a duration is a text of seconds, as "60s"',
    });
  });

  it("may not have a name twice, or be too deep", async () => {
    const { base } = await openListener();
    const send = (body: string) =>
      fetch(base + getTokenPath, { method: "POST", headers: { ...json, "x-api-key": apiKey }, body });
    const messageOf = async (body: string) =>
      ((await (await send(body)).json()) as { message: string }).message;
    expect(await messageOf('{"connection_id":"a","connection_id":"b"}')).toBe(
      "an object of the body has two members of one name",
    );
    expect(await messageOf('{"name":{"__proto__":{}}}')).toBe("name.__proto__: no such field");
    expect(await messageOf(`{"name":${'{"a":'.repeat(70)}1${"}".repeat(71)}`)).toBe(
      "the body is nested more than 64 deep",
    );
  });
});

describe("reservedName", () => {
  it.each([
    ['{"__proto__":1}', '["__proto__"]'],
    ['{"a":{"__proto__":{}}}', 'a["__proto__"]'],
    ['{"a":[0,{"b":{"__proto__":null}}]}', 'a["1"].b["__proto__"]'],
  ])("finds the one of %s", (text, path) => {
    expect(reservedName(JSON.parse(text))).toBe(path);
  });

  it("minds no other", () => {
    expect(reservedName(JSON.parse('{"constructor":{"prototype":["__proto__"]}}'))).toBeUndefined();
  });
});
