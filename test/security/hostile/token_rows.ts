import { type Body, canary, type Demand, type Line, letters, type RpcRow, table, unknownId } from "./row.js";

/** A token that is refused to somebody is on record. */
const notFound: Demand = { code: "NotFound", isAudited: true };
const secondsOf = (seconds: bigint, nanos = 0): Body => ({ seconds, nanos });
const huge = (1n << 64n) - 1n;

/** @param rest of a request that is good but for its id */
const idRows = (rpc: string, rest: Body = {}): RpcRow[] =>
  table(rpc, [
    ["connection_id", "nothing", rest, /UUID|must be set/],
    ["connection_id", "U+0000", { ...rest, connectionId: "\0" }, /U\+0000/],
    ["connection_id", "longer than a key", { ...rest, connectionId: letters(4000) }, /UUID/],
    ["connection_id", "an escape sequence", { ...rest, connectionId: "\u001b[2J" }, /UUID/],
    ["connection_id", "an unknown one", { ...rest, connectionId: unknownId }, notFound],
  ]);

const get = "TokenService/GetToken";
const report = "TokenService/ReportRejectedToken";
const watch = "TokenService/WatchTokens";
const nothing: Demand = { code: "Ok" };
const audit = "AuditService/ListAuditEvents";
const verify = "AuditService/VerifyAuditLog";

/** Of a static credential, whose revision is 1: what is in order could not be acted on. */
const reportRow = (field: string, name: string, change: Body, says: RegExp): Line => [
  field,
  name,
  ({ activeConnectionId }) => ({ connectionId: activeConnectionId, revision: 1n, status: 401, ...change }),
  says,
];

const forbidden = (name: string, wwwAuthenticate: string): Line =>
  reportRow(
    "www_authenticate",
    name,
    { status: 403, wwwAuthenticate },
    /insufficient_scope, insufficient_user_authentication, or invalid_token/,
  );

const reportRows: readonly RpcRow[] = table(report, [
  reportRow("revision", "nothing", { revision: 0n }, /1/),
  reportRow(
    "revision",
    "one that there never was",
    { revision: 2n },
    /ahead of the connection's, which is 1/,
  ),
  reportRow("revision", "2^64-1", { revision: huge }, /ahead/),
  ...[0, 200, 400, 404, 4_294_967_295].map((status) =>
    reportRow("status", `${status}`, { status }, /401|in list/),
  ),
  reportRow("www_authenticate", "8193 bytes", { wwwAuthenticate: letters(8_193) }, /8192/),
  reportRow(
    "www_authenticate",
    "8193 bytes of two",
    { wwwAuthenticate: `a${"\u00e9".repeat(4_096)}` },
    /8192/,
  ),
  reportRow("www_authenticate", "U+0000", { wwwAuthenticate: "Bearer\0" }, /U\+0000/),
  reportRow("dpop_nonce", "2049 characters", { dpopNonce: letters(2_049) }, /2048/),
  reportRow("dpop_nonce", "a line end", { dpopNonce: "a\r\nX: y" }, /printable ASCII/),
  reportRow(
    "dpop_nonce",
    "none, where it is all that counts",
    { wwwAuthenticate: 'DPoP error="use_dpop_nonce"' },
    /DPoP-Nonce/,
  ),
  forbidden("a response that is split", 'Bearer error="insufficient_scope"\r\n\r\nHTTP/1.1 200 OK'),
  forbidden("an error that is cut off", 'Bearer error="insufficient_scope'),
  forbidden("an error of another scheme", 'Basic error="insufficient_scope"'),
  forbidden("an error of every object's", 'Bearer __proto__="insufficient_scope"'),
  forbidden("a secret for an error", `Bearer error="${canary}"`),
  forbidden("a thousand challenges", 'Bearer realm="a", '.repeat(430)),
]);

const proof = "TokenService/CreateProof";
const apiRequest = { method: "GET", url: "https://api.example/" };

const proofRow = (field: string, name: string, change: Body, says: RegExp): Line => [
  field,
  name,
  { connectionId: unknownId, ...apiRequest, ...change },
  says,
];

const proofRows: readonly RpcRow[] = table(proof, [
  proofRow("method", "nothing", { method: "" }, /not be empty/),
  proofRow("method", "33 characters", { method: letters(33) }, /32/),
  ...["GET /", "GET\r\nX: y", "GET\0", "G\u00c9T", '"', `${canary} `].map((method) =>
    proofRow("method", JSON.stringify(method), { method }, /a token of RFC 9110|U\+0000/),
  ),
  proofRow("url", "nothing", { url: "" }, /not be empty/),
  proofRow("url", "8193 characters", { url: `https://api.example/${letters(8_173)}` }, /8192/),
  ...[
    "/path",
    "api.example/",
    "javascript:alert(1)",
    "file:///etc/passwd",
    "https://",
    "https:///x",
    "https://ada:pw@api.example/",
    "https://api.example\\@evil.example/",
    "https://api.example/a b",
    "https://api.example/\r\nX: y",
  ].map((url) => proofRow("url", JSON.stringify(url), { url }, /absolute http or https URL/)),
  proofRow("url", "U+0000", { url: "https://api.example/\0" }, /U\+0000/),
  proofRow("nonce", "2049 characters", { nonce: letters(2_049) }, /2048/),
  ...["a b", 'a"', "a\\b", "a\r\nb", "\u00e9"].map((nonce) =>
    proofRow("nonce", JSON.stringify(nonce), { nonce }, /printable ASCII/),
  ),
]);

