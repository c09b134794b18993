import { canary, type HttpRow, letters, type Place, unknownId } from "./row.js";

type Send = ReturnType<HttpRow["send"]>;

interface Wanted {
  readonly status: number;
  readonly error?: string;
  readonly field?: string;
  readonly says?: RegExp;
  readonly isAudited?: true;
}

type Sent = Partial<Send> & { readonly json?: unknown };

/** A request in a table: field, what is hostile about it, what is sent, and what must come back, as in `Line` of the RPCs. */
type Line = readonly [
  field: string,
  name: string,
  send: Sent | ((place: Place) => Sent),
  wanted: RegExp | Wanted,
  at?: string | undefined,
];

/** The rows of a REST route, with the key. */
function table(route: string, lines: readonly Line[]): HttpRow[] {
  const path = pathOf(route).replace("{id}", unknownId);
  return lines.map(([field, name, send, wanted, at]) => ({
    route,
    listener: "http",
    name,
    fields: [field],
    send: (place) => {
      const { json, headers, ...more } = typeof send === "function" ? send(place) : send;
      return {
        target: path,
        ...(json === undefined ? {} : { body: JSON.stringify(json) }),
        ...more,
        headers: { "x-api-key": place.apiKey, ...headers },
      };
    },
    ...(wanted instanceof RegExp ? violation(wanted, at) : wanted),
  }));
}

/** The same for bodies of JSON. */
const jsonTable = (
  route: string,
  lines: readonly (readonly [string, string, json: unknown, RegExp | Wanted, string?])[],
): HttpRow[] =>
  table(
    route,
    lines.map(([field, name, json, wanted, at]) => [field, name, { json }, wanted, at]),
  );

const pathOf = (route: string): string => route.split(" ")[1] ?? "";

const violation = (says: RegExp, field?: string): Wanted => ({
  status: 400,
  error: "invalid_argument",
  says,
  ...(field === undefined ? {} : { field }),
});
const badBody = (says: RegExp): Wanted => ({ status: 400, error: "invalid_json", says });
const badPath: Wanted = { status: 400, error: "bad_request", says: /percent/ };
const badMethod: Wanted = { status: 405, error: "method_not_allowed" };
const tooLarge: Wanted = { status: 413, error: "body_too_large", says: /1048576/ };
const noProvider: Wanted = { status: 404, error: "provider_not_found" };
const noState: Wanted = { status: 404, error: "invalid_state" };
const noProfile: Wanted = { status: 400, error: "missing_profile", says: /profile/ };
const escapeSequence = "\u001b]0;owned\u0007";

