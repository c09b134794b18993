import { describe, expect, it } from "vitest";
import {
  credentialSchemaViolations,
  maxSchemaBytes,
} from "../../../../src/domain/profiles/static/credential_schema.js";
import { defaultSchemaOf } from "../../../../src/model/credentials/credential_fields.js";
import type { JsonObject, JsonValue } from "../../../../src/model/json.js";
import { nestedJson, profileOf, schemaWith } from "../../static_profile.js";

const violationsOf = (schema: JsonObject): string[] =>
  credentialSchemaViolations(profileOf({ credentialSchema: schema })).map(({ field }) =>
    field.replace("provider.credential_schema", ""),
  );
const property = (more: JsonObject): JsonObject => schemaWith({ api_key: { type: "string", ...more } });

describe("the default schema", () => {
  it.each([
    [{ kind: "header", headerName: "X-Key", valuePrefix: "", credentialField: "key" }, ["key"], ["key"]],
    [{ kind: "query_param", paramName: "k", credentialField: "api_key" }, ["api_key"], ["api_key"]],
    [
      { kind: "basic_auth", usernameField: "username", passwordField: "password" },
      ["username", "password"],
      ["username", "password"],
    ],
    [
      { kind: "aws_sigv4", service: "s3", region: "us-east-1" },
      ["access_key", "secret_key", "session_token"],
      ["access_key", "secret_key"],
    ],
    [
      {
        kind: "hmac_payload",
        headerName: "X-Sign",
        secretField: "api_secret",
        algo: "sha256",
        encoding: "hex",
      },
      ["api_secret"],
      ["api_secret"],
    ],
  ] as const)("of %j asks for %j", (strategy, names, required) => {
    const schema = defaultSchemaOf(strategy);
    expect(Object.keys(schema["properties"] as JsonObject)).toEqual(names);
    expect(schema).toMatchObject({ type: "object", required, additionalProperties: false });
    expect(credentialSchemaViolations(profileOf({ strategy }))).toEqual([]);
    expect(credentialSchemaViolations(profileOf({ strategy, credentialSchema: schema }))).toEqual([]);
  });

  it("marks what is secret", () => {
    const schema = defaultSchemaOf({ kind: "aws_sigv4", service: "s3", region: "us-east-1" });
    const formats = Object.entries(schema["properties"] as JsonObject).map(([name, property]) => [
      name,
      (property as JsonObject)["format"],
    ]);
    expect(formats).toEqual([
      ["access_key", undefined],
      ["secret_key", "password"],
      ["session_token", "password"],
    ]);
  });
});

describe("a credential_schema passes", () => {
  it.each<[string, JsonObject]>([
    [
      "with every keyword of a form",
      property({ title: "Key", description: "d", pattern: "^k", default: "k" }),
    ],
    ["with lengths", property({ minLength: 3, maxLength: 3, writeOnly: true, format: "password" })],
    ["with choices without a type", schemaWith({ region: { enum: ["eu", "us"] } })],
    ["with a constant", schemaWith({ version: { const: "2" } })],
    ["of an older draft", { ...schemaWith({}), $schema: "http://json-schema.org/draft-07/schema#" }],
    ["with an id and annotations of a vendor", { ...schemaWith({}), $id: "urn:x", "x-order": [{ a: 1 }] }],
    ["that lets other fields in", { ...schemaWith({}), additionalProperties: { type: "string" } }],
    ["with names of another language", schemaWith({ "clé secrète": { type: "string" } })],
    [
      "with dependent fields",
      { ...schemaWith({ a: { type: "string" } }), dependentRequired: { a: ["api_key"] } },
    ],
  ])("%s", (_name, schema) => {
    expect(violationsOf(schema)).toEqual([]);
  });
});

