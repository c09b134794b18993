import { AuthType } from "../../../src/gen/nexus/v1/provider_pb.js";
import { mcpServerUrls } from "./name_rows.js";
import {
  type Body,
  badType,
  canary,
  invalid,
  type Line,
  letters,
  notFound,
  type Place,
  type RpcRow,
  table,
  unknownId,
} from "./row.js";

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

/** The same in a table. */
type Given = readonly [field: string, name: string, set: Body, says: RegExp, at?: string];

const violationOf = ([field, name, set, says, at]: Given): ProviderViolation => ({
  field,
  name,
  set,
  says,
  ...(at === undefined ? {} : { at }),
});

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
  ["mcp_server_url", (url) => ({ mcpServerUrl: url })],
  ["oauth2_options.refresh_url", (url) => oauth({ refreshUrl: url })],
  ["oauth2_options.revocation_url", (url) => oauth({ revocationUrl: url })],
  ["oauth2_options.pushed_authorization_request_url", (url) => oauth({ pushedAuthorizationRequestUrl: url })],
  ["oauth2_options.device_authorization_url", (url) => oauth({ deviceAuthorizationUrl: url })],
];

const texts: readonly Given[] = [
  ...["up:per", "-a", "a-", "a b", "../etc", "ａ", "a\u0000b", `a${escapeSequence}`].map(
    (name): Given => ["name", `the name ${JSON.stringify(name)}`, { name }, /lower-case letters|U\+0000/],
  ),
  ["name", "64 characters", { name: letters(64) }, /63/],
  ["name", "nothing", { name: "" }, /1 to 63/],
  ["client_id", "1025 characters", { clientId: letters(1025) }, /1024/],
  ["client_id", "an escape sequence", { clientId: escapeSequence }, /control/],
  ["client_secret", "4097", { clientSecret: canary.padEnd(4097) }, /4096/],
  ["client_secret", "U+0000", { clientSecret: `${canary}\0` }, /U\+0000/],
  ["description", "1025", { description: letters(1025) }, /1024/],
  ["description", "escapes", { description: escapeSequence }, /control/],
  ["category", "129 characters", { category: letters(129) }, /128/],
  ["category", "a line end", { category: "a\nb" }, /control/],
  ["user_info_endpoint", "2049", { userInfoEndpoint: letters(2049) }, /2048/],
  ["user_info_endpoint", "a script", { userInfoEndpoint: "javascript:0" }, /https/],
  ["user_info_endpoint", "a line end", { userInfoEndpoint: "/a\r\nb" }, /control/],
  [
    "user_info_mapping",
    "another name",
    { userInfoMapping: { token: "a" } },
    /in list/,
    'user_info_mapping["token"]',
  ],
  [
    "user_info_mapping",
    "no path",
    { userInfoMapping: { login: "a..b" } },
    /dots between/,
    'user_info_mapping["login"]',
  ],
  [
    "user_info_mapping",
    "129",
    { userInfoMapping: { login: letters(129) } },
    /128/,
    'user_info_mapping["login"]',
  ],
  [
    "user_info_mapping",
    "a secret",
    { userInfoMapping: { login: "access_token" } },
    /secret/,
    'user_info_mapping["login"]',
  ],
  ["scopes", "101", { scopes: Array.from({ length: 101 }, (_, i) => `s${i}`) }, /100/],
  ["scopes", "one twice", { scopes: ["a", "a"] }, /unique/],
  ["scopes", "two in one", { scopes: ["a b"] }, /must be one scope/, "scopes[0]"],
  ["scopes", "an empty one", { scopes: [""] }, /not be empty/, "scopes[0]"],
  ["scopes", "257", { scopes: [letters(257)] }, /256/, "scopes[0]"],
  ["jwks_url", "keys without an issuer", { jwksUrl: "https://a.example/k" }, /jwks_url/, "issuer"],
];

