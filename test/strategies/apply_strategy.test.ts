import { create, fromJson, type JsonObject, toJson } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { StrategySchema } from "../../src/gen/nexus/v1/strategy_pb.js";
import type { Strategy } from "../../src/model/credentials/strategy.js";
import { strategyConfig } from "../../src/model/credentials/strategy_config.js";
import { strategyMessage } from "../../src/model/providers/strategy_message.js";
import { type AnyStrategy, applyStrategy } from "../../src/strategies/apply_strategy.js";

const request = { method: "GET", url: "https://api.example/v1?b=2", headers: { Accept: "*/*" } };

const header = (fields: object = {}): AnyStrategy => ({ type: "header", config: fields });
const applied = (strategy: AnyStrategy, credentials: object, more: object = {}) =>
  applyStrategy({ ...request, ...more }, strategy, { ...credentials });

describe("the shapes of a strategy", () => {
  const strategies: Strategy[] = [
    { kind: "oauth2", headerName: "Authorization", valuePrefix: "", credentialField: "access_token" },
    { kind: "header", headerName: "X-Key", valuePrefix: "Key ", credentialField: "k" },
    { kind: "query_param", paramName: "key", credentialField: "k" },
    { kind: "basic_auth", usernameField: "k", passwordField: "access_token" },
    { kind: "aws_sigv4", service: "s3", region: "eu-central-1" },
    { kind: "hmac_payload", headerName: "X-Sig", secretField: "k", algo: "sha512", encoding: "base64" },
  ];
  it.each(strategies.map((strategy) => [strategy.kind, strategy] as const))("%s", async (_kind, strategy) => {
    const credentials = { k: "kk", access_token: "at", access_key: "AK", secret_key: "SK" };
    const options = { clock: { nowMs: () => 0 } };
    const message = strategyMessage(strategy);
    const shapes: AnyStrategy[] = [
      message,
      { type: strategy.kind, config: strategyConfig(strategy) },
      toJson(StrategySchema, message) as Record<string, JsonObject>,
      toJson(StrategySchema, message, { useProtoFieldName: true }) as Record<string, JsonObject>,
      fromJson(StrategySchema, toJson(StrategySchema, message)),
    ];
    const expected = await applyStrategy(request, strategy, credentials, options);
    expect(expected).not.toEqual(request);
    for (const shape of shapes) {
      expect(await applyStrategy(request, shape, credentials, options)).toEqual(expected);
    }
  });

  it("takes the defaults where a config says nothing", async () => {
    const { headers } = await applied({ type: "oauth2" }, { access_token: "at" });
    expect(headers).toEqual({ Accept: "*/*", Authorization: "Bearer at" });
    const message = create(StrategySchema, { kind: { case: "header", value: {} } });
    expect((await applied(message, { api_key: "k" })).headers["Authorization"]).toBe("k");
  });

  it.each([
    ["an unknown kind", { type: "magic" }, "strategy"],
    ["nothing", {}, "strategy"],
    ["an unset oneof", create(StrategySchema, {}), "strategy"],
    ["a header name with a line break", header({ header_name: "X\r\nY" }), "header_name"],
    ["no parameter name", { type: "query_param", config: {} }, "param_name"],
    ["no service", { type: "aws_sigv4", config: {} }, "service"],
    ["no header for the HMAC", { type: "hmac_payload", config: {} }, "header_name"],
    ["md5", { type: "hmac_payload", config: { header_name: "X", algo: "md5" } }, "algo"],
    [
      "an unknown encoding",
      { type: "hmac_payload", config: { header_name: "X", encoding: "x" } },
      "encoding",
    ],
  ] as [string, AnyStrategy, string][])("refuses %s", async (_name, strategy, field) => {
    await expect(applied(strategy, { api_key: "k" })).rejects.toMatchObject({
      name: "StrategyError",
      code: "invalid_strategy",
      field,
    });
  });
});

describe("headers", () => {
  it("replaces a header of that name in any case and leaves the given request alone", async () => {
    const given = { ...request, headers: { authorization: "old", Accept: "*/*" }, body: "b" };
    const before = structuredClone(given);
    const answer = await applyStrategy(given, header({ value_prefix: "Token " }), { api_key: "k" });
    expect(answer).toEqual({ ...request, headers: { Accept: "*/*", Authorization: "Token k" }, body: "b" });
    expect(given).toEqual(before);
  });

  it("takes the headers of fetch", async () => {
    const answer = await applyStrategy(
      { ...request, headers: new Headers({ accept: "text/plain" }) },
      header({ header_name: "X-Key" }),
      { api_key: "k" },
    );
    expect(answer.headers).toEqual({ accept: "text/plain", "X-Key": "k" });
  });

  it.each([["a\r\nX-Evil: 1"], ["a\n"], ["a\u0000"], ["a\u007f"], ["a\tb"], ["ключ"]])(
    "refuses %j without repeating it",
    async (value) => {
      for (const strategy of [header(), { type: "oauth2", config: { credential_field: "api_key" } }]) {
        const error = await applied(strategy, { api_key: value }).catch((caught: unknown) => caught);
        expect(error).toMatchObject({ name: "StrategyError", code: "invalid_credential", field: "api_key" });
        expect(String(error)).not.toContain(value);
      }
    },
  );

  it.each([[{}], [{ api_key: 5 }], [Object.create({ api_key: "inherited" })]])(
    "names the field that is missing in %j",
    async (credentials) => {
      await expect(applyStrategy(request, header(), credentials)).rejects.toMatchObject({
        code: "missing_credential",
        field: "api_key",
      });
    },
  );
});

