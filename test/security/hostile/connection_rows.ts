import {
  type Body,
  badType,
  canary,
  type Line,
  letters,
  notFound,
  type Place,
  type RpcRow,
  table,
  unknownId,
} from "./row.js";

const escapeSequence = "\u001b]0;owned\u0007";

/** An id of a connection where one is required. */
const idRows = (rpc: string): RpcRow[] =>
  table(rpc, [
    ["connection_id", "nothing", {}, /UUID|must be set/],
    ["connection_id", "a path", { connectionId: "../../etc/passwd" }, /UUID/],
    ["connection_id", "U+0000", { connectionId: `${unknownId}\0` }, /U\+0000/],
    ["connection_id", "longer than a key", { connectionId: letters(4000) }, /UUID/],
    ["connection_id", "a line end after a UUID", { connectionId: `${unknownId}\n` }, /UUID/],
    ["connection_id", "an unknown one", { connectionId: unknownId }, notFound],
  ]);

const userIdRows = (rpc: string, more: Body = {}): RpcRow[] =>
  table(rpc, [
    ["user_id", "257 characters", { ...more, userId: letters(257) }, /256/],
    ["user_id", "an escape sequence", { ...more, userId: escapeSequence }, /control characters/],
    ["user_id", "a line end", { ...more, userId: 'ada\n{"level":"fatal"}' }, /control characters/],
    ["user_id", "U+0000", { ...more, userId: "a\0" }, /U\+0000/],
    ["user_id", "half of a surrogate pair", '{"user_id": "a\\ud800"}', badType],
  ]);

const scopeRows = (rpc: string, more: Body): RpcRow[] =>
  table(rpc, [
    ["scopes", "101", { ...more, scopes: Array.from({ length: 101 }, (_, i) => `s${i}`) }, /100/],
    ["scopes", "one twice", { ...more, scopes: ["a", "a"] }, /unique/],
    ["scopes", "an empty one", { ...more, scopes: [""] }, /not be empty/, "scopes[0]"],
    ["scopes", "two in one", { ...more, scopes: ["a b"] }, /RFC 6749 section 3.3/, "scopes[0]"],
    ["scopes", "a quote", { ...more, scopes: ['a"'] }, /RFC 6749 section 3.3/, "scopes[0]"],
    ["scopes", "a line end", { ...more, scopes: ["a\r\n"] }, /RFC 6749 section 3.3/, "scopes[0]"],
    ["scopes", "not ASCII", { ...more, scopes: ["\u202ea"] }, /RFC 6749 section 3.3/, "scopes[0]"],
    ["scopes", "257 characters", { ...more, scopes: [letters(257)] }, /256/, "scopes[0]"],
    [
      "scopes",
      "100000 of them, all invalid",
      { ...more, scopes: Array.from({ length: 100_000 }, () => " ") },
      /100/,
    ],
  ]);