/** Hostile members of a profile: the value, what is said of it, and where when not at the member. */
const members: readonly (readonly [
  member: string,
  name: string,
  value: unknown,
  says: RegExp,
  at?: string,
])[] = [
  ["name", "an escape sequence", escapeSequence, /lower-case/],
  ["name", "a list", ["a"], /must be text/],
  ["name", "half of a surrogate pair", "a\ud800", /lower-case|surrogate/],
  ["auth_type", "no such type", "root", /one of|cannot be changed/],
  ["client_id", "1025 characters", letters(1025), /1024/],
  ["client_id", "half of a surrogate pair", "\udfff", /surrogate/],
  ["client_secret", "an object", { a: canary }, /must be text/],
  ["client_secret", "4097 characters", canary.padEnd(4097, "x"), /4096/],
  ["auth_url", "a script", "javascript:0", /https/],
  ["token_url", "another machine's http", "http://10.0.0.1/token", /https/],
  ["issuer", "a query", "https://provider.example/?a=b", /query/],
  ["enable_discovery", "a text", "true", /true or false/],
  ["scopes", "a text", "read write", /list of texts/],
  ["scopes", "numbers", [Number.POSITIVE_INFINITY], /must be text/, "scopes[0]"],
  ["scopes", "two in one", ["a b"], /must be one scope/, "scopes[0]"],
  ["auth_header", "an object", {}, /must be text/],
  ["auth_strategy", "no such kind", "exec", /must be/],
  ["auth_strategy", "a number", 7, /type, config/],
  ["api_base_url", "a user name", `https://a:${canary}@provider.example`, /user name/],
  ["user_info_endpoint", "a script", "javascript:0", /https/],
  ["user_info_mapping", "a list", ["sub"], /object/],
  ["user_info_mapping", "a number", { subject: 1 }, /text/, 'user_info_mapping["subject"]'],
  ["user_info_mapping", "a secret", { subject: "access_token" }, /secret/, 'user_info_mapping["subject"]'],
  ["description", "an escape sequence", escapeSequence, /control/],
  ["category", "a line end", "a\nb", /control/],
  ["params", "state", { state: "x" }, /protocol/, 'params["state"]'],
  ["params", "a line end in a value", { a: "b\r\nc" }, /control/, 'params["a"]'],
  ["params", "65 KiB that mean nothing", { a: [letters(65_536)] }, /65536 bytes/],
  ["params", "a list", [], /an object/],
  ["token_endpoint_auth_method", "no such method", "password", /one of/],
  ["grant_type", "no such type", "password", /one of/],
  ["jwks_url", "a file", "file:///etc/passwd", /https/],
  ["tls_client_certificate", "where a secret proves", "a", /must be empty/],
  ["client_assertion_source", "a path", "/etc/shadow", /never a path/],
  ["client_key_source", "a path", "/etc/shadow", /never a path/],
  ["api_ca_file", "a path", "/etc/ssl/ca.pem", /never a path/],
  ["identity_provider", "another grant type", "company", /leave it empty/],
  ["mcp_server_url", "a private network", "https://10.0.0.1/mcp", /NEXUS_ALLOWED_PRIVATE_NETWORKS/],
  ["authorization_params", "a number", { a: 1 }, /text/, 'authorization_params["a"]'],
  ["refresh_window", "no unit", "90", /duration/],
  ["refresh_window", "no end", `${"9".repeat(400)}d`, /duration/],
  ["refresh_window", "a year", "365d", /86400s/],
  ["check_interval", "a minute", "60s", /300s/],
  ["check_interval", "no endpoint to check at", "1h", /user_info_endpoint/],
  ["api_hosts", "every host", ["*"], /lower-case host/, "api_hosts[0]"],
  ["max_concurrent_requests", "a text", "64", /a number/],
  ["max_concurrent_requests", "below 0", -1, /whole number/],
  ["max_concurrent_requests", "a half", 0.5, /whole number/],
  ["max_concurrent_requests", "no end", 1e300, /whole number/],
  ["max_concurrent_requests", "more than others leave", 97, /96/],
  ["strategy", "a text", "header", /an object/],
  [
    "strategy",
    "another type's",
    { type: "aws_sigv4", config: { service: "s3" } },
    /must be oauth2/,
    "auth_strategy",
  ],
  ["credential_schema", "for oauth2", { type: "object" }, /static types/, "params.credential_schema"],
  [
    "oauth2_options",
    "an option with an escape",
    { "\u001b[2J": 1 },
    /not an option/,
    "oauth2_options.\\u{1b}[2J",
  ],
  [
    "oauth2_options",
    "a header with a line end",
    { token_headers: { a: "b\r\nc" } },
    /ASCII/,
    'oauth2_options.token_headers["a"]',
  ],
  [
    "oauth2_options",
    "a path that is no text",
    { token_response_path: { a: 1 } },
    /must be text/,
    "oauth2_options.token_response_path",
  ],
];

const sound = {
  name: "hostile",
  client_id: "c",
  client_secret: canary,
  auth_url: "https://provider.example/authorize",
  token_url: "https://provider.example/token",
};

const creations = ["POST /v1/providers", "POST /providers"];
const changes = [
  "PUT /v1/providers/{id}",
  "PATCH /v1/providers/{id}",
  "PUT /providers/{id}",
  "PATCH /providers/{id}",
];

