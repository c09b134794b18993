import {
  type Body,
  canary,
  type Demand,
  invalid,
  letters,
  type Place,
  type RpcRow,
  unknownId,
} from "./row.js";

const rows = (rpc: string, list: readonly Omit<RpcRow, "rpc">[]): RpcRow[] =>
  list.map((row) => ({ rpc, ...row }));

const one = (
  rpc: string,
  field: string,
  name: string,
  message: Body | ((place: Place) => Body),
  demand: Demand,
): RpcRow => ({
  rpc,
  name,
  fields: [field],
  message: typeof message === "function" ? message : () => message,
  demand,
});

const notFound: Demand = { code: "NotFound" };
const escapeSequence = "\u001b]0;owned\u0007";

/** An id of a connection where one is required. */
const idRows = (rpc: string): RpcRow[] => [
  one(rpc, "connection_id", "nothing", {}, invalid(/UUID|must be set/)),
  one(rpc, "connection_id", "a path", { connectionId: "../../etc/passwd" }, invalid(/UUID/)),
  one(rpc, "connection_id", "U+0000", { connectionId: `${unknownId}\0` }, invalid(/U\+0000/)),
  one(rpc, "connection_id", "longer than a key", { connectionId: letters(4000) }, invalid(/UUID/)),
  one(rpc, "connection_id", "a line end after a UUID", { connectionId: `${unknownId}\n` }, invalid(/UUID/)),
  one(rpc, "connection_id", "an unknown one", { connectionId: unknownId }, notFound),
];

const userIdRows = (rpc: string, more: Body = {}): RpcRow[] => [
  one(rpc, "user_id", "257 characters", { ...more, userId: letters(257) }, invalid(/256/)),
  one(
    rpc,
    "user_id",
    "an escape sequence",
    { ...more, userId: escapeSequence },
    invalid(/control characters/),
  ),
  one(
    rpc,
    "user_id",
    "a line end",
    { ...more, userId: 'ada\n{"level":"fatal"}' },
    invalid(/control characters/),
  ),
  one(rpc, "user_id", "U+0000", { ...more, userId: "a\0" }, invalid(/U\+0000/)),
  {
    rpc,
    name: "half of a surrogate pair",
    fields: ["user_id"],
    json: () => '{"user_id": "a\\ud800"}',
    demand: { code: "InvalidArgument" },
  },
];

const scopeRows = (rpc: string, more: Body): RpcRow[] => [
  one(
    rpc,
    "scopes",
    "101",
    { ...more, scopes: Array.from({ length: 101 }, (_, i) => `s${i}`) },
    invalid(/100/),
  ),
  one(rpc, "scopes", "one twice", { ...more, scopes: ["a", "a"] }, invalid(/unique/)),
  one(rpc, "scopes", "an empty one", { ...more, scopes: [""] }, invalid(/1 char/, "scopes[0]")),
  one(
    rpc,
    "scopes",
    "two in one",
    { ...more, scopes: ["a b"] },
    invalid(/RFC 6749 section 3.3/, "scopes[0]"),
  ),
  one(rpc, "scopes", "a quote", { ...more, scopes: ['a"'] }, invalid(/RFC 6749 section 3.3/, "scopes[0]")),
  one(
    rpc,
    "scopes",
    "a line end",
    { ...more, scopes: ["a\r\n"] },
    invalid(/RFC 6749 section 3.3/, "scopes[0]"),
  ),
  one(
    rpc,
    "scopes",
    "not ASCII",
    { ...more, scopes: ["\u202ea"] },
    invalid(/RFC 6749 section 3.3/, "scopes[0]"),
  ),
  one(rpc, "scopes", "257 characters", { ...more, scopes: [letters(257)] }, invalid(/256/, "scopes[0]")),
  one(
    rpc,
    "scopes",
    "100000 of them, all at error",
    { ...more, scopes: Array.from({ length: 100_000 }, () => " ") },
    invalid(/100/),
  ),
];

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