const returnUrls: readonly (readonly [name: string, url: string, says: RegExp])[] = [
  ["another origin", "https://evil.example/", /not among/],
  ["the allowed host with another port", "http://127.0.0.1:39990/", /not among/],
  ["the allowed host as user name", "http://127.0.0.1:3999@evil.example/", /user name/],
  ["the allowed host in front of another", "http://127.0.0.1:3999.evil.example/", /absolute URL|not among/],
  ["a backslash", "http://127.0.0.1:3999\\@evil.example/", /backslashes/],
  ["a line end", "http://127.0.0.1:3999/\r\nSet-Cookie: a=b", /control characters/],
  ["a script", "javascript:alert(1)//http://127.0.0.1:3999", /scheme:\/\//],
  ["data", "data:text/html,<script>1</script>", /scheme:\/\//],
  ["no scheme", "//127.0.0.1:3999/", /absolute/],
  ["2049 characters", `http://127.0.0.1:3999/${letters(2027)}`, /2048/],
];

const request = "ConnectionService/RequestConnection";
const ofOAuth = ({ providers }: Place): Body => ({
  userId: "ada",
  provider: { case: "providerId", value: providers["oauth2"] },
});

const ofStatic = ({ providers }: Place): Body => ({
  userId: "ada",
  provider: { case: "providerId", value: providers["api-key-bearer"] },
});

const byId = (value: string): Body => ({ userId: "a", provider: { case: "providerId", value } });
const byName = (value: string): Body => ({ userId: "a", provider: { case: "providerName", value } });

const requestRows: readonly RpcRow[] = [
  ...table(request, [
    ["device", "of a static type", (place) => ({ ...ofStatic(place), device: true }), /type oauth2/],
    ["device", "a text for a flag", '{"device": "yes"}', badType],
    [
      "acr_values",
      "11",
      (place) => ({ ...ofOAuth(place), acrValues: Array.from({ length: 11 }, (_, i) => `a${i}`) }),
      /10/,
    ],
    ["acr_values", "one twice", (place) => ({ ...ofOAuth(place), acrValues: ["a", "a"] }), /unique/],
    [
      "acr_values",
      "two in one",
      (place) => ({ ...ofOAuth(place), acrValues: ["a b"] }),
      /without spaces/,
      "acr_values[0]",
    ],
    [
      "acr_values",
      "257 characters",
      (place) => ({ ...ofOAuth(place), acrValues: [letters(257)] }),
      /256/,
      "acr_values[0]",
    ],
    ["acr_values", "of a static type", (place) => ({ ...ofStatic(place), acrValues: ["a"] }), /type oauth2/],
    [
      "max_age_seconds",
      "more than a year",
      (place) => ({ ...ofOAuth(place), maxAgeSeconds: 31_536_001 }),
      /31536000/,
    ],
    [
      "max_age_seconds",
      "without an id_token",
      (place) => ({ ...ofOAuth(place), maxAgeSeconds: 0 }),
      /openid/,
    ],
    ["max_age_seconds", "below 0", '{"max_age_seconds": -1}', badType],
    ["require_confirmation", "a text for a flag", '{"require_confirmation": "yes"}', badType],
    [
      "require_confirmation",
      "nowhere to send the code",
      (place) => ({ ...ofOAuth(place), requireConfirmation: true }),
      /completion code/,
      "return_url",
    ],
  ]),
  ...userIdRows(request),
  ...table(request, [
    ["user_id", "nothing", (place) => ({ ...ofOAuth(place), userId: "" }), /required/],
    [
      "user_id",
      "another user's connection",
      (place) => ({ connectionId: place.pendingConnectionId, userId: "eve" }),
      /not the one/,
    ],
    ["provider_id", "nothing", { userId: "ada" }, /required/, "provider"],
    ["provider_id", "no UUID", byId("x"), /UUID/],
    ["provider_id", "an unknown one", byId(unknownId), notFound],
    ["provider_name", "nothing", byName(""), /not be empty/],
    ["provider_name", "129", byName(letters(129)), /128/],
    ["provider_name", "U+0000", byName("\0"), /U\+0000/],
    ["provider_name", "__proto__", byName("__proto__"), notFound],
    [
      "provider_name",
      "another provider than the connection's",
      (place) => ({
        connectionId: place.pendingConnectionId,
        provider: { case: "providerName", value: "basic" },
      }),
      /not the one/,
      "provider",
    ],
  ]),
  ...scopeRows(request, { userId: "ada", provider: { case: "providerName", value: "oauth2" } }),
  ...table(
    request,
    returnUrls.map(([name, returnUrl, says]) => [
      "return_url",
      name,
      (place) => ({ ...ofOAuth(place), returnUrl }),
      says,
    ]),
  ),
  ...table(request, [
    ["connection_id", "no UUID", { connectionId: "1" }, /UUID/],
    ["connection_id", "an unknown one", { connectionId: unknownId }, notFound],
  ]),
];

const list = "ConnectionService/ListConnections";
const listRows: readonly RpcRow[] = [
  ...table(list, [
    ["page_size", "a negative size", { pageSize: -1 }, /0/],
    ["page_size", "1001", { pageSize: 1001 }, /1000/],
    ["page_size", "-2^31", { pageSize: -2_147_483_648 }, /0/],
    ["page_token", "513 characters", { pageToken: letters(513) }, /512/],
    ["page_token", "an id as it is", { pageToken: unknownId }, /next_page_token/],
    [
      "page_token",
      "a token of another list",
      ({ pageTokens }) => ({ pageToken: pageTokens.providers }),
      /of this list/,
    ],
  ]),
  ...userIdRows(list),
  ...table(list, [
    ["provider_id", "no UUID", { providerId: "*" }, /UUID/],
    ["status", "no such state", { status: 99 }, /defined/],
    ["search", "129 characters", { search: letters(129) }, /128/],
    ["search", "an escape sequence", { search: escapeSequence }, /control characters/],
    ["search", "U+0000", { search: "a\0" }, /U\+0000/],
  ]),
];

const watchRows: readonly RpcRow[] = table("ConnectionService/WatchConnections", [
  ["connection_ids", "no UUID", { connectionIds: ["x"] }, /UUID/, "connection_ids[0]"],
  ["connection_ids", "one twice", { connectionIds: [unknownId, unknownId] }, /unique/],
  ["connection_ids", "1001", { connectionIds: Array.from({ length: 1001 }, (_, i) => `s${i}`) }, /1000/],
  ["others", "beside no UUID", { connectionIds: ["x"], others: true }, /UUID/, "connection_ids[0]"],
]);

const captureRows = (rpc: string, more: Body = {}): RpcRow[] =>
  table(rpc, [
    ["state", "nothing", more, notFound],
    ["state", "129 characters", { ...more, state: letters(129) }, /128/],
    ["state", "U+0000", { ...more, state: "a\0" }, /U\+0000/],
    ["state", "a guess", { ...more, state: letters(43) }, notFound],
    [
      "state",
      "a state for consent",
      ({ consentState }) => ({ ...more, state: consentState }),
      {
        code: "FailedPrecondition",
      },
    ],
  ]);

const dunder = (value: unknown): Body => JSON.parse(`{"__proto__": ${JSON.stringify(value)}}`) as Body;

/** Fields of a credential, for an RPC that takes them beside `more`. */
const credentialRows = (rpc: string, more: (place: Place) => Body, takesAnyJson: boolean): RpcRow[] => {
  const put =
    (credentials: Body) =>
    (place: Place): Body => ({ ...more(place), credentials });
  const row = (name: string, credentials: Body, says: RegExp, at: string): Line => [
    "credentials",
    name,
    put(credentials),
    says,
    at,
  ];
  return table(rpc, [
    row("a line end", { api_key: `${canary}\r\nX-Evil: 1` }, /control/, "credentials.api_key"),
    row("not ASCII", { api_key: `${canary}\u202e` }, /ASCII/, "credentials.api_key"),
    row("an empty one", { api_key: "" }, /empty/, "credentials.api_key"),
    row("an unknown field", { api_key: canary, role: "admin" }, /not a field/, "credentials.role"),
    row("__proto__", { api_key: canary, ...dunder("x") }, /reserved/, 'credentials["__proto__"]'),
    row("65 KiB", { api_key: canary.padEnd(65_537, "x") }, /65536 bytes/, "credentials"),
    row("U+0000", { api_key: `${canary}\0` }, /U\+0000/, 'credentials["api_key"]'),
    row("an escape in a name", { api_key: canary, "\u001b[2J": "x" }, /control/, 'credentials["\\u001b[2J"]'),
    ...(takesAnyJson
      ? [
          row("an object", { api_key: { $gt: "" } }, /string/, "credentials.api_key"),
          row("no number", { api_key: Number.NaN }, /finite/, 'credentials["api_key"]'),
        ]
      : []),
  ]);
};

const importing = "ConnectionService/ImportConnection";
const importOAuth = ({ providers }: Place): Body => ({
  userId: "ada",
  providerId: providers["oauth2"],
  refreshToken: canary,
});

const importIdToken = ({ providers }: Place): Body => ({
  userId: "ada",
  providerId: providers["oauth2"],
  idToken: `e30.${canary}.e30`,
});

const importRows: readonly RpcRow[] = [
  ...userIdRows(importing, { refreshToken: canary }),
  ...table(importing, [
    ["user_id", "nothing", (place) => ({ ...importOAuth(place), userId: "" }), /required/],
    ["provider_id", "no UUID", { userId: "ada", providerId: "oauth2" }, /UUID/],
    ["provider_id", "an unknown one", { userId: "ada", providerId: unknownId }, notFound],
    ["refresh_token", "nothing", (place) => ({ ...importOAuth(place), refreshToken: "" }), /required/],
    [
      "refresh_token",
      "a line end",
      (place) => ({ ...importOAuth(place), refreshToken: `${canary}\n` }),
      /printable ASCII/,
    ],
    [
      "refresh_token",
      "65537 characters",
      (place) => ({ ...importOAuth(place), refreshToken: canary.padEnd(65_537, "x") }),
      /65536/,
    ],
    [
      "id_token",
      "beside a refresh token",
      (place) => ({ ...importOAuth(place), idToken: "a.b.c" }),
      /beside/,
    ],
    ["id_token", "a line end", (place) => ({ ...importIdToken(place), idToken: "a\n" }), /printable ASCII/],
    [
      "id_token",
      "65537 characters",
      (place) => ({ ...importIdToken(place), idToken: letters(65_537) }),
      /65536/,
    ],
    ["id_token", "no issuer to compare it with", (place) => importIdToken(place), /issuer/],
    ["id", "no UUID", (place) => ({ ...importOAuth(place), id: "mine" }), /./],
    [
      "access_token",
      "beside a refresh token",
      (place) => ({ ...importOAuth(place), accessToken: canary }),
      /beside/,
    ],
    [
      "access_token_expires_at",
      "of a refresh token",
      (place) => ({ ...importOAuth(place), accessTokenExpiresAt: { seconds: 32_503_680_000n } }),
      /access_token/,
    ],
    [
      "credentials",
      "beside a refresh token",
      (place) => ({ ...importOAuth(place), credentials: { api_key: canary } }),
      /static types/,
    ],
  ]),
  ...scopeRows(importing, { userId: "ada", providerId: unknownId }),
  ...credentialRows(
    importing,
    ({ providers }) => ({ userId: "ada", providerId: providers["api-key-bearer"] }),
    false,
  ),
];

const confirming = "ConnectionService/ConfirmConnection";
const confirmRows: readonly RpcRow[] = [
  ...idRows(confirming)
    .filter(({ name }) => name !== "an unknown one")
    .map((row) => ({ ...row, demand: { ...row.demand, field: "connection_id" } })),
  ...table(confirming, [
    ["completion_code", "nothing", { connectionId: unknownId }, /not be empty/],
    ["completion_code", "129 characters", { connectionId: unknownId, completionCode: letters(129) }, /128/],
    ["connection_id", "an unknown one", { connectionId: unknownId, completionCode: canary }, notFound],
    [
      "completion_code",
      "of a connection that waits for none",
      ({ activeConnectionId }) => ({ connectionId: activeConnectionId, completionCode: canary }),
      { code: "FailedPrecondition" },
    ],
  ]),
];

const replacing = "ConnectionService/ReplaceCredential";
const capturing = "ConnectionService/CaptureCredential";

export const connectionRows: readonly RpcRow[] = [
  ...requestRows,
  ...[
    "GetConnection",
    "RefreshConnection",
    "CheckConnection",
    "RevokeConnection",
    "DeleteConnection",
  ].flatMap((rpc) => idRows(`ConnectionService/${rpc}`)),
  ...listRows,
  ...watchRows,
  ...captureRows("ConnectionService/GetCaptureSchema"),
  ...captureRows(capturing, { credentials: { api_key: canary } }),
  ...credentialRows(capturing, ({ captureState }) => ({ state: captureState }), true),
  ...importRows,
  ...confirmRows,
  ...idRows(replacing),
  ...credentialRows(replacing, ({ activeConnectionId }) => ({ connectionId: activeConnectionId }), false),
  ...table(replacing, [
    [
      "credentials",
      "those of a connection by consent",
      ({ pendingConnectionId }) => ({
        connectionId: pendingConnectionId,
        credentials: { api_key: canary },
      }),
      { code: "FailedPrecondition" },
    ],
  ]),
];
