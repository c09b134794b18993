import { AuthType } from "../../../src/gen/nexus/v1/provider_pb.js";
import { type Body, canary, invalid, letters, type RpcRow, unknownId } from "./row.js";

/** A profile that would be taken, by type; the hostile field is put over it. */
const sound: Readonly<Record<string, Body>> = {
  oauth2: {
    name: "hostile",
    clientId: "the-client",
    clientSecret: canary,
    authUrl: "https://provider.example/authorize",
    tokenUrl: "https://provider.example/token",
  },
  "api-key-bearer": { name: "hostile", authType: AuthType.API_KEY },
  header: { name: "hostile", authType: AuthType.HEADER },
  query: {
    name: "hostile",
    authType: AuthType.QUERY_PARAM,
    strategy: { kind: { case: "queryParam", value: { paramName: "q" } } },
  },
  basic: { name: "hostile", authType: AuthType.BASIC_AUTH },
  hmac: {
    name: "hostile",
    authType: AuthType.HMAC_PAYLOAD,
    strategy: { kind: { case: "hmacPayload", value: { headerName: "X-Sign" } } },
  },
  aws: {
    name: "hostile",
    authType: AuthType.AWS_SIGV4,
    strategy: { kind: { case: "awsSigv4", value: { service: "s3" } } },
  },
};

interface ProviderViolation {
  /** Path in `Provider`. */
  readonly field: string;
  readonly name: string;
  readonly set: Body;
  readonly says: RegExp;
  /** Where the error is, when not at `field`. */
  readonly at?: string;
  readonly base?: keyof typeof sound;
  /** An update names it in no mask, or judges it otherwise. */
  readonly onlyCreate?: true;
}

const secondsOf = (seconds: bigint, nanos = 0): Body => ({ seconds, nanos });
const oauth = (options: Body): Body => ({ oauth2Options: options });
const strategy = (kind: string, value: Body): Body => ({ strategy: { kind: { case: kind, value } } });
const schema = (properties: Body, more: Body = {}): Body => ({
  credentialSchema: { type: "object", properties, required: Object.keys(properties), ...more },
});
const apiKeySchema = (property: Body): Body => schema({ api_key: { type: "string", ...property } });
const dunder = (value: unknown): Body => JSON.parse(`{"__proto__": ${JSON.stringify(value)}}`) as Body;
const nested = (depth: number): unknown => (depth === 0 ? "x" : { a: nested(depth - 1) });
const escapeSequence = "\u001b]0;owned\u0007";

const urls: readonly (readonly [string, string, RegExp])[] = [
  ["a script", "javascript:alert(1)", /https URL/],
  ["plain http to elsewhere", "http://provider.example/x", /https URL/],
  ["a user name", `https://user:${canary}@provider.example/x`, /user name or password/],
  ["a line end that parsers drop", "https://provider.example/a\nb", /control characters/],
  ["a backslash that parsers turn", "https://provider.example\\@evil.example/", /backslashes/],
  ["a fragment", "https://provider.example/x#y", /fragment/],
  ["no URL", "provider.example", /absolute URL/],
  ["2049 characters", `https://provider.example/${letters(2024)}`, /2048 characters/],
];

const urlFields: readonly (readonly [string, (url: string) => Body])[] = [
  ["issuer", (url) => ({ issuer: url })],
  ["auth_url", (url) => ({ authUrl: url })],
  ["token_url", (url) => ({ tokenUrl: url })],
  ["jwks_url", (url) => ({ jwksUrl: url })],
  ["api_base_url", (url) => ({ apiBaseUrl: url })],
  ["oauth2_options.refresh_url", (url) => oauth({ refreshUrl: url })],
  ["oauth2_options.revocation_url", (url) => oauth({ revocationUrl: url })],
];

