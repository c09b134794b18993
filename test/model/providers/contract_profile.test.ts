import { describe, expect, it } from "vitest";
import type { JsonObject } from "../../../src/model/json.js";
import {
  changeOfContract,
  contractOfProfile,
  profileOfContract,
} from "../../../src/model/providers/contract_profile.js";
import { providerViolations } from "../../../src/model/providers/provider_profile.js";

const oauth2: JsonObject = {
  name: "github",
  client_id: "id",
  client_secret: "s3cret",
  auth_url: "https://p.example/a",
  token_url: "https://p.example/t",
};

/** Settings of a profile without errors. */
function read(json: JsonObject) {
  const { settings, violations, clientSecret } = profileOfContract(json);
  expect(violations).toEqual([]);
  expect(providerViolations(settings, clientSecret instanceof Object)).toEqual([]);
  return settings;
}

describe("the type and the secret", () => {
  it("takes an empty type as oauth2 and never prints the secret", () => {
    const draft = profileOfContract({ ...oauth2, auth_type: "" });
    expect(draft.settings.authType).toBe("oauth2");
    expect(draft.clientSecret?.reveal()).toBe("s3cret");
    expect(JSON.stringify(draft)).not.toContain("s3cret");
  });

  it("tells an absent secret from an empty one", () => {
    expect(profileOfContract({ name: "x" }).clientSecret).toBeUndefined();
    expect(profileOfContract({ name: "x", client_secret: "" }).clientSecret).toBeNull();
  });
});

describe("auth_header of oauth2", () => {
  it.each([
    ["client_secret_basic", "client_secret_basic"],
    ["Basic", "client_secret_basic"],
    ["", "client_secret_post"],
    ["client_secret_post", "client_secret_post"],
    ["X-Anything", "client_secret_post"],
  ])("%s means %s, and reads back as it was written", (authHeader, method) => {
    const settings = read({ ...oauth2, auth_header: authHeader });
    expect(settings.tokenEndpointAuthMethod).toBe(method);
    expect(contractOfProfile(settings)["auth_header"]).toBe(authHeader);
  });
});

describe("params of oauth2", () => {
  it("takes the known keys, and every other text as an authorization parameter", () => {
    const settings = read({
      ...oauth2,
      params: {
        access_type: "offline",
        prompt: "",
        max: 5,
        nested: { a: 1 },
        skip_scope_on_auth: true,
        skip_scope_on_exchange: "true",
        header_name: "X-Token",
        region: "eu",
      },
    });
    expect(settings.authorizationParams).toEqual({ access_type: "offline", prompt: "" });
    expect(settings.oauth2).toMatchObject({ skipScopeOnAuth: true });
    expect(settings.strategy).toMatchObject({
      kind: "oauth2",
      headerName: "X-Token",
      valuePrefix: "Bearer ",
    });
    expect(settings.params).toEqual({
      max: 5,
      nested: { a: 1 },
      skip_scope_on_exchange: "true",
      header_name: "X-Token",
      region: "eu",
    });
  });

  it.each(["state", "redirect_uri", "client_id", "code_challenge", "response_type", "scope"])(
    "refuses %s, a parameter of the protocol",
    (name) => {
      const { violations } = profileOfContract({ ...oauth2, params: { [name]: "x", prompt: "login" } });
      expect(violations.map(({ field }) => field)).toEqual([`params["${name}"]`]);
    },
  );
});

describe("the strategy of static types", () => {
  const cases: [string, JsonObject, object][] = [
    ["a bare key", { auth_type: "api_key" }, { headerName: "X-API-Key", valuePrefix: "" }],
    [
      "a key in Authorization",
      { auth_type: "api_key", auth_header: "Authorization" },
      { headerName: "Authorization", valuePrefix: "Bearer " },
    ],
    ["auth_header", { auth_type: "api_key", auth_header: "X-Key" }, { headerName: "X-Key", valuePrefix: "" }],
    [
      "a flat header",
      { auth_type: "api_key", params: { header_name: "X-K", value_prefix: "Key ", credential_field: "k" } },
      { kind: "header", headerName: "X-K", valuePrefix: "Key ", credentialField: "k" },
    ],
    [
      "an empty prefix that is meant",
      { auth_type: "api_key", params: { header_name: "Authorization", value_prefix: "" } },
      { headerName: "Authorization", valuePrefix: "" },
    ],
    [
      "auth_strategy beside params",
      { auth_type: "api_key", auth_strategy: "query_param", params: { param_name: "key" } },
      { kind: "query_param", paramName: "key", credentialField: "api_key" },
    ],
    [
      "a parameter name alone",
      { auth_type: "api_key", params: { param_name: "key" } },
      { kind: "query_param" },
    ],
    [
      "auth_strategy inside params",
      {
        auth_type: "api_key",
        params: { auth_strategy: { type: "query_param", config: { param_name: "k" } } },
      },
      { kind: "query_param", paramName: "k" },
    ],
    [
      "basic_auth always",
      { auth_type: "basic_auth", auth_strategy: "header", params: { username_field: "login" } },
      { kind: "basic_auth", usernameField: "login", passwordField: "password" },
    ],
    ["header", { auth_type: "header" }, { headerName: "Authorization", valuePrefix: "" }],
    [
      "hmac_payload",
      { auth_type: "hmac_payload", auth_header: "X-Sig", params: { algo: "sha512", encoding: "base64" } },
      { headerName: "X-Sig", secretField: "api_secret", algo: "sha512", encoding: "base64" },
    ],
    [
      "aws_sigv4",
      { auth_type: "aws_sigv4", params: { service: "s3" } },
      { service: "s3", region: "us-east-1" },
    ],
    [
      "the typed key",
      { auth_type: "api_key", strategy: { header: { header_name: "X-T" } } },
      { kind: "header", headerName: "X-T", valuePrefix: "" },
    ],
  ];
  it.each(cases)("%s", (_name, json, expected) => {
    const settings = read({ name: "s", ...json });
    expect(settings.strategy).toMatchObject(expected);
    // What was written is what is read.
    expect(contractOfProfile(settings)["params"]).toEqual(json["params"] ?? {});
    expect(profileOfContract(contractOfProfile(settings)).settings).toEqual(settings);
  });

  it.each([
    ["an unknown one", { auth_type: "api_key", auth_strategy: "magic" }, "auth_strategy"],
    ["a number in it", { auth_type: "api_key", params: { header_name: 5 } }, "params.header_name"],
    ["a list", { auth_type: "api_key", params: { auth_strategy: [] } }, "params.auth_strategy"],
    ["an unknown type", { auth_type: "magic" }, "auth_type"],
    [
      "a method of oauth2",
      { auth_type: "api_key", token_endpoint_auth_method: "none" },
      "token_endpoint_auth_method",
    ],
    [
      "a schema that is no object",
      { auth_type: "api_key", params: { credential_schema: "x" } },
      "params.credential_schema",
    ],
    ["scopes in one text", { ...oauth2, scopes: "a b" }, "scopes"],
    [
      "an option that is none",
      { ...oauth2, oauth2_options: { omit_pcke: true } },
      "oauth2_options.omit_pcke",
    ],
    ["a duration without a unit", { ...oauth2, refresh_window: "60" }, "refresh_window"],
    ["half a request", { ...oauth2, max_concurrent_requests: 0.5 }, "max_concurrent_requests"],
  ] as [string, JsonObject, string][])("names the field with %s", (_name, json, field) => {
    expect(profileOfContract({ name: "s", ...json }).violations.map((violation) => violation.field)).toEqual([
      field,
    ]);
  });
});

