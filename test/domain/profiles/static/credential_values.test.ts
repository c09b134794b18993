import { describe, expect, it } from "vitest";
import { checkCredential, credentialPath } from "../../../../src/domain/profiles/static/credential_values.js";
import type { Strategy } from "../../../../src/model/credentials/strategy.js";
import { InvalidArgument } from "../../../../src/model/errors.js";
import type { JsonObject, JsonValue } from "../../../../src/model/json.js";
import { Authority } from "../../../fakes/certificates.js";
import { profileOf, schemaWith } from "../../static_profile.js";

type Values = Record<string, JsonValue>;

function check(values: Values, credentialSchema?: JsonObject, strategy?: Strategy) {
  try {
    const profile = profileOf({ credentialSchema, ...(strategy ? { strategy } : {}) });
    const fields = Object.entries(checkCredential(profile, values));
    return Object.fromEntries(fields.map(([name, value]) => [name, value.reveal()]));
  } catch (error) {
    if (!(error instanceof InvalidArgument)) throw error;
    return error.violations.map(({ field, description }) => `${field} ${description}`);
  }
}

const query: Strategy = { kind: "query_param", paramName: "key", credentialField: "api_key" };
const basic: Strategy = { kind: "basic_auth", usernameField: "username", passwordField: "password" };
const aws: Strategy = { kind: "aws_sigv4", service: "s3", region: "us-east-1" };