const texts: readonly ProviderViolation[] = [
  ...["up:per", "-a", "a-", "a b", "../etc", "ａ", "a\u0000b", `a${escapeSequence}`].map((name) => ({
    field: "name",
    name: `the name ${JSON.stringify(name)}`,
    set: { name },
    says: /lower-case letters|U\+0000/,
  })),
  { field: "name", name: "64 characters", set: { name: letters(64) }, says: /63/ },
  { field: "name", name: "nothing", set: { name: "" }, says: /1 to 63/ },
  { field: "client_id", name: "1025 characters", set: { clientId: letters(1025) }, says: /1024/ },
  { field: "client_id", name: "an escape sequence", set: { clientId: escapeSequence }, says: /control/ },
  { field: "client_secret", name: "4097", set: { clientSecret: canary.padEnd(4097) }, says: /4096/ },
  { field: "client_secret", name: "U+0000", set: { clientSecret: `${canary}\0` }, says: /U\+0000/ },
  { field: "description", name: "1025", set: { description: letters(1025) }, says: /1024/ },
  { field: "description", name: "escapes", set: { description: escapeSequence }, says: /control/ },
  { field: "category", name: "129 characters", set: { category: letters(129) }, says: /128/ },
  { field: "category", name: "a line end", set: { category: "a\nb" }, says: /control/ },
  { field: "user_info_endpoint", name: "2049", set: { userInfoEndpoint: letters(2049) }, says: /2048/ },
  { field: "user_info_endpoint", name: "a script", set: { userInfoEndpoint: "javascript:0" }, says: /https/ },
  { field: "user_info_endpoint", name: "a line end", set: { userInfoEndpoint: "/a\r\nb" }, says: /control/ },
  {
    field: "scopes",
    name: "101",
    set: { scopes: Array.from({ length: 101 }, (_, i) => `s${i}`) },
    says: /100/,
  },
  { field: "scopes", name: "one twice", set: { scopes: ["a", "a"] }, says: /unique/ },
  {
    field: "scopes",
    name: "two in one",
    set: { scopes: ["a b"] },
    says: /must be one scope/,
    at: "scopes[0]",
  },
  { field: "scopes", name: "an empty one", set: { scopes: [""] }, says: /1 char/, at: "scopes[0]" },
  { field: "scopes", name: "257", set: { scopes: [letters(257)] }, says: /256/, at: "scopes[0]" },
  { field: "scopes", name: "openid without keys", set: { scopes: ["openid"] }, says: /openid/, at: "issuer" },
];

const enums: readonly ProviderViolation[] = [
  { field: "auth_type", name: "no such type", set: { authType: 99 }, says: /defined/, onlyCreate: true },
  { field: "auth_type", name: "a negative one", set: { authType: -1 }, says: /defined/, onlyCreate: true },
  { field: "token_endpoint_auth_method", name: "no such", set: { tokenEndpointAuthMethod: 77 }, says: /def/ },
  {
    field: "token_endpoint_auth_method",
    name: "a public client with a secret",
    set: { tokenEndpointAuthMethod: 3 },
    says: /must be empty/,
    at: "client_secret",
  },
  {
    field: "enable_discovery",
    name: "no issuer",
    set: { enableDiscovery: true },
    says: /need|required/,
    at: "issuer",
  },
  {
    field: "oauth2_options.token_request_format",
    name: "no such format",
    set: oauth({ tokenRequestFormat: 9 }),
    says: /defined/,
  },
];

const durations: readonly ProviderViolation[] = [
  ...(["refresh_window", "oauth2_options.default_lifetime"] as const).flatMap(
    (field): ProviderViolation[] => {
      const set = (duration: Body): Body =>
        field === "refresh_window" ? { refreshWindow: duration } : oauth({ defaultLifetime: duration });
      return [
        { field, name: "a negative duration", set: set(secondsOf(-1n)), says: /[>≥]|least|1s/ },
        { field, name: "nothing", set: set(secondsOf(0n)), says: /1s/ },
        { field, name: "20 years", set: set(secondsOf(630_720_000n)), says: /86400s|315360000s/ },
        { field, name: "2^62 seconds", set: set(secondsOf(1n << 62n)), says: /10000 years/ },
        { field, name: "nanos of another sign", set: set(secondsOf(5n, -5)), says: /10000 years/ },
        { field, name: "too many nanos", set: set(secondsOf(5n, 2_000_000_000)), says: /10000 years/ },
      ];
    },
  ),
];