const minTtl = (name: string, duration: Body, says: RegExp): Line => [
  "min_ttl",
  name,
  { connectionId: unknownId, minTtl: duration },
  says,
];

/** Of a static credential: what is in order meets the refusal that it cannot be downscoped. */
const downscopedRow = (field: string, name: string, change: Body, says: RegExp, at?: string): Line => [
  field,
  name,
  ({ activeConnectionId }) => ({ connectionId: activeConnectionId, ...change }),
  says,
  at,
];
const downscopedRows: readonly RpcRow[] = table(get, [
  downscopedRow("audience", "1025 characters", { audience: letters(1025) }, /1024/),
  downscopedRow("audience", "U+0000", { audience: "a\0" }, /U\+0000/),
  downscopedRow("audience", "a response that is split", { audience: "a\r\nHost: b" }, /printable ASCII/),
  downscopedRow("audience", "a letter beyond ASCII", { audience: "\u202ea" }, /printable ASCII/),
  downscopedRow("resource", "1025 characters", { resource: `https://a.example/${letters(1024)}` }, /1024/),
  downscopedRow("resource", "a fragment", { resource: "https://a.example/#x" }, /without a fragment/),
  downscopedRow("resource", "no URI", { resource: "a b\r\n" }, /absolute URI/),
  downscopedRow("scopes", "nothing", { scopes: [""] }, /must not be empty/, "scopes[0]"),
  downscopedRow("scopes", "257 characters", { scopes: [letters(257)] }, /256/, "scopes[0]"),
  downscopedRow("scopes", "two in one", { scopes: ["read admin"] }, /printable ASCII/, "scopes[0]"),
  downscopedRow("scopes", "a quote", { scopes: ['a"'] }, /printable ASCII/, "scopes[0]"),
  downscopedRow("scopes", "one twice", { scopes: ["a", "a"] }, /unique/),
  downscopedRow("scopes", "51 of them", { scopes: Array.from({ length: 51 }, (_, i) => `s${i}`) }, /50/),
]);

const watchRows: readonly RpcRow[] = table(watch, [
  ["connection_ids", "no UUID", { connectionIds: ["x"] }, /UUID/, "connection_ids[0]"],
  ["connection_ids", "one twice", { connectionIds: [unknownId, unknownId] }, /unique/],
  ["connection_ids", "1001", { connectionIds: Array.from({ length: 1001 }, (_, i) => `s${i}`) }, /1000/],
  ["connection_ids", "an unknown one", { connectionIds: [unknownId] }, notFound, undefined, "removed"],
  ["user_id", "257 characters", { userId: letters(257) }, /256/],
  ["user_id", "an escape sequence", { userId: "\u001b[2J" }, /control characters/],
  ["position.epoch", "65 characters", { position: { epoch: letters(65) } }, /64/],
  ["position.epoch", "U+0000", { position: { epoch: "\0" } }, /U\+0000/],
  [
    "position.epoch",
    "another store's",
    { connectionIds: [unknownId], position: { epoch: "x", revision: 1n } },
    notFound,
    undefined,
    "reset",
  ],
  [
    "position.revision",
    "2^64-1",
    { connectionIds: [unknownId], position: { epoch: "x", revision: huge } },
    notFound,
    undefined,
    "reset",
  ],
  [
    "position.revision",
    "from the future",
    ({ epoch }) => ({ connectionIds: [unknownId], position: { epoch, revision: huge } }),
    notFound,
    undefined,
    "reset",
  ],
  ["bookmark_interval", "negative", { bookmarkInterval: secondsOf(-1n) }, /5s/],
  ["bookmark_interval", "too short", { bookmarkInterval: secondsOf(0n, 1) }, /5s/],
  ["bookmark_interval", "too long", { bookmarkInterval: secondsOf(121n) }, /120s/],
  ["bookmark_interval", "2^63-1", { bookmarkInterval: secondsOf((1n << 63n) - 1n) }, /10000 years/],
]);