const enums: readonly Given[] = [
  ["token_endpoint_auth_method", "no such", { tokenEndpointAuthMethod: 77 }, /def/],
  [
    "token_endpoint_auth_method",
    "a public client with a secret",
    { tokenEndpointAuthMethod: 3 },
    /must be empty/,
    "client_secret",
  ],
  ["grant_type", "no such", { grantType: 77 }, /def/],
  [
    "token_endpoint_auth_method",
    "a key that signs nothing",
    { tokenEndpointAuthMethod: 5 },
    /private key/,
    "client_secret",
  ],
  ["tls_client_certificate", "no PEM", { tokenEndpointAuthMethod: 6, tlsClientCertificate: "a" }, /as PEM/],
  [
    "tls_client_certificate",
    "32769 characters",
    { tokenEndpointAuthMethod: 6, tlsClientCertificate: letters(32_769) },
    /32768/,
  ],
  [
    "tls_client_certificate",
    "the private key with it",
    { tokenEndpointAuthMethod: 7, tlsClientCertificate: `-----BEGIN PRIVATE KEY-----\n${canary}\n` },
    /private key/,
  ],
  [
    "tls_client_certificate",
    "an escape sequence",
    { tokenEndpointAuthMethod: 6, tlsClientCertificate: escapeSequence },
    /as PEM/,
  ],
  [
    "token_endpoint_auth_method",
    "TLS without a certificate",
    { tokenEndpointAuthMethod: 6 },
    /is required/,
    "tls_client_certificate",
  ],
  ["tls_client_certificate", "where a secret proves", { tlsClientCertificate: "a" }, /must be empty/],
  ["client_assertion_source", "a path", { clientAssertionSource: "/etc/shadow" }, /never a path/],
  ["client_assertion_source", "a way up", { clientAssertionSource: "../admin.key" }, /never a path/],
  ["client_assertion_source", "64 characters", { clientAssertionSource: letters(64) }, /never a path/],
  [
    "client_assertion_source",
    "a word of a prototype",
    { clientAssertionSource: "__proto__" },
    /never a path/,
  ],
  [
    "client_assertion_source",
    "a name that the settings lack",
    { clientAssertionSource: "constructor" },
    /NEXUS_CLIENT_ASSERTION_FILES/,
  ],
  ["client_key_source", "a path", { clientKeySource: "/etc/shadow" }, /never a path/],
  ["client_key_source", "a way up", { clientKeySource: "../admin.key" }, /never a path/],
  ["client_key_source", "64 characters", { clientKeySource: letters(64) }, /never a path/],
  [
    "client_key_source",
    "a word of a prototype",
    { clientKeySource: "constructor" },
    /unless the client signs/,
  ],
  ["api_ca_file", "a path", { apiCaFile: "/etc/ssl/ca.pem" }, /never a path/],
  ["api_ca_file", "a way up", { apiCaFile: "../ca" }, /never a path/],
  ["api_ca_file", "64 characters", { apiCaFile: letters(64) }, /never a path/],
  ["api_ca_file", "a word of a prototype", { apiCaFile: "constructor" }, /NEXUS_API_CA_FILES/],
  ["oauth2_options.client_assertion_type", "no such", oauth({ clientAssertionType: 9 }), /defined/],
  ["oauth2_options.client_key_id", "257", oauth({ clientKeyId: letters(257) }), /256/],
  ["oauth2_options.client_key_id", "BEL", oauth({ clientKeyId: "a\u0007" }), /control/],
  ["oauth2_options.assertion_subject", "257", oauth({ assertionSubject: letters(257) }), /256/],
  ["oauth2_options.assertion_subject", "BEL", oauth({ assertionSubject: "a\u0007" }), /control/],
  ["oauth2_options.assertion_audience", "2049", oauth({ assertionAudience: letters(2049) }), /2048/],
  ["oauth2_options.assertion_audience", "CRLF", oauth({ assertionAudience: "a\r\n" }), /control/],
  ["oauth2_options.client_signing_alg", "none", oauth({ clientSigningAlg: "none" }), /RS256/],
  ["oauth2_options.response_mode", "form_post", oauth({ responseMode: "form_post" }), /jwt/],
  ["oauth2_options.client_signing_alg", "HMAC", oauth({ clientSigningAlg: "HS256" }), /RS256/],
  ["identity_provider", "64 characters", { identityProvider: letters(64) }, /63/],
  ["identity_provider", "of another grant type", { identityProvider: "company" }, /leave it empty/],
  ["identity_provider", "a path", { identityProvider: "../etc" }, /leave it empty/],
  ["oauth2_options.token_exchange", "no such", oauth({ tokenExchange: 9 }), /defined/],
  ["oauth2_options.actor_token", "no such", oauth({ actorToken: 9 }), /defined/],
  ["oauth2_options.actor_token", "no exchange", oauth({ actorToken: 2 }), /unless token_exchange is rfc8693/],
  ...(
    [
      ["nothing", [""], /must not be empty/, "[0]"],
      ["257 characters", [letters(257)], /256/, "[0]"],
      ["two in one", ["a b"], /printable ASCII/, "[0]"],
      ["one twice", ["a", "a"], /unique/, ""],
      ["101 of them", Array.from({ length: 101 }, (_, i) => `f${i}`), /100/, ""],
    ] as const
  ).map(([name, tokenExchangeScopes, says, at]): Given => {
    const field = "oauth2_options.token_exchange_scopes";
    return [field, name, oauth({ tokenExchangeScopes }), says, `${field}${at}`];
  }),
  ["oauth2_options.client_assertion_audience", "no such", oauth({ clientAssertionAudience: 9 }), /defined/],
  ["enable_discovery", "no issuer", { enableDiscovery: true }, /need|required/, "issuer"],
  ["oauth2_options.dpop", "no such word", oauth({ dpop: 9 }), /defined/],
  ["oauth2_options.resource_parameter", "no such word", oauth({ resourceParameter: 9 }), /defined/],
  [
    "oauth2_options.resource_parameter",
    "always nothing",
    oauth({ resourceParameter: 2 }),
    /resource_parameter is always/,
    "oauth2_options.resource",
  ],
  ["oauth2_options.token_request_format", "no such format", oauth({ tokenRequestFormat: 9 }), /defined/],
];