const requestRows: readonly RpcRow[] = [
  {
    rpc: request,
    name: "a text for a flag",
    fields: ["require_confirmation"],
    json: () => '{"require_confirmation": "yes"}',
    demand: { code: "InvalidArgument" },
  },
  one(
    request,
    "require_confirmation",
    "nowhere to send the code",
    (place) => ({ ...ofOAuth(place), requireConfirmation: true }),
    invalid(/completion code/, "return_url"),
  ),
  ...userIdRows(request),
  one(request, "user_id", "nothing", (place) => ({ ...ofOAuth(place), userId: "" }), invalid(/required/)),
  one(
    request,
    "user_id",
    "another user's connection",
    (place) => ({ connectionId: place.pendingConnectionId, userId: "eve" }),
    invalid(/not the one/),
  ),
  one(request, "provider_id", "nothing", { userId: "ada" }, invalid(/required/, "provider")),
  one(
    request,
    "provider_id",
    "no UUID",
    { userId: "a", provider: { case: "providerId", value: "x" } },
    invalid(/UUID/),
  ),
  one(
    request,
    "provider_id",
    "an unknown one",
    { userId: "a", provider: { case: "providerId", value: unknownId } },
    notFound,
  ),
  one(
    request,
    "provider_name",
    "nothing",
    { userId: "a", provider: { case: "providerName", value: "" } },
    invalid(/1 char/),
  ),
  one(
    request,
    "provider_name",
    "129",
    { userId: "a", provider: { case: "providerName", value: letters(129) } },
    invalid(/128/),
  ),
  one(
    request,
    "provider_name",
    "U+0000",
    { userId: "a", provider: { case: "providerName", value: "\0" } },
    invalid(/U\+0000/),
  ),
  one(
    request,
    "provider_name",
    "__proto__",
    { userId: "a", provider: { case: "providerName", value: "__proto__" } },
    notFound,
  ),
  one(
    request,
    "provider_name",
    "another provider than the connection's",
    (place) => ({
      connectionId: place.pendingConnectionId,
      provider: { case: "providerName", value: "basic" },
    }),
    invalid(/not the one/, "provider"),
  ),
  ...scopeRows(request, { userId: "ada", provider: { case: "providerName", value: "oauth2" } }),
  one(
    request,
    "scopes",
    "openid without keys",
    (place) => ({ ...ofOAuth(place), scopes: ["openid"] }),
    invalid(/id_token/),
  ),
  ...returnUrls.map(([name, returnUrl, says]) =>
    one(request, "return_url", name, (place) => ({ ...ofOAuth(place), returnUrl }), invalid(says)),
  ),
  one(request, "connection_id", "no UUID", { connectionId: "1" }, invalid(/UUID/)),
  one(request, "connection_id", "an unknown one", { connectionId: unknownId }, notFound),
];

const list = "ConnectionService/ListConnections";
const listRows: readonly RpcRow[] = [
  one(list, "page_size", "a negative size", { pageSize: -1 }, invalid(/0/)),
  one(list, "page_size", "1001", { pageSize: 1001 }, invalid(/1000/)),
  one(list, "page_size", "-2^31", { pageSize: -2_147_483_648 }, invalid(/0/)),
  one(list, "page_token", "513 characters", { pageToken: letters(513) }, invalid(/512/)),
  one(list, "page_token", "an id as it is", { pageToken: unknownId }, invalid(/next_page_token/)),
  one(
    list,
    "page_token",
    "a token of another list",
    ({ pageTokens }) => ({ pageToken: pageTokens.providers }),
    invalid(/of this list/),
  ),
  ...userIdRows(list),
  one(list, "provider_id", "no UUID", { providerId: "*" }, invalid(/UUID/)),
  one(list, "status", "no such state", { status: 99 }, invalid(/defined/)),
];

const captureRows = (rpc: string, more: Body = {}): RpcRow[] => [
  one(rpc, "state", "nothing", more, notFound),
  one(rpc, "state", "129 characters", { ...more, state: letters(129) }, invalid(/128/)),
  one(rpc, "state", "U+0000", { ...more, state: "a\0" }, invalid(/U\+0000/)),
  one(rpc, "state", "a guess", { ...more, state: letters(43) }, notFound),
  one(rpc, "state", "a state for consent", ({ consentState }) => ({ ...more, state: consentState }), {
    code: "FailedPrecondition",
  }),
];