describe("a credential_schema is refused, with the place of the error", () => {
  it.each<[string, JsonObject, string[]]>([
    ["no object", { type: "string", properties: {} }, [".type"]],
    ["no type", { ...schemaWith({}), type: ["object"] }, [".type"]],
    ["no properties", { type: "object" }, [".properties"]],
    [
      "a certificate without its key",
      schemaWith({ tls_client_certificate: { type: "string" } }),
      [".properties"],
    ],
    ["a key without its certificate", schemaWith({ tls_client_key: { type: "string" } }), [".properties"]],
    ["a list of properties", { type: "object", properties: [] }, [".properties"]],
    ["a number", schemaWith({ n: { type: "number" } }), ['.properties["n"].type']],
    ["an object", schemaWith({ n: { type: "object" } }), ['.properties["n"].type']],
    ["two types", schemaWith({ n: { type: ["string", "null"] } }), ['.properties["n"].type']],
    ["anything", schemaWith({ n: true }), ['.properties["n"]']],
    ["choices of numbers", schemaWith({ n: { enum: ["a", 1] } }), ['.properties["n"].enum']],
    ["no choices", schemaWith({ n: { enum: [] } }), ['.properties["n"].enum']],
    ["choices twice", schemaWith({ n: { enum: ["a", "a"] } }), ['.properties["n"].enum']],
    ["a default that is no string", property({ default: 1 }), ['.properties["api_key"].default']],
    [
      "a constant that is no string",
      schemaWith({ n: { type: "string", const: 1 } }),
      ['.properties["n"].const'],
    ],
    ["a reference elsewhere", property({ $ref: "https://evil.example/s" }), ['.properties["api_key"].$ref']],
    ["a reference at the root", { ...schemaWith({}), $ref: "#/x" }, [".$ref"]],
    ["a dynamic reference", { ...schemaWith({}), $dynamicRef: "#x" }, [".$dynamicRef"]],
    ["conditions", { ...schemaWith({}), allOf: [{}] }, [".allOf"]],
    ["patterns of names", { ...schemaWith({}), patternProperties: { "(a+)+$": {} } }, [".patternProperties"]],
    ["a draft that is not known", { ...schemaWith({}), $schema: "https://evil.example/s" }, [".$schema"]],
    ["a length that is no number", property({ minLength: "3" }), ['.properties["api_key"].minLength']],
    ["a negative length", property({ maxLength: -1 }), ['.properties["api_key"].maxLength']],
    [
      "lengths that exclude each other",
      property({ minLength: 4, maxLength: 3 }),
      ['.properties["api_key"].minLength'],
    ],
    ["a title that is no string", property({ title: {} }), ['.properties["api_key"].title']],
    ["a pattern that does not parse", property({ pattern: "(" }), ['.properties["api_key"].pattern']],
    ["a pattern that looks ahead", property({ pattern: "^(?=a)b" }), ['.properties["api_key"].pattern']],
    ["a pattern that refers back", property({ pattern: "(a)\\1" }), ['.properties["api_key"].pattern']],
    [
      "a pattern that explodes",
      property({ pattern: "((x{100}){100}){100}" }),
      ['.properties["api_key"].pattern'],
    ],
    ["a long pattern", property({ pattern: "a".repeat(1_001) }), ['.properties["api_key"].pattern']],
    ["a format that is not known", property({ format: "passwrod" }), ['.properties["api_key"].format']],
    ["an empty name", schemaWith({ "": { type: "string" } }), ['.properties[""]']],
    [
      "a control character in a name",
      schemaWith({ "a\u0000": { type: "string" } }),
      ['.properties["a\\u0000"]'],
    ],
    ["a name of ours", schemaWith({ "nexus-csrf": { type: "string" } }), ['.properties["nexus-csrf"]']],
    [
      "a prototype",
      JSON.parse('{"type":"object","properties":{"__proto__":{"type":"string"}}}'),
      ['.properties["__proto__"]'],
    ],
    ["no field for the strategy", { type: "object", properties: {} }, [".properties"]],
    ["an optional field for the strategy", { ...schemaWith({}), required: [] }, [".required"]],
    [
      "a required field that it does not know",
      { ...schemaWith({}), required: ["api_key", "x"] },
      [".required"],
    ],
    ["required that is no list", { ...schemaWith({}), required: "api_key" }, [".required"]],
    ["required twice", { ...schemaWith({}), required: ["api_key", "api_key"] }, [".required"]],
    [
      "51 properties",
      schemaWith(Object.fromEntries(Array.from({ length: 50 }, (_, n) => [`f${n}`, { type: "string" }]))),
      [".properties"],
    ],
    ["more than 64 KiB", property({ description: "x".repeat(maxSchemaBytes) }), [""]],
    ["a nest of 100 000", property({ examples: nestedJson(100_000) as JsonValue }), [""]],
    ["a nest of 1 000", property({ not: nestedJson(1_000) as JsonValue }), ['.properties["api_key"].not']],
  ])("%s", (_name, schema, places) => {
    expect(violationsOf(schema)).toEqual(places);
  });

  it("names every error at once", () => {
    const schema = schemaWith({ a: { type: "number" }, b: { type: "string", pattern: 1, foo: 1 } });
    expect(violationsOf(schema)).toEqual(['.properties["a"].type', '.properties["b"].foo']);
  });

  it("of two fields with one name", () => {
    const strategy = { kind: "basic_auth", usernameField: "x", passwordField: "x" } as const;
    expect(credentialSchemaViolations(profileOf({ strategy }))).toMatchObject([
      { field: "provider.credential_schema", description: expect.stringContaining('under one name, "x"') },
    ]);
  });

  it("asks nothing of oauth2", () => {
    expect(credentialSchemaViolations(profileOf({ authType: "oauth2" }))).toEqual([]);
  });
});