const maps: readonly ProviderViolation[] = [
  ...(
    ["authorization_params", "oauth2_options.token_params", "oauth2_options.refresh_params"] as const
  ).flatMap((field): ProviderViolation[] => {
    const put = (map: unknown): Body =>
      field === "authorization_params"
        ? { authorizationParams: map }
        : oauth({ [field.endsWith("token_params") ? "tokenParams" : "refreshParams"]: map });
    const many = Object.fromEntries(Array.from({ length: 51 }, (_, index) => [`p${index}`, "v"]));
    return [
      {
        field,
        name: "the name __proto__",
        set: put(dunder("x")),
        says: /reserved/,
        at: `${field}["__proto__"]`,
      },
      { field, name: "state", set: put({ state: "x" }), says: /protocol/, at: `${field}["state"]` },
      {
        field,
        name: "a verifier",
        set: put({ code_verifier: canary }),
        says: /protocol/,
        at: `${field}["code_verifier"]`,
      },
      {
        field,
        name: "a line end in a value",
        set: put({ a: "b\r\nc" }),
        says: /control/,
        at: `${field}["a"]`,
      },
      { field, name: "51 of them", set: put(many), says: /50/ },
      { field, name: "2049 characters", set: put({ a: letters(2049) }), says: /2048/, at: `${field}["a"]` },
      { field, name: "an empty name", set: put({ "": "x" }), says: /1 char/, at: `${field}[""]` },
    ];
  }),
  ...[
    ["a line end in a value", { "X-A": `a\r\nX-Evil: ${canary}` }, /printable ASCII/, "X-A"],
    ["a line end in a name", { "X-A\r\nX-Evil": "a" }, /must be a header name/, "X-A\\u{d}\\u{a}X-Evil"],
    ["Authorization", { authorization: canary }, /the protocol sets itself/, "authorization"],
    ["Host", { Host: "evil.example" }, /frames the message/, "Host"],
    ["Expect", { expect: "100-continue" }, /frames the message/, "expect"],
    ["a value of 2049 characters", { "X-A": letters(2049) }, /2048/, "X-A"],
  ].map(
    ([name, headers, says, at]): ProviderViolation => ({
      field: "oauth2_options.token_headers",
      name: String(name),
      set: oauth({ tokenHeaders: headers }),
      says: says as RegExp,
      at: `oauth2_options.token_headers["${at}"]`,
    }),
  ),
  {
    field: "params",
    name: "the name __proto__",
    set: { params: dunder({ a: 1 }) },
    says: /reserved/,
    at: 'params["__proto__"]',
  },
  {
    field: "params",
    name: "__proto__ below",
    set: { params: { a: [dunder(1)] } },
    says: /reserved/,
    at: 'params["a"][0]["__proto__"]',
  },
  { field: "params", name: "64 KiB", set: { params: { a: letters(65_536) } }, says: /65536 bytes/ },
  {
    field: "params",
    name: "33 deep",
    set: { params: nested(33) as Body },
    says: /32 deep/,
    at: `params${'["a"]'.repeat(32)}`,
  },
  {
    field: "params",
    name: "no number",
    set: { params: { a: Number.NaN } },
    says: /finite/,
    at: 'params["a"]',
  },
  {
    field: "params",
    name: "no end",
    set: { params: { a: [Number.POSITIVE_INFINITY] } },
    says: /finite/,
    at: 'params["a"][0]',
  },
];

const options: readonly ProviderViolation[] = [
  {
    field: "oauth2_options.scope_separator",
    name: "9",
    set: oauth({ scopeSeparator: letters(9) }),
    says: /8/,
  },
  {
    field: "oauth2_options.scope_separator",
    name: "CRLF",
    set: oauth({ scopeSeparator: "\r\n" }),
    says: /control/,
  },
  {
    field: "oauth2_options.token_response_path",
    name: "odd",
    set: oauth({ tokenResponsePath: "a..b" }),
    says: /with dots between/,
  },
  {
    field: "oauth2_options.resource",
    name: "a fragment",
    set: oauth({ resource: "https://api.example/#x" }),
    says: /without a fragment/,
  },
  {
    field: "oauth2_options.resource",
    name: "no URI",
    set: oauth({ resource: "a b\r\n" }),
    says: /absolute URI/,
  },
  {
    field: "oauth2_options.token_response_path",
    name: "long",
    set: oauth({ tokenResponsePath: letters(129) }),
    says: /128/,
  },
  {
    field: "oauth2_options.lifetime_field",
    name: "65",
    set: oauth({ lifetimeField: letters(65) }),
    says: /64/,
  },
  {
    field: "oauth2_options.lifetime_field",
    name: "BEL",
    set: oauth({ lifetimeField: "a\u0007" }),
    says: /control/,
  },
  ...(
    [
      ["nothing", [""], /printable ASCII/, "[0]"],
      ["257 characters", [letters(257)], /256/, "[0]"],
      ["a control character", ["a\u0007"], /printable ASCII/, "[0]"],
      ["one twice", ["a", "a"], /unique/, ""],
      ["21 of them", Array.from({ length: 21 }, (_, i) => `f${i}`), /20/, ""],
    ] as const
  ).map(([name, invalidGrantAliases, says, at]): ProviderViolation => {
    const field = "oauth2_options.invalid_grant_aliases";
    return { field, name, set: oauth({ invalidGrantAliases }), says, at: `${field}${at}` };
  }),
  ...(["callback_metadata", "token_metadata"] as const).flatMap((name): ProviderViolation[] => {
    const field = `oauth2_options.${name}`;
    const put = (paths: string[]): Body =>
      oauth({ [name === "callback_metadata" ? "callbackMetadata" : "tokenMetadata"]: paths });
    return [
      { field, name: "a secret", set: put(["access_token"]), says: /secret/, at: `${field}[0]` },
      { field, name: "an empty name", set: put([""]), says: /1/, at: `${field}[0]` },
      { field, name: "129 characters", set: put([letters(129)]), says: /128/, at: `${field}[0]` },
      { field, name: "a control character", set: put(["a\u009b"]), says: /control/, at: `${field}[0]` },
      { field, name: "21 of them", set: put(Array.from({ length: 21 }, (_, i) => `f${i}`)), says: /20/ },
    ];
  }),
];