const auditRows: readonly RpcRow[] = [
  ...table(audit, [
    ["page_size", "negative", { pageSize: -1 }, /0/],
    ["page_size", "1001", { pageSize: 1001 }, /1000/],
    ["page_token", "513 characters", { pageToken: letters(513) }, /512/],
    [
      "page_token",
      "another list's",
      ({ pageTokens }) => ({ pageToken: pageTokens.connections }),
      /of this list/,
    ],
    ...["0", "-1", "1e3", "9".repeat(20), "18446744073709551616", "__proto__"].map(
      (key): Line => [
        "page_token",
        `a forged one for ${key}`,
        { pageToken: Buffer.from(`audit/${key}`).toString("base64url") },
        /next_page_token/,
      ],
    ),
    ["event_type", "65 characters", { eventType: letters(65) }, /64/],
    ["event_type", "U+0000", { eventType: "\0" }, /U\+0000/],
    ["connection_id", "no UUID", { connectionId: "x" }, /UUID/],
    ["principal", "2054 characters", { principal: letters(2054) }, /2053/],
    ["principal", "U+0000", { principal: "key:\0" }, /U\+0000/],
    ["provider_id", "no UUID", { providerId: "../x" }, /UUID/],
    ["agent", "2054 characters", { agent: letters(2054) }, /2053/],
    ["agent", "U+0000", { agent: "key:\0" }, /U\+0000/],
    ["until", "2^62 seconds", { until: secondsOf(1n << 62n) }, /year 1 to 9999/],
    ["after_sequence", "2^64-1: nothing is behind it", { afterSequence: huge }, nothing],
    ["since", "2^62 seconds", { since: secondsOf(1n << 62n) }, /year 1 to 9999/],
    ["since", "before year 1", { since: secondsOf(-62_135_596_801n) }, /year 1 to 9999/],
    ["since", "negative nanos", { since: secondsOf(0n, -1) }, /year 1 to 9999/],
  ]),
  ...table(verify, [
    ["checkpoint_sequence", "alone", { checkpointSequence: huge }, /and a hash/, "checkpoint_hash"],
    ["checkpoint_hash", "alone", { checkpointHash: "0".repeat(64) }, /and a hash/, "checkpoint_sequence"],
    ["checkpoint_hash", "no hexadecimal", { checkpointSequence: 1n, checkpointHash: "x" }, /64 hexadecimal/],
    [
      "checkpoint_hash",
      "a line end after it",
      { checkpointSequence: 1n, checkpointHash: `${"0".repeat(64)}\n` },
      /64 hexadecimal/,
    ],
  ]),
];

const recordRows: readonly RpcRow[] = table("PolicyService/ListRequestTemplates", [
  ["since", "2^62 seconds", { since: secondsOf(1n << 62n) }, /year 1 to 9999/],
  ["since", "negative nanos", { since: secondsOf(0n, -1) }, /year 1 to 9999/],
]);

const legacyRequest = "NexusService/RequestConnection";
const nexusRows: readonly RpcRow[] = [
  ...table(legacyRequest, [
    ["user_id", "nothing", { providerName: "oauth2" }, /required/],
    [
      "require_confirmation",
      "nowhere to send the code",
      { userId: "a", providerName: "oauth2", requireConfirmation: true },
      /completion code/,
      "return_url",
    ],
    ["user_id", "a line end", { userId: "a\nb", providerName: "oauth2" }, /control characters/],
    ["provider_id", "no UUID", { userId: "a", providerId: "../x" }, /UUID/],
    ["provider_name", "129", { userId: "a", providerName: letters(129) }, /128/],
    ["provider_name", "U+0000", { userId: "a", providerName: "a\0" }, /U\+0000/],
    [
      "scopes",
      "two in one",
      { userId: "a", providerName: "oauth2", scopes: ["a b"] },
      /RFC 6749 section 3.3/,
      "scopes[0]",
    ],
    [
      "return_url",
      "elsewhere",
      { userId: "a", providerName: "oauth2", returnUrl: "https://evil.example" },
      /not among/,
    ],
    ["action", "U+0000", { userId: "a", providerName: "oauth2", action: "\0" }, /U\+0000/],
  ]),
  ...["CheckConnection", "GetToken", "RefreshConnection"].flatMap((rpc) => idRows(`NexusService/${rpc}`)),
];

export const tokenRows: readonly RpcRow[] = [
  ...idRows(get),
  ...table(get, [
    minTtl("negative", secondsOf(-1n), /0s/),
    minTtl("a day and a second", secondsOf(86_401n), /86400s/),
    minTtl("2^63-1 seconds", secondsOf((1n << 63n) - 1n), /10000 years/),
    minTtl("nanos of another sign", secondsOf(1n, -1), /10000 years/),
    minTtl("too many nanos", secondsOf(0n, 1_000_000_000), /10000 years/),
  ]),
  ...idRows("TokenService/RefreshToken"),
  ...idRows(report, { revision: 1n, status: 401 }),
  ...reportRows,
  ...downscopedRows,
  ...idRows(proof, apiRequest),
  ...proofRows,
  ...watchRows,
  ...auditRows,
  ...recordRows,
  ...nexusRows,
];