describe("there and back", () => {
  it.each([
    [
      "everything",
      {
        ...oauth2,
        scopes: ["openid"],
        issuer: "https://p.example",
        jwks_url: "https://p.example/jwks",
        api_base_url: "https://api.p.example",
        user_info_endpoint: "/me",
        description: "d",
        category: "c",
        refresh_window: "90s",
        max_concurrent_requests: 64,
        params: { prompt: "login", n: 1, skip_scope_on_auth: true, skip_scope_on_exchange: false },
        authorization_params: { region: "eu" },
        oauth2_options: {
          scope_separator: ",",
          token_params: { a: "b" },
          token_headers: { "X-A": "b" },
          token_request_format: "json",
          default_lifetime: "1h",
          omit_pkce: true,
          callback_metadata: ["realmId"],
          invalid_grant_aliases: ["unauthorized_client", "errors.0.code=1"],
        },
      },
    ],
    ["a public client", { ...oauth2, client_secret: "", token_endpoint_auth_method: "none" }],
    [
      "a schema",
      {
        name: "s",
        auth_type: "api_key",
        params: { credential_schema: { type: "object" }, other: "text" },
      },
    ],
  ] as [string, JsonObject][])("%s", (_name, json) => {
    const { settings, violations } = profileOfContract(json);
    expect(violations).toEqual([]);
    const contract = contractOfProfile(settings);
    expect(contract["params"]).toEqual(json["params"] ?? {});
    expect(contract).not.toHaveProperty("client_secret");
    expect(profileOfContract(contract).settings).toEqual(settings);
  });
});

describe("a change", () => {
  const before = profileOfContract({
    ...oauth2,
    scopes: ["a"],
    auth_header: "Basic",
    refresh_window: "60s",
    params: { prompt: "login", skip_scope_on_auth: true },
  }).settings;

  it("changes what is present and nothing else", () => {
    expect(changeOfContract(before, { description: "d" })).toEqual({
      settings: { ...before, description: "d" },
      clientSecret: undefined,
      violations: [],
    });
  });

  it.each([
    ["params as a whole", { params: { hd: "x" } }, { authorizationParams: { hd: "x" } }],
    ["the typed parameters", { authorization_params: { hd: "x" } }, { authorizationParams: { hd: "x" } }],
    ["auth_header", { auth_header: "" }, { tokenEndpointAuthMethod: "client_secret_post", params: {} }],
    ["the window away", { refresh_window: null }, { refreshWindowMs: undefined }],
    ["the options", { oauth2_options: {} }, { oauth2: { ...before.oauth2, skipScopeOnAuth: false } }],
  ] as [string, JsonObject, object][])("%s", (_name, patch, expected) => {
    expect(changeOfContract(before, patch).settings).toMatchObject(expected);
  });

  it("lets the words of the change win over how the strategy was spelled", () => {
    const key = profileOfContract({
      name: "s",
      auth_type: "api_key",
      params: { auth_strategy: { type: "header", config: { header_name: "X-A" } } },
    }).settings;
    expect(changeOfContract(key, { auth_header: "X-B" }).settings.strategy).toMatchObject({
      headerName: "X-B",
    });
    const asQuery = { auth_strategy: { type: "query_param", config: { param_name: "k" } } };
    expect(changeOfContract(key, { params: asQuery }).settings.strategy).toMatchObject({
      kind: "query_param",
    });
    expect(changeOfContract(key, { strategy: { header: {} } }).settings.params).toEqual({});
  });

  it("refuses another type", () => {
    expect(changeOfContract(before, { auth_type: "api_key" }).violations).toEqual([
      { field: "auth_type", description: "cannot be changed: it is oauth2" },
    ]);
    expect(changeOfContract(before, { auth_type: "" }).violations).toEqual([]);
  });
});