const strategies: readonly ProviderViolation[] = (
  [
    ["oauth2", "oauth2", "header_name", { headerName: "A\r\nB" }, /header name/],
    ["oauth2", "oauth2", "header_name", { headerName: letters(129) }, /128/],
    ["oauth2", "oauth2", "value_prefix", { valuePrefix: "B\r\n" }, /ASCII/],
    ["oauth2", "oauth2", "credential_field", { credentialField: "__proto__" }, /reserved/],
    ["oauth2", "oauth2", "credential_field", { credentialField: "a\u0007" }, /control/],
    ["header", "header", "header_name", { headerName: "no header" }, /header name/],
    ["header", "header", "header_name", { headerName: "Transfer-Encoding" }, /frames the message/],
    ["header", "header", "value_prefix", { valuePrefix: "\u001b[2J" }, /ASCII/],
    ["header", "header", "credential_field", { credentialField: "__proto__" }, /reserved/],
    ["query", "queryParam", "param_name", { paramName: "a\nb" }, /control/],
    ["query", "queryParam", "param_name", { paramName: "" }, /required/],
    ["query", "queryParam", "credential_field", { paramName: "q", credentialField: letters(129) }, /128/],
    ["basic", "basicAuth", "username_field", { usernameField: "__proto__" }, /reserved/],
    ["basic", "basicAuth", "password_field", { passwordField: "p\u0001" }, /control/],
    ["aws", "awsSigv4", "service", { service: "../s3" }, /lower-case/],
    ["aws", "awsSigv4", "region", { service: "s3", region: "eu/../x" }, /lower-case/],
    ["hmac", "hmacPayload", "header_name", { headerName: "X: Y" }, /header name/],
    ["hmac", "hmacPayload", "secret_field", { headerName: "X", secretField: "__proto__" }, /reserved/],
    ["hmac", "hmacPayload", "algo", { headerName: "X", algo: "md5" }, /sha256/],
    ["hmac", "hmacPayload", "encoding", { headerName: "X", encoding: "rot13" }, /hex/],
  ] as const
).map(([base, kind, name, value, says]) => {
  const word = kind.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  const field = `strategy.${word}.${name}`;
  return { field, name: JSON.stringify(value), set: strategy(kind, value), says, base };
});