/** What is wrong with a body whatever it is for. */
const bodies: readonly (readonly [name: string, body: string | Uint8Array, says: RegExp])[] = [
  ["no JSON", "{", /not JSON/],
  ["JSON with a byte-order mark inside", "\u00a0{}", /not JSON/],
  ["UTF-16", Buffer.from("\ufeff{}", "utf16le"), /not JSON in UTF-8/],
  ["no UTF-8", Buffer.from([0x7b, 0x22, 0xc0, 0x80, 0x22, 0x3a, 0x31, 0x7d]), /UTF-8/],
  ["a list", "[]", /must be a JSON object/],
  ["a text", '"x"', /must be a JSON object/],
  ["null", "null", /must be a JSON object/],
  ["65 deep", `${'{"a":'.repeat(66)}1${"}".repeat(66)}`, /64 deep/],
  ["100000 deep", `${'{"a":'.repeat(100_000)}1${"}".repeat(100_000)}`, /deep|not JSON/],
  ["a name twice", '{"user_id":"ada","user_id":"eve"}', /two members/],
  ["a name twice, once escaped", '{"a":{"b":1,"\\u0062":2}}', /two members/],
  ["NaN", '{"a":NaN}', /not JSON/],
];

const writers = [
  ...creations,
  ...changes,
  "POST /v1/request-connection",
  "POST /auth/consent-spec",
  "POST /v1/capture-credential",
  "POST /auth/capture-credential",
];

const bodyRows: readonly HttpRow[] = writers.flatMap((route) =>
  table(route, [
    ...bodies.map(([name, body, says]): Line => ["body", name, { body }, badBody(says)]),
    ["body", "__proto__", { body: '{"a":{"__proto__":{"isAdmin":true}}}' }, /reserved/, 'a["__proto__"]'],
    ["body", "1 MiB and a byte", { body: letters(1_048_577) }, tooLarge],
    ["body", "a length that is a lie", { headers: { "content-length": "99999999999" }, body: "" }, tooLarge],
  ]),
);

/** With `null` written as a number that is too large. */
const bodyOf = (value: object): string => JSON.stringify(value).replace("null", "1e400");
const many = Object.fromEntries(Array.from({ length: 50_000 }, (_, i) => [`o${i}`, 1]));

const providerRows: readonly HttpRow[] = [
  ...creations.flatMap((route) => [
    ...jsonTable(route, [
      ["profile", "nothing", {}, noProfile],
      ["profile", "a text", { profile: "x" }, /an object/, "profile"],
    ]),
    ...table(route, [
      ...members.map(([member, name, value, says, at]): Line => {
        const body = bodyOf({ profile: { ...sound, [member]: value } });
        return [`profile.${member}`, name, { body }, says, at ?? member];
      }),
      [
        "profile.oauth2_options",
        "50000 options that are none",
        { json: { profile: { ...sound, oauth2_options: many } } },
        /not an option/,
        "oauth2_options.o0",
      ],
      [
        "profile.params",
        "__proto__",
        { body: '{"profile":{"params":{"__proto__":{"a":1}}}}' },
        /reserved/,
        'profile.params["__proto__"]',
      ],
    ]),
  ]),
  ...changes.flatMap((route) =>
    table(
      route,
      members.map(([member, name, value, says, at]) => [
        member,
        name,
        ({ providers }) => ({
          target: pathOf(route).replace("{id}", providers["oauth2"] ?? ""),
          body: bodyOf({ [member]: value }),
        }),
        says,
        at ?? member,
      ]),
    ),
  ),
];

/** Ids in paths; the error of an id that is not there depends on the route. */
const idRoutes: readonly (readonly [route: string, missing: string, field: string, isAudited?: true])[] = [
  ["GET /v1/providers/{id}", "provider_not_found", "id"],
  ["GET /providers/{id}", "provider_not_found", "id"],
  ["DELETE /v1/providers/{id}", "provider_not_found", "id"],
  ["DELETE /providers/{id}", "provider_not_found", "id"],
  ...changes.map((route) => [route, "provider_not_found", "id"] as const),
  ["GET /v1/check-connection/{id}", "connection_not_found", "connection_id"],
  ["GET /v1/token/{id}", "connection_not_found", "connection_id", true],
  ["GET /connections/{id}/token", "connection_not_found", "connection_id", true],
  ["POST /v1/refresh/{id}", "connection_not_found", "connection_id", true],
  ["POST /connections/{id}/refresh", "connection_not_found", "connection_id", true],
];