const numbers: readonly Given[] = [
  ["api_hosts", "every name of a top domain", { apiHosts: ["*.com"] }, /lower-case host/, "api_hosts[0]"],
  ...["/../x", "/", "/a//b", "/a?b", "/%61", "/a/.", "/a;b", "/a#b", "/a b"].map(
    (path): Given => [
      "api_hosts",
      `the path ${path}`,
      { apiHosts: [`api.example.com${path}`] },
      /lower-case host/,
      "api_hosts[0]",
    ],
  ),
  ["max_concurrent_requests", "more than others leave", { maxConcurrentRequests: 97 }, /96/],
  ["max_concurrent_requests", "no end", { maxConcurrentRequests: 2 ** 32 - 1 }, /96/],
  ["check_interval", "no endpoint to check at", { checkInterval: secondsOf(300n) }, /user_info_endpoint/],
  ["check_interval", "each second", { checkInterval: secondsOf(1n) }, /300s/],
  ...(["refresh_window", "check_interval", "oauth2_options.default_lifetime"] as const).flatMap(
    (field): Given[] => {
      const set = (duration: Body): Body => {
        if (field === "check_interval") return { checkInterval: duration };
        return field === "refresh_window"
          ? { refreshWindow: duration }
          : oauth({ defaultLifetime: duration });
      };
      return [
        [field, "a negative duration", set(secondsOf(-1n)), /[>≥]|least|1s|300s/],
        [field, "nothing", set(secondsOf(0n)), /1s|300s/],
        [field, "20 years", set(secondsOf(630_720_000n)), /86400s|2592000s|315360000s/],
        [field, "2^62 seconds", set(secondsOf(1n << 62n)), /10000 years/],
        [field, "nanos of another sign", set(secondsOf(5n, -5)), /10000 years/],
        [field, "too many nanos", set(secondsOf(5n, 2_000_000_000)), /10000 years/],
      ];
    },
  ),
];