const schemas: readonly ProviderViolation[] = (
  [
    ["65 KiB", apiKeySchema({ description: letters(65_537) }), /65536 bytes/, ""],
    ["another type", { credentialSchema: { type: "array" } }, /object/, ".type"],
    [
      "a reference",
      schema({ api_key: { $ref: "https://evil.example/s" } }),
      /not supported/,
      '.properties["api_key"].$ref',
    ],
    [
      "a pattern that backtracks",
      apiKeySchema({ pattern: "(a+)+\\1$" }),
      /RE2/,
      '.properties["api_key"].pattern',
    ],
    [
      "a pattern of 1001 characters",
      apiKeySchema({ pattern: letters(1001) }),
      /1000/,
      '.properties["api_key"].pattern',
    ],
    [
      "a name with an escape",
      schema({ api_key: { type: "string" }, "\u001b[1m": { type: "string" } }),
      /control/,
      undefined,
    ],
    ["__proto__", schema({ ...dunder({ type: "string" }) }), /reserved/, '["properties"]["__proto__"]'],
    [
      "51 fields",
      schema(Object.fromEntries(Array.from({ length: 51 }, (_, i) => [`f${i}`, { type: "string" }]))),
      /50/,
      ".properties",
    ],
    ["an unknown format", apiKeySchema({ format: "regex" }), /one of/, '.properties["api_key"].format'],
    ["no field for the strategy", schema({ other: { type: "string" } }), /reads it/, ".properties"],
  ] as const
).map(([name, set, says, at]) => ({
  field: "credential_schema",
  name,
  set,
  says,
  base: "api-key-bearer",
  at: at === undefined ? 'credential_schema.properties["\\u001b[1m"]' : `credential_schema${at}`,
}));

/** What a caller cannot set is ignored, but not when it is malformed. */
const outputOnly: readonly ProviderViolation[] = [
  { field: "etag", name: "U+0000", set: { etag: "a\0" }, says: /U\+0000/ },
  { field: "template", name: "U+0000", set: { template: "a\0" }, says: /U\+0000/ },
  { field: "created_at", name: "2^62", set: { createdAt: secondsOf(1n << 62n) }, says: /year 1 to 9999/ },
  {
    field: "updated_at",
    name: "year 0",
    set: { updatedAt: secondsOf(-62_135_596_801n) },
    says: /year 1 to 9999/,
  },
].map((violation) => ({ ...violation, onlyCreate: true as const }));

const violations: readonly ProviderViolation[] = [
  ...texts,
  ...urlFields.flatMap(([field, put]) =>
    urls
      .filter(([name]) => name !== "a fragment" || field !== "api_base_url")
      .map(([name, url, says]): ProviderViolation => ({ field, name, set: put(url), says })),
  ),
  ...enums,
  ...durations,
  ...maps,
  ...options,
  ...strategies,
  ...schemas,
  ...outputOnly,
];

function createRow({ field, name, set, says, at, base = "oauth2" }: ProviderViolation): RpcRow {
  return {
    rpc: "ProviderService/CreateProvider",
    name,
    fields: [`provider.${field}`],
    message: () => ({ provider: { ...sound[base], ...set } }),
    demand: invalid(says, `provider.${at ?? field}`),
  };
}