const idRows: readonly HttpRow[] = idRoutes.flatMap(([route, missing, field, isAudited]) => {
  const at = (text: string): string => pathOf(route).replace("{id}", text);
  const known: Wanted = { status: 404, error: missing, ...(isAudited ? { isAudited } : {}) };
  return table(route, [
    ["{id}", "an unknown one", {}, known],
    ["{id}", "U+0000", { target: at("%00") }, /UUID|U\+0000/, field],
    ["{id}", "an escape sequence", { target: at("%1b%5b2J") }, /UUID/, field],
    ["{id}", "a path", { target: at("..%2f..%2fadmin.key") }, /UUID/, field],
    ["{id}", "4000 characters", { target: at(letters(4000)) }, /UUID/, field],
    ["{id}", "__proto__", { target: at("__proto__") }, /UUID/, field],
    ["{id}", "half an escape", { target: at("%c") }, badPath],
    ["{id}", "no UTF-8", { target: at("%c0%80") }, badPath],
  ]);
});

const requests = ["POST /v1/request-connection", "POST /auth/consent-spec"].flatMap((route) => {
  const named = { user_id: "ada", provider_name: "oauth2" };
  return jsonTable(route, [
    ["user_id", "nothing", { provider_name: "oauth2" }, /required/],
    ["user_id", "a number", { ...named, user_id: 1 }, /text/],
    ["user_id", "a line end", { ...named, user_id: "a\nb" }, /control characters/],
    ["user_id", "half of a surrogate pair", { ...named, user_id: "\ud83d" }, /surrogate/],
    [
      "workspace_id",
      "257 characters",
      { provider_name: "oauth2", workspace_id: letters(257) },
      /256/,
      "user_id",
    ],
    ["workspace_id", "a list", { provider_name: "oauth2", workspace_id: [] }, /text/],
    ["provider_id", "no UUID", { user_id: "a", provider_id: "' OR 1=1" }, /UUID/],
    ["provider_id", "an unknown one", { user_id: "a", provider_id: unknownId }, noProvider],
    ["provider_name", "129 characters", { user_id: "a", provider_name: letters(129) }, /128/],
    ["provider_name", "U+0000", { user_id: "a", provider_name: "a\0b" }, /U\+0000/],
    ["provider_name", "constructor", { user_id: "a", provider_name: "constructor" }, noProvider],
    ["scopes", "a text", { ...named, scopes: "read" }, /list of texts/],
    ["scopes", "a line end", { ...named, scopes: ["a\nb"] }, /RFC 6749 section 3.3/, "scopes[0]"],
    ["scopes", "101", { ...named, scopes: Array.from({ length: 101 }, (_, i) => `s${i}`) }, /100/],
    ["return_url", "another origin", { ...named, return_url: "https://evil.example" }, /not among/],
    ["return_url", "a line end", { ...named, return_url: "http://127.0.0.1:3999/\n" }, /control/],
    ["return_url", "a number", { ...named, return_url: 1 }, /text/],
    ["require_confirmation", "a text", { ...named, require_confirmation: "yes" }, /true or false/],
    [
      "require_confirmation",
      "nowhere to send the code",
      { ...named, require_confirmation: true },
      /completion code/,
      "return_url",
    ],
  ]);
});

const confirmRows: readonly HttpRow[] = jsonTable("POST /v1/confirm-connection", [
  ["body", "a list", [], badBody(/object/)],
  ["connection_id", "nothing", { completion_code: "x" }, /UUID|required/],
  ["connection_id", "no UUID", { connection_id: "../x", completion_code: "x" }, /UUID/],
  ["connection_id", "a number", { connection_id: 1, completion_code: "x" }, /text/],
  ["completion_code", "nothing", { connection_id: unknownId }, /not be empty|required/],
  ["completion_code", "129", { connection_id: unknownId, completion_code: letters(129) }, /128/],
]);