const dunder = (value: unknown): Body => JSON.parse(`{"__proto__": ${JSON.stringify(value)}}`) as Body;

/** Fields of a credential, for an RPC that takes them beside `more`. */
const credentialRows = (rpc: string, more: (place: Place) => Body, takesAnyJson: boolean): RpcRow[] => {
  const put =
    (credentials: Body) =>
    (place: Place): Body => ({ ...more(place), credentials });
  const row = (name: string, credentials: Body, says: RegExp, at: string): RpcRow =>
    one(rpc, "credentials", name, put(credentials), invalid(says, at));
  return [
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
  ];
};

const importing = "ConnectionService/ImportConnection";
const importOAuth = ({ providers }: Place): Body => ({
  userId: "ada",
  providerId: providers["oauth2"],
  refreshToken: canary,
});

const importRows: readonly RpcRow[] = [
  ...userIdRows(importing, { refreshToken: canary }),
  one(
    importing,
    "user_id",
    "nothing",
    (place) => ({ ...importOAuth(place), userId: "" }),
    invalid(/required/),
  ),
  one(importing, "provider_id", "no UUID", { userId: "ada", providerId: "oauth2" }, invalid(/UUID/)),
  one(importing, "provider_id", "an unknown one", { userId: "ada", providerId: unknownId }, notFound),
  one(
    importing,
    "refresh_token",
    "nothing",
    (place) => ({ ...importOAuth(place), refreshToken: "" }),
    invalid(/required/),
  ),
  one(
    importing,
    "refresh_token",
    "a line end",
    (place) => ({ ...importOAuth(place), refreshToken: `${canary}\n` }),
    invalid(/printable ASCII/),
  ),
  one(
    importing,
    "refresh_token",
    "65537 characters",
    (place) => ({ ...importOAuth(place), refreshToken: canary.padEnd(65_537, "x") }),
    invalid(/65536/),
  ),
  one(
    importing,
    "credentials",
    "beside a refresh token",
    (place) => ({ ...importOAuth(place), credentials: { api_key: canary } }),
    invalid(/static types/),
  ),
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
  one(confirming, "completion_code", "nothing", { connectionId: unknownId }, invalid(/1/)),
  one(
    confirming,
    "completion_code",
    "129 characters",
    { connectionId: unknownId, completionCode: letters(129) },
    invalid(/128/),
  ),
  one(
    confirming,
    "connection_id",
    "an unknown one",
    { connectionId: unknownId, completionCode: canary },
    notFound,
  ),
  one(
    confirming,
    "completion_code",
    "of a connection that waits for none",
    ({ activeConnectionId }) => ({ connectionId: activeConnectionId, completionCode: canary }),
    { code: "FailedPrecondition" },
  ),
];

const replacing = "ConnectionService/ReplaceCredential";
const capturing = "ConnectionService/CaptureCredential";

export const connectionRows: readonly RpcRow[] = [
  ...requestRows,
  ...["GetConnection", "RevokeConnection", "DeleteConnection"].flatMap((rpc) =>
    idRows(`ConnectionService/${rpc}`),
  ),
  ...listRows,
  ...captureRows("ConnectionService/GetCaptureSchema"),
  ...captureRows(capturing, { credentials: { api_key: canary } }),
  ...credentialRows(capturing, ({ captureState }) => ({ state: captureState }), true),
  ...importRows,
  ...confirmRows,
  ...idRows(replacing),
  ...credentialRows(replacing, ({ activeConnectionId }) => ({ connectionId: activeConnectionId }), false),
  ...rows(replacing, [
    {
      name: "those of a connection by consent",
      fields: ["credentials"],
      message: ({ pendingConnectionId }) => ({
        connectionId: pendingConnectionId,
        credentials: { api_key: canary },
      }),
      demand: { code: "FailedPrecondition" },
    },
  ]),
];