describe("query_param", () => {
  const key: AnyStrategy = { type: "query_param", config: { param_name: "api key" } };
  it.each([
    ["https://a.example", "https://a.example?api%20key=a%2Bb%20%26"],
    ["https://a.example/?", "https://a.example/?api%20key=a%2Bb%20%26"],
    [
      "https://a.example/%7e/..//x?q=A%2fb+c&&d#f?g",
      "https://a.example/%7e/..//x?q=A%2fb+c&&d&api%20key=a%2Bb%20%26#f?g",
    ],
    [
      "https://a.example/?x=1&api+key=old&y=%zz&api%20key",
      "https://a.example/?x=1&api%20key=a%2Bb%20%26&y=%zz",
    ],
  ])("%s", async (url, expected) => {
    expect((await applied(key, { api_key: "a+b &" }, { url })).url).toBe(expected);
  });
});

/** RFC 7617 sections 2 and 2.1. */
describe("basic_auth", () => {
  const basic: AnyStrategy = { type: "basic_auth" };
  it.each([
    ["Aladdin", "open sesame", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="],
    ["test", "123£", "Basic dGVzdDoxMjPCow=="],
    ["u", "", "Basic dTo="],
    ["", "p:w", "Basic OnA6dw=="],
  ])("%s", async (username, password, expected) => {
    expect((await applied(basic, { username, password })).headers["Authorization"]).toBe(expected);
  });

  it.each([
    [{ username: "a:b", password: "p" }, "username", "invalid_credential"],
    [{ username: "a", password: "p\n" }, "password", "invalid_credential"],
    [{ username: "a\u0000", password: "p" }, "username", "invalid_credential"],
    [{ username: "a" }, "password", "missing_credential"],
    [{ password: "p" }, "username", "missing_credential"],
  ])("refuses %j", async (credentials, field, code) => {
    await expect(applied(basic, credentials)).rejects.toMatchObject({ field, code });
  });
});

describe("hmac_payload", () => {
  const sign = async (secret: string, body: string | Uint8Array | undefined, config: object = {}) => {
    const strategy = { type: "hmac_payload", config: { header_name: "X-Signature", ...config } };
    const answer = await applied(strategy, { api_secret: secret }, { method: "POST", body });
    expect(answer.body).toBe(body);
    return answer.headers["X-Signature"];
  };
  const counting = String.fromCharCode(...Array.from({ length: 25 }, (_, index) => index + 1));
  const cd = new Uint8Array(50).fill(0xcd);

  /** RFC 4231 sections 4.2, 4.3 and 4.5; the keys of the others are no UTF-8. */
  it.each([
    [
      "sha256",
      "\u000b".repeat(20),
      "Hi There",
      "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
    ],
    [
      "sha256",
      "Jefe",
      "what do ya want for nothing?",
      "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    ],
    ["sha256", counting, cd, "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"],
    [
      "sha512",
      "\u000b".repeat(20),
      "Hi There",
      "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cdedaa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854",
    ],
    [
      "sha512",
      "Jefe",
      "what do ya want for nothing?",
      "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
    ],
    // RFC 2202 section 3
    ["sha1", "\u000b".repeat(20), "Hi There", "b617318655057264e28bc0b6fb378c8ef146be00"],
    ["sha1", "Jefe", "what do ya want for nothing?", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"],
    ["sha1", counting, cd, "4c9007f4026250c6bc8414f9bf50c86c2d7235da"],
  ])("%s of RFC 4231 and RFC 2202", async (algo, secret, body, expected) => {
    expect(await sign(secret, body, { algo })).toBe(expected);
  });

  it("writes base64, and signs an absent body as an empty one", async () => {
    const jefe = "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM=";
    expect(await sign("Jefe", "what do ya want for nothing?", { encoding: "base64" })).toBe(jefe);
    expect(await sign("k", undefined)).toBe(await sign("k", ""));
  });

  it("refuses an empty secret", async () => {
    await expect(sign("", "x")).rejects.toMatchObject({ field: "api_secret", code: "invalid_credential" });
  });
});