describe("values", () => {
  it.each<[string, Values, (JsonObject | undefined)?, Strategy?]>([
    ["a key", { api_key: "k" }],
    ["a key of any characters in a query", { api_key: " é\n\u{1F511}" }, undefined, query],
    ["an empty password", { username: "ada", password: "" }, undefined, basic],
    ["an optional field that is missing", { access_key: "a", secret_key: "s" }, undefined, aws],
    ["every field", { access_key: "a", secret_key: "s", session_token: "t" }, undefined, aws],
    [
      "a field beyond the schema that it allows",
      { api_key: "k", x: "y" },
      { ...schemaWith({}), additionalProperties: true },
    ],
    ["a pattern", { api_key: "sk-abc" }, schemaWith({ api_key: { type: "string", pattern: "^sk-" } })],
    [
      "a pattern in the words of JavaScript",
      { api_key: "sk-é" },
      schemaWith({ api_key: { type: "string", pattern: "^sk\\u002d\\p{L}$" } }),
      query,
    ],
    [
      "a format",
      { api_key: "k", mail: "a@b.example" },
      schemaWith({ mail: { type: "string", format: "email" } }),
    ],
    ["a choice", { api_key: "k", region: "eu" }, schemaWith({ region: { enum: ["eu", "us"] } })],
  ])("pass: %s", (_name, values, schema, strategy) => {
    expect(check(values, schema, strategy)).toEqual(values);
  });

  it("of a certificate for TLS must belong together", () => {
    const { cert, key } = new Authority().issue();
    const schema = schemaWith({
      tls_client_certificate: { type: "string" },
      tls_client_key: { type: "string" },
    });
    const whole = { api_key: "k", tls_client_certificate: cert, tls_client_key: key };
    expect(check(whole, schema)).toEqual(whole);
    expect(check({ ...whole, tls_client_key: new Authority().issue().key }, schema)).toEqual([
      "credentials.tls_client_certificate is of another key than tls_client_key",
    ]);
    expect(check({ api_key: "k", tls_client_key: key }, schema)).toEqual([
      "credentials.tls_client_certificate is required with tls_client_key",
    ]);
  });

  it("hold an empty password where none was given and none is required", () => {
    const schema = {
      type: "object",
      properties: { username: { type: "string" }, password: { type: "string" } },
      required: ["username"],
    };
    expect(check({ username: "ada" }, schema, basic)).toEqual({ username: "ada", password: "" });
  });

  it.each<[string, Values, string[], (JsonObject | undefined)?, Strategy?]>([
    ["nothing", {}, ["credentials.api_key is required"]],
    ["an empty key", { api_key: "" }, ["credentials.api_key must not be empty"]],
    ["a number", { api_key: 1 }, ["credentials.api_key must be a string"]],
    ["a boolean", { api_key: true }, ["credentials.api_key must be a string"]],
    ["null", { api_key: null }, ["credentials.api_key must be a string"]],
    ["an object", { api_key: { a: "b" } }, ["credentials.api_key must be a string"]],
    [
      "an unknown field",
      { api_key: "k", "x y": "z" },
      ['credentials["x y"] is not a field of this credential'],
    ],
    [
      "a prototype",
      JSON.parse('{"api_key":"k","__proto__":"x"}'),
      ["credentials.__proto__ has a name that is reserved"],
    ],
    [
      "a line break in a header",
      { api_key: "k\r\nX-Evil: 1" },
      ["credentials.api_key must not hold line breaks or other control characters"],
    ],
    [
      "a NUL in a header",
      { api_key: "k\u0000" },
      ["credentials.api_key must not hold line breaks or other control characters"],
    ],
    [
      "an umlaut in a header",
      { api_key: "kü" },
      ["credentials.api_key must be printable ASCII: it is sent in a header"],
    ],
    [
      "a space at the end of a header",
      { api_key: "k " },
      ["credentials.api_key must not begin or end with a space"],
    ],
    [
      "a colon in a user name",
      { username: "a:b", password: "" },
      ["credentials.username must not hold a colon: Basic credentials end the user name at it"],
      undefined,
      basic,
    ],
    [
      "a line break in a password",
      { username: "a", password: "b\n" },
      ["credentials.password must not hold line breaks or other control characters"],
      undefined,
      basic,
    ],
    [
      "an empty user name",
      { username: "", password: "b" },
      ["credentials.username must not be empty"],
      undefined,
      basic,
    ],
    [
      "an empty session token",
      { access_key: "a", secret_key: "s", session_token: "" },
      ["credentials.session_token must not be empty"],
      undefined,
      aws,
    ],
    [
      "a short value",
      { api_key: "k" },
      ["credentials.api_key must have at least 3 characters"],
      schemaWith({ api_key: { type: "string", minLength: 3 } }),
    ],
    [
      "a long value",
      { api_key: "kkk" },
      ["credentials.api_key must have at most 2 characters"],
      schemaWith({ api_key: { type: "string", maxLength: 2 } }),
    ],
    [
      "a wrong pattern",
      { api_key: "k" },
      [
        "credentials.api_key must have the form that the provider gives it: compare it with what the provider shows",
      ],
      schemaWith({ api_key: { type: "string", pattern: "^sk-" } }),
    ],
    [
      "a wrong format",
      { api_key: "k", mail: "a" },
      ["credentials.mail must be an e-mail address"],
      schemaWith({ mail: { type: "string", format: "email" } }),
    ],
    [
      "a long value with a format",
      { api_key: "k", mail: "a".repeat(2_049) },
      ["credentials.mail must have at most 2048 characters, not 2049"],
      schemaWith({ mail: { type: "string", format: "email" } }),
    ],
    [
      "a wrong choice",
      { api_key: "k", region: "x" },
      ["credentials.region must be one of the values to choose from"],
      schemaWith({ region: { enum: ["eu", "us"] } }),
    ],
    [
      "a wrong constant",
      { api_key: "k", v: "1" },
      ['credentials.v must be "2"'],
      schemaWith({ v: { const: "2" } }),
    ],
    [
      "another type beyond the schema",
      { api_key: "k", x: "y" },
      ["credentials.x must have at least 3 characters"],
      { ...schemaWith({}), additionalProperties: { type: "string", minLength: 3 } },
    ],
    [
      "what comes with a field",
      { api_key: "k", a: "1" },
      ["credentials.b is required"],
      { ...schemaWith({ a: { type: "string" }, b: { type: "string" } }), dependentRequired: { a: ["b"] } },
    ],
    [
      "too few",
      { api_key: "k" },
      ["credentials must NOT have fewer than 2 properties"],
      { ...schemaWith({ a: { type: "string" } }), minProperties: 2 },
    ],
    [
      "64 KiB and a byte",
      { api_key: "k".repeat(65_530) },
      ["credentials must be at most 65536 bytes together, not 65537"],
    ],
    [
      "every error",
      { a: 1, x: "y" },
      [
        "credentials.a must be a string",
        "credentials.api_key is required",
        "credentials.x is not a field of this credential",
      ],
      schemaWith({ a: { type: "string" } }),
    ],
  ])("are refused: %s", (_name, values, violations, schema, strategy) => {
    expect(check(values, schema, strategy)).toEqual(violations);
  });

  it.each(["constructor", "toString", "hasOwnProperty"])("may be named %s", (name) => {
    const schema = { type: "object", properties: { [name]: { type: "string" } }, required: [name] };
    const strategy: Strategy = { kind: "query_param", paramName: "k", credentialField: name };
    expect(check({ [name]: "v" }, schema, strategy)).toEqual({ [name]: "v" });
    expect(check({}, schema, strategy)).toEqual([`credentials.${name} is required`]);
  });

  it.each(["(a+)+$", "(a|aa)+$", "(.*a){20}$", "^(([a-z])+.)+[A-Z]([a-z])+$"])(
    "cannot be made to hang with %s",
    (pattern) => {
      const schema = schemaWith({ api_key: { type: "string", pattern } });
      const before = process.cpuUsage();
      check({ api_key: `${"a".repeat(60_000)}!` }, schema);
      const { user } = process.cpuUsage(before);
      expect(user / 1_000).toBeLessThan(1_000);
    },
  );

  it("are never repeated in an error", () => {
    const schema = schemaWith({ api_key: { type: "string", pattern: "^x", maxLength: 3, enum: ["x"] } });
    expect(JSON.stringify(check({ api_key: "hunter2", other: "hunter2" }, schema))).not.toContain("hunter2");
  });

  it("are named by a path", () => {
    expect(["a", "X-Key_2", "a.b", 'a"b'].map(credentialPath)).toEqual([
      "credentials.a",
      "credentials.X-Key_2",
      'credentials["a.b"]',
      'credentials["a\\"b"]',
    ]);
  });
});