function updateRow({ field, name, set, says, at, base = "oauth2" }: ProviderViolation): RpcRow {
  const path = field.split(/[.[]/)[0] ?? "";
  return {
    rpc: "ProviderService/UpdateProvider",
    name,
    fields: [`provider.${field}`],
    message: ({ providers }) => ({
      provider: { id: providers[base], ...set },
      updateMask: { paths: [path] },
    }),
    demand: invalid(says, `provider.${at ?? field}`),
  };
}

const rows = (rpc: string, list: readonly Omit<RpcRow, "rpc">[]): RpcRow[] =>
  list.map((row) => ({ rpc: `ProviderService/${rpc}`, ...row }));

const page = (rpc: string, list: "providers" | "templates", other: "audit" | "connections"): RpcRow[] =>
  rows(rpc, [
    {
      name: "a negative size",
      fields: ["page_size"],
      message: () => ({ pageSize: -1 }),
      demand: invalid(/0/),
    },
    { name: "1001", fields: ["page_size"], message: () => ({ pageSize: 1001 }), demand: invalid(/1000/) },
    {
      name: "513 characters",
      fields: ["page_token"],
      message: () => ({ pageToken: letters(513) }),
      demand: invalid(/512/),
    },
    {
      name: "no token",
      fields: ["page_token"],
      message: () => ({ pageToken: "%%" }),
      demand: invalid(/next_page_token/),
    },
    {
      name: "a token of another list",
      fields: ["page_token"],
      message: ({ pageTokens }) => ({ pageToken: pageTokens[other] }),
      demand: invalid(/of this list/),
    },
    {
      name: "a forged token with U+0000",
      fields: ["page_token"],
      message: () => ({ pageToken: Buffer.from(`${list}/a\0`).toString("base64url") }),
      demand: invalid(/next_page_token/),
    },
    {
      name: "64 characters",
      fields: ["name_prefix"],
      message: () => ({ namePrefix: letters(64) }),
      demand: invalid(/63/),
    },
    {
      name: "U+0000",
      fields: ["name_prefix"],
      message: () => ({ namePrefix: "a\0" }),
      demand: invalid(/U\+0000/),
    },
  ]);

export const providerRows: readonly RpcRow[] = [
  ...violations.map(createRow),
  ...violations.filter(({ onlyCreate }) => !onlyCreate).map(updateRow),
  ...rows("CreateProvider", [
    { name: "no profile", fields: ["provider"], message: () => ({}), demand: invalid(/required/) },
    {
      name: "a taken name in other letters",
      fields: ["provider.name"],
      message: () => ({ provider: { ...sound["oauth2"], name: "  OAUTH2 " } }),
      demand: { code: "AlreadyExists" },
    },
    {
      name: "a template that is not there",
      fields: ["template"],
      message: () => ({ provider: {}, template: "__proto__" }),
      demand: { code: "NotFound" },
    },
    {
      name: "64 characters",
      fields: ["template"],
      message: () => ({ provider: {}, template: letters(64) }),
      demand: invalid(/63/),
    },
    {
      name: "a variable that ends the host",
      fields: ["template_variables"],
      message: () => ({
        provider: { clientId: "c", clientSecret: canary },
        template: "zendesk",
        templateVariables: { subdomain: "evil.example/" },
      }),
      demand: invalid(/must have the form of/, 'template_variables["subdomain"]'),
    },
    {
      name: "the variable __proto__",
      fields: ["template_variables"],
      message: () => ({ provider: {}, template: "zendesk", templateVariables: dunder("x") }),
      demand: invalid(/reserved/, 'template_variables["__proto__"]'),
    },
    {
      name: "21 variables",
      fields: ["template_variables"],
      message: () => ({
        provider: {},
        template: "zendesk",
        templateVariables: Object.fromEntries(Array.from({ length: 21 }, (_, i) => [`v${i}`, "x"])),
      }),
      demand: invalid(/20/),
    },
    {
      name: "U+0000 in what the daemon gives itself",
      fields: ["provider.id"],
      message: () => ({ provider: { ...sound["oauth2"], id: "a\0" } }),
      demand: invalid(/U\+0000/),
    },
  ]),
  ...rows("GetProvider", [
    {
      name: "neither",
      fields: ["id", "name"],
      message: () => ({}),
      demand: invalid(/exactly one|required/, "key"),
    },
    {
      name: "no UUID",
      fields: ["id"],
      message: () => ({ key: { case: "id", value: "../x" } }),
      demand: invalid(/UUID/),
    },
    {
      name: "an unknown one",
      fields: ["id"],
      message: () => ({ key: { case: "id", value: unknownId } }),
      demand: { code: "NotFound" },
    },
    {
      name: "2000 bytes",
      fields: ["name"],
      message: () => ({ key: { case: "name", value: letters(2000) } }),
      demand: invalid(/128/),
    },
    {
      name: "U+0000",
      fields: ["name"],
      message: () => ({ key: { case: "name", value: "a\0" } }),
      demand: invalid(/U\+0000/),
    },
    {
      name: "__proto__",
      fields: ["name"],
      message: () => ({ key: { case: "name", value: "__proto__" } }),
      demand: { code: "NotFound" },
    },
    {
      name: "384 bytes in 128 characters",
      fields: ["name"],
      message: () => ({ key: { case: "name", value: "\u20ac".repeat(128) } }),
      demand: { code: "NotFound" },
    },
  ]),
  ...page("ListProviders", "providers", "connections"),
  ...rows("ListProviders", [
    {
      name: "no such type",
      fields: ["auth_type"],
      message: () => ({ authType: 99 }),
      demand: invalid(/defined/),
    },
  ]),
  ...page("ListProviderTemplates", "templates", "audit"),
  ...rows("UpdateProvider", [
    {
      name: "no profile",
      fields: ["provider"],
      message: () => ({ updateMask: { paths: ["name"] } }),
      demand: invalid(/required/),
    },
    {
      name: "no UUID",
      fields: ["provider.id"],
      message: () => ({ provider: { id: "x" }, updateMask: { paths: ["name"] } }),
      demand: invalid(/UUID/),
    },
    {
      name: "an unknown one",
      fields: ["provider.id"],
      message: () => ({ provider: { id: unknownId }, updateMask: { paths: ["name"] } }),
      demand: { code: "NotFound" },
    },
    ...[
      "*",
      "id",
      "auth_type",
      "created_at",
      "provider.name",
      "client_secret_set",
      "__proto__",
      "constructor",
      " ",
      "a\u001b[2J",
      letters(100_000),
    ].map((path) => ({
      name: `the path ${JSON.stringify(path.slice(0, 20))}`,
      fields: ["update_mask", ...(path === "auth_type" ? ["provider.auth_type"] : [])],
      message: ({ providers }: { providers: Readonly<Record<string, string>> }) => ({
        provider: { id: providers["oauth2"] },
        updateMask: { paths: [path] },
      }),
      demand: invalid(/cannot be changed/, "update_mask.paths[0]"),
    })),
    {
      name: "50000 odd paths, whose errors would fill the trailers",
      fields: ["update_mask"],
      message: ({ providers }) => ({
        provider: { id: providers["oauth2"] },
        updateMask: { paths: Array.from({ length: 50_000 }, (_, index) => `p${index}`) },
      }),
      demand: invalid(/at most 100/),
    },
    {
      name: "no path",
      fields: ["update_mask"],
      message: ({ providers }) => ({ provider: { id: providers["oauth2"] }, updateMask: {} }),
      demand: invalid(/at least one/),
    },
    ...["v0", "v-1", "v1e3", 'W/"1"', `v${"9".repeat(40)}`].map((etag) => ({
      name: `the etag ${etag.slice(0, 10)}`,
      fields: ["etag"],
      message: ({ providers }: { providers: Readonly<Record<string, string>> }) => ({
        provider: { id: providers["oauth2"], description: "x" },
        updateMask: { paths: ["description"] },
        etag,
      }),
      demand: invalid(/etag of an answer/),
    })),
    {
      name: "the etag of another version",
      fields: ["etag"],
      message: ({ providers }) => ({
        provider: { id: providers["oauth2"], description: "x" },
        updateMask: { paths: ["description"] },
        etag: "v7",
      }),
      demand: { code: "Aborted" },
    },
    ...(["etag", "template"] as const).map((name) => ({
      name: "U+0000 in what the daemon gives itself",
      fields: [`provider.${name}`],
      message: ({ providers }: { providers: Readonly<Record<string, string>> }) => ({
        provider: { id: providers["oauth2"], [name]: "a\0" },
        updateMask: { paths: ["description"] },
      }),
      demand: invalid(/U\+0000/),
    })),
    ...(["created_at", "updated_at", "client_secret_set"] as const).map((path) => ({
      name: "what the daemon gives itself",
      fields: [`provider.${path}`],
      message: ({ providers }: { providers: Readonly<Record<string, string>> }) => ({
        provider: { id: providers["oauth2"] },
        updateMask: { paths: [path] },
      }),
      demand: invalid(/cannot be changed/, "update_mask.paths[0]"),
    })),
  ]),
  ...(["CreateProvider", "UpdateProvider"] as const).flatMap((rpc) =>
    rows(rpc, [
      ...["enable_discovery", "client_secret_set"].map((name) => ({
        name: "a text for a flag",
        fields: [`provider.${name}`],
        json: () => `{"provider": {"${name}": "yes"}}`,
        demand: { code: "InvalidArgument" as const },
      })),
      ...["omit_pkce", "skip_scope_on_auth"].map((name) => ({
        name: "a number for a flag",
        fields: [`provider.oauth2_options.${name}`],
        json: () => `{"provider": {"oauth2_options": {"${name}": 1}}}`,
        demand: { code: "InvalidArgument" as const },
      })),
      {
        name: "a secret where a list belongs",
        fields: ["provider.scopes"],
        json: () => `{"provider": {"scopes": "${canary}\\u001b[2J"}}`,
        demand: { code: "InvalidArgument" as const },
      },
    ]),
  ),
  ...rows("DeleteProvider", [
    { name: "no UUID", fields: ["id"], message: () => ({ id: "oauth2" }), demand: invalid(/UUID/) },
    { name: "U+0000", fields: ["id"], message: () => ({ id: "\0" }), demand: invalid(/U\+0000/) },
    {
      name: "an unknown one",
      fields: ["id"],
      message: () => ({ id: unknownId }),
      demand: { code: "NotFound" },
    },
  ]),
];