const captureRows: readonly HttpRow[] = ["/v1", "/auth"].flatMap((prefix) => {
  const path = `${prefix}/capture-schema`;
  const captured =
    (credentials: unknown) =>
    ({ captureState }: Place): Sent => ({ json: { state: captureState, credentials } });
  return [
    ...table(`GET ${path}`, [
      ["state", "a guess", { target: `${path}?state=${letters(43)}` }, noState],
      ["state", "129 characters", { target: `${path}?state=${letters(129)}` }, /128/],
      ["state", "U+0000", { target: `${path}?state=%00` }, /U\+0000/],
    ]),
    ...table(`POST ${prefix}/capture-credential`, [
      ["state", "a number", { json: { state: 1, credentials: {} } }, /text/],
      ["state", "a guess", { json: { state: letters(43), credentials: {} } }, noState],
      ["credentials", "a text", captured(canary), /an object/],
      ["credentials", "a nested one", captured({ api_key: { a: canary } }), /string/, "credentials.api_key"],
      ["credentials", "a line end", captured({ api_key: `${canary}\r\n` }), /control/, "credentials.api_key"],
      [
        "credentials",
        "no end",
        ({ captureState }) => ({ body: `{"state":"${captureState}","credentials":{"api_key":1e400}}` }),
        /finite|string/,
        'credentials["api_key"]',
      ],
    ]),
  ];
});

const auditRows = ["GET /v1/audit", "GET /audit"].flatMap((route) =>
  table(
    route,
    (
      [
        ["limit", "a negative one", "-1", /1 to 1000/],
        ["limit", "1e3", "1e3", /1 to 1000/],
        ["limit", "twenty digits", "9".repeat(20), /1 to 1000/],
        ["since", "no time", "yesterday", /RFC 3339/],
        ["since", "the 30th of February", "2020-02-30T00:00:00Z", /RFC 3339/],
        ["since", "the 32nd", "2026-01-32T00:00:00Z", /RFC 3339/],
        ["since", "year 0", "0000-01-01T00:00:00Z", /year 1 to 9999|RFC 3339/],
        ["event_type", "65 characters", letters(65), /64/],
        ["event_type", "U+0000", "%00", /U\+0000/],
        ["connection_id", "no UUID", "%1b", /UUID/],
        ["page_token", "forged", Buffer.from("audit/-1").toString("base64url"), /next_page_token/],
        ["page_token", "513 characters", letters(513), /512/],
      ] as const
    ).map(([field, name, value, says]) => [
      field,
      name,
      { target: `${pathOf(route)}?${field}=${value}` },
      says,
    ]),
  ),
);

const nameRows: readonly HttpRow[] = ["GET", "DELETE"].flatMap((method) =>
  table(`${method} /providers/by-name/{name}`, [
    ["{name}", "U+0000", { target: "/providers/by-name/%00" }, /U\+0000/, "name"],
    ["{name}", "129 characters", { target: `/providers/by-name/${letters(129)}` }, /128/, "name"],
    ["{name}", "__proto__", { target: "/providers/by-name/__proto__" }, noProvider],
  ]),
);

/** Who asks, and how: at a route that answers. */
const stranger: Wanted = { status: 401, error: "unauthenticated" };
const requestRows: readonly HttpRow[] = table("GET /v1/providers", [
  ["headers", "no key", { headers: { "x-api-key": "" } }, stranger],
  ["headers", "a wrong key", { headers: { "x-api-key": canary } }, stranger],
  ["headers", "a key of 8000 characters", { headers: { "x-api-key": letters(8000) } }, stranger],
  ["headers", "Basic", { headers: { "x-api-key": "", authorization: `Basic ${canary}` } }, stranger],
  ["headers", "a host that is none", { headers: { host: "a b" } }, { status: 400, error: "bad_request" }],
  ["headers", "17 KiB of headers", { headers: { "x-long": letters(17_000) } }, { status: 431 }],
  ["method", "TRACE", { method: "TRACE" }, badMethod],
  ["method", "an unknown one", { method: "PROPFIND" }, badMethod],
]);

export const restRows: readonly HttpRow[] = [
  ...bodyRows,
  ...providerRows,
  ...idRows,
  ...requests,
  ...captureRows,
  ...confirmRows,
  ...auditRows,
  ...nameRows,
  ...requestRows,
];