const maps: readonly Given[] = [
  ...(
    ["authorization_params", "oauth2_options.token_params", "oauth2_options.refresh_params"] as const
  ).flatMap((field): Given[] => {
    const put = (map: unknown): Body =>
      field === "authorization_params"
        ? { authorizationParams: map }
        : oauth({ [field.endsWith("token_params") ? "tokenParams" : "refreshParams"]: map });
    const many = Object.fromEntries(Array.from({ length: 51 }, (_, index) => [`p${index}`, "v"]));
    return [
      [field, "the name __proto__", put(dunder("x")), /reserved/, `${field}["__proto__"]`],
      [field, "state", put({ state: "x" }), /protocol/, `${field}["state"]`],
      [field, "a verifier", put({ code_verifier: canary }), /protocol/, `${field}["code_verifier"]`],
      [field, "a line end in a value", put({ a: "b\r\nc" }), /control/, `${field}["a"]`],
      [field, "51 of them", put(many), /50/],
      [field, "2049 characters", put({ a: letters(2049) }), /2048/, `${field}["a"]`],
      [field, "an empty name", put({ "": "x" }), /not be empty/, `${field}[""]`],
    ];
  }),
  ...[
    ["a line end in a value", { "X-A": `a\r\nX-Evil: ${canary}` }, /printable ASCII/, "X-A"],
    ["a line end in a name", { "X-A\r\nX-Evil": "a" }, /must be a header name/, "X-A\\u{d}\\u{a}X-Evil"],
    ["Authorization", { authorization: canary }, /the protocol sets itself/, "authorization"],
    ["DPoP", { DPoP: canary }, /the protocol sets itself/, "DPoP"],
    ["Host", { Host: "evil.example" }, /frames the message/, "Host"],
    ["Expect", { expect: "100-continue" }, /frames the message/, "expect"],
    ["a value of 2049 characters", { "X-A": letters(2049) }, /2048/, "X-A"],
  ].map(
    ([name, headers, says, at]): Given => [
      "oauth2_options.token_headers",
      String(name),
      oauth({ tokenHeaders: headers }),
      says as RegExp,
      `oauth2_options.token_headers["${at}"]`,
    ],
  ),
  ["params", "the name __proto__", { params: dunder({ a: 1 }) }, /reserved/, 'params["__proto__"]'],
  ["params", "__proto__ below", { params: { a: [dunder(1)] } }, /reserved/, 'params["a"][0]["__proto__"]'],
  ["params", "64 KiB", { params: { a: letters(65_536) } }, /65536 bytes/],
  ["params", "33 deep", { params: nested(33) as Body }, /32 deep/, `params${'["a"]'.repeat(32)}`],
  ["params", "no number", { params: { a: Number.NaN } }, /finite/, 'params["a"]'],
  ["params", "no end", { params: { a: [Number.POSITIVE_INFINITY] } }, /finite/, 'params["a"][0]'],
];

const options: readonly Given[] = [
  ["oauth2_options.scope_separator", "9", oauth({ scopeSeparator: letters(9) }), /8/],
  ["oauth2_options.scope_separator", "CRLF", oauth({ scopeSeparator: "\r\n" }), /control/],
  ["oauth2_options.token_response_path", "odd", oauth({ tokenResponsePath: "a..b" }), /with dots between/],
  [
    "oauth2_options.resource",
    "a fragment",
    oauth({ resource: "https://api.example/#x" }),
    /without a fragment/,
  ],
  ["oauth2_options.resource", "no URI", oauth({ resource: "a b\r\n" }), /absolute URI/],
  ["oauth2_options.token_response_path", "long", oauth({ tokenResponsePath: letters(129) }), /128/],
  ["oauth2_options.lifetime_field", "65", oauth({ lifetimeField: letters(65) }), /64/],
  ["oauth2_options.lifetime_field", "BEL", oauth({ lifetimeField: "a\u0007" }), /control/],
  ...(
    [
      ["nothing", [""], /printable ASCII/, "[0]"],
      ["257 characters", [letters(257)], /256/, "[0]"],
      ["a control character", ["a\u0007"], /printable ASCII/, "[0]"],
      ["one twice", ["a", "a"], /unique/, ""],
      ["21 of them", Array.from({ length: 21 }, (_, i) => `f${i}`), /20/, ""],
    ] as const
  ).map(([name, invalidGrantAliases, says, at]): Given => {
    const field = "oauth2_options.invalid_grant_aliases";
    return [field, name, oauth({ invalidGrantAliases }), says, `${field}${at}`];
  }),
  ...(["callback_metadata", "token_metadata"] as const).flatMap((name): Given[] => {
    const field = `oauth2_options.${name}`;
    const put = (paths: string[]): Body =>
      oauth({ [name === "callback_metadata" ? "callbackMetadata" : "tokenMetadata"]: paths });
    return [
      [field, "a secret", put(["access_token"]), /secret/, `${field}[0]`],
      [field, "an empty name", put([""]), /not be empty/, `${field}[0]`],
      [field, "129 characters", put([letters(129)]), /128/, `${field}[0]`],
      [field, "a control character", put(["a\u009b"]), /control/, `${field}[0]`],
      [field, "21 of them", put(Array.from({ length: 21 }, (_, i) => `f${i}`)), /20/],
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

/** What an update names in no mask. What a caller cannot set is ignored, but not when it is malformed. */
const onlyCreated: readonly Given[] = [
  ["auth_type", "no such type", { authType: 99 }, /defined/],
  ["auth_type", "a negative one", { authType: -1 }, /defined/],
  [
    "grant_type",
    "a key that signs nothing",
    { grantType: 3, authUrl: "", tokenEndpointAuthMethod: 3 },
    /private key/,
    "client_secret",
  ],
  [
    "grant_type",
    "a client that authenticates where the app signs",
    { grantType: 4, authUrl: "", tokenEndpointAuthMethod: 5 },
    /must be none/,
    "token_endpoint_auth_method",
  ],
  [
    "grant_type",
    "a secret where the key is",
    { grantType: 3, authUrl: "", tokenEndpointAuthMethod: 1 },
    /none or private_key_jwt/,
    "token_endpoint_auth_method",
  ],
  [
    "grant_type",
    "a client that authenticates beside the JWT of a file",
    { grantType: 3, authUrl: "", tokenEndpointAuthMethod: 5, clientAssertionSource: "workload" },
    /must be none/,
    "token_endpoint_auth_method",
  ],
  ["identity_provider", "itself", { identityProvider: "hostile", grantType: 30 }, /another profile/],
  ["identity_provider", "nothing", { grantType: 30 }, /required/],
  ["grant_type", "a page where nobody consents", { grantType: 2 }, /no person consents/, "auth_url"],
  ["etag", "U+0000", { etag: "a\0" }, /U\+0000/],
  ["template", "U+0000", { template: "a\0" }, /U\+0000/],
  ["created_at", "2^62", { createdAt: secondsOf(1n << 62n) }, /year 1 to 9999/],
  ["updated_at", "year 0", { updatedAt: secondsOf(-62_135_596_801n) }, /year 1 to 9999/],
];

const urlRows = urlFields.flatMap(([field, put]) =>
  urls
    .filter(([name]) => name !== "a fragment" || field !== "api_base_url")
    .map(([name, url, says]): Given => [field, name, put(url), says]),
);

const violations: readonly ProviderViolation[] = [
  ...[...texts, ...urlRows, ...enums, ...numbers, ...maps, ...options].map(violationOf),
  ...strategies,
  ...schemas,
  ...onlyCreated.map((given) => ({ ...violationOf(given), onlyCreate: true as const })),
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

const rows = (rpc: string, lines: readonly Line[]): RpcRow[] => table(`ProviderService/${rpc}`, lines);

/** An update of `paths` of a profile that is there. */
const patch =
  (paths: readonly string[], set: Body = {}, more: Body = {}) =>
  ({ providers }: Place): Body => ({
    provider: { id: providers["oauth2"], ...set },
    updateMask: { paths },
    ...more,
  });
const description = { description: "x" };

const page = (rpc: string, list: "providers" | "templates", other: "audit" | "connections"): RpcRow[] =>
  rows(rpc, [
    ["page_size", "a negative size", { pageSize: -1 }, /0/],
    ["page_size", "1001", { pageSize: 1001 }, /1000/],
    ["page_token", "513 characters", { pageToken: letters(513) }, /512/],
    ["page_token", "no token", { pageToken: "%%" }, /next_page_token/],
    [
      "page_token",
      "a token of another list",
      ({ pageTokens }) => ({ pageToken: pageTokens[other] }),
      /of this list/,
    ],
    [
      "page_token",
      "a forged token with U+0000",
      { pageToken: Buffer.from(`${list}/a\0`).toString("base64url") },
      /next_page_token/,
    ],
    ["name_prefix", "64 characters", { namePrefix: letters(64) }, /63/],
    ["name_prefix", "U+0000", { namePrefix: "a\0" }, /U\+0000/],
  ]);

export const providerRows: readonly RpcRow[] = [
  ...violations.map(createRow),
  ...violations.filter(({ onlyCreate }) => !onlyCreate).map(updateRow),
  ...rows("CreateProvider", [
    ["provider", "no profile", {}, /required/],
    [
      "provider.name",
      "a taken name in other letters",
      { provider: { ...sound["oauth2"], name: "  OAUTH2 " } },
      { code: "AlreadyExists" },
    ],
    ["template", "a template that is not there", { provider: {}, template: "__proto__" }, notFound],
    ["template", "64 characters", { provider: {}, template: letters(64) }, /63/],
    ...mcpServerUrls.map(
      ([name, mcpServerUrl, says]): Line => ["mcp_server_url", name, { mcpServerUrl }, says],
    ),
    [
      ["template", "mcp_server_url"],
      "beside the URL of an MCP server",
      { mcpServerUrl: "https://mcp.example/mcp", template: "zendesk" },
      /mcp_server_url/,
    ],
    [
      "template_variables",
      "a variable that ends the host",
      {
        provider: { clientId: "c", clientSecret: canary },
        template: "zendesk",
        templateVariables: { subdomain: "evil.example/" },
      },
      /must have the form of/,
      'template_variables["subdomain"]',
    ],
    [
      "template_variables",
      "the variable __proto__",
      { provider: {}, template: "zendesk", templateVariables: dunder("x") },
      /reserved/,
      'template_variables["__proto__"]',
    ],
    [
      "template_variables",
      "21 variables",
      {
        provider: {},
        template: "zendesk",
        templateVariables: Object.fromEntries(Array.from({ length: 21 }, (_, i) => [`v${i}`, "x"])),
      },
      /20/,
    ],
    [
      "provider.id",
      "U+0000 in what the daemon gives itself",
      { provider: { ...sound["oauth2"], id: "a\0" } },
      /U\+0000/,
    ],
  ]),
  ...rows("GetProvider", [
    [["id", "name"], "neither", {}, /exactly one|required/, "key"],
    ["id", "no UUID", { key: { case: "id", value: "../x" } }, /UUID/],
    ["id", "an unknown one", { key: { case: "id", value: unknownId } }, notFound],
    ["name", "2000 bytes", { key: { case: "name", value: letters(2000) } }, /128/],
    ["name", "U+0000", { key: { case: "name", value: "a\0" } }, /U\+0000/],
    ["name", "__proto__", { key: { case: "name", value: "__proto__" } }, notFound],
    ["name", "384 bytes in 128 characters", { key: { case: "name", value: "\u20ac".repeat(128) } }, notFound],
  ]),
  ...page("ListProviders", "providers", "connections"),
  ...rows("ListProviders", [["auth_type", "no such type", { authType: 99 }, /defined/]]),
  ...page("ListProviderTemplates", "templates", "audit"),
  ...rows("UpdateProvider", [
    ["provider", "no profile", { updateMask: { paths: ["name"] } }, /required/],
    ["provider.id", "no UUID", { provider: { id: "x" }, updateMask: { paths: ["name"] } }, /UUID/],
    [
      "provider.id",
      "an unknown one",
      { provider: { id: unknownId }, updateMask: { paths: ["name"] } },
      notFound,
    ],
    ...[
      "*",
      "id",
      "auth_type",
      "grant_type",
      "created_at",
      "provider.name",
      "client_secret_set",
      "__proto__",
      "constructor",
      " ",
      "a\u001b[2J",
      letters(100_000),
    ].map(
      (path): Line => [
        ["update_mask", ...(path.endsWith("_type") ? [`provider.${path}`] : [])],
        `the path ${JSON.stringify(path.slice(0, 20))}`,
        patch([path]),
        /cannot be changed/,
        "update_mask.paths[0]",
      ],
    ),
    [
      "update_mask",
      "50000 odd paths, whose errors would fill the trailers",
      patch(Array.from({ length: 50_000 }, (_, index) => `p${index}`)),
      /at most 100/,
    ],
    [
      "update_mask",
      "no path",
      ({ providers }) => ({ provider: { id: providers["oauth2"] }, updateMask: {} }),
      /at least one/,
    ],
    ...["v0", "v-1", "v1e3", 'W/"1"', `v${"9".repeat(40)}`].map(
      (etag): Line => [
        "etag",
        `the etag ${etag.slice(0, 10)}`,
        patch(["description"], description, { etag }),
        /etag of an answer/,
      ],
    ),
    [
      "etag",
      "the etag of another version",
      patch(["description"], description, { etag: "v7" }),
      { code: "Aborted" },
    ],
    ...(["etag", "template"] as const).map(
      (name): Line => [
        `provider.${name}`,
        "U+0000 in what the daemon gives itself",
        patch(["description"], { [name]: "a\0" }),
        /U\+0000/,
      ],
    ),
    ...(["created_at", "updated_at", "client_secret_set"] as const).map(
      (path): Line => [
        `provider.${path}`,
        "what the daemon gives itself",
        patch([path]),
        /cannot be changed/,
        "update_mask.paths[0]",
      ],
    ),
  ]),
  ...(["CreateProvider", "UpdateProvider"] as const).flatMap((rpc) =>
    rows(rpc, [
      ...["enable_discovery", "client_secret_set"].map(
        (name): Line => [
          `provider.${name}`,
          "a text for a flag",
          `{"provider": {"${name}": "yes"}}`,
          badType,
        ],
      ),
      ...[
        ...["omit_pkce", "skip_scope_on_auth", "scope_on_refresh", "push_authorization_requests"],
        "sign_authorization_requests",
        "scope_in_assertion",
      ].map(
        (name): Line => [
          `provider.oauth2_options.${name}`,
          "a number for a flag",
          `{"provider": {"oauth2_options": {"${name}": 1}}}`,
          badType,
        ],
      ),
      [
        "provider.scopes",
        "a secret where a list belongs",
        `{"provider": {"scopes": "${canary}\\u001b[2J"}}`,
        badType,
      ],
    ]),
  ),
  ...rows("DeleteProvider", [
    ["id", "no UUID", { id: "oauth2" }, /UUID/],
    ["id", "U+0000", { id: "\0" }, /U\+0000/],
    ["id", "an unknown one", { id: unknownId }, notFound],
  ]),
];
