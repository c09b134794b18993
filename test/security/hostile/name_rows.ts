import { type Body, type Demand, invalid, letters, type RpcRow } from "./row.js";

const notFound: Demand = { code: "NotFound", isAudited: true };

interface Hostile {
  readonly field: "provider_name" | "user_id" | "label";
  readonly name: string;
  readonly change: Body;
  readonly demand: Demand;
}

const good = { providerName: "oauth2", userId: "ada", label: "" };

const hostile: readonly Hostile[] = [
  { field: "provider_name", name: "nothing", change: { providerName: "" }, demand: invalid(/not be empty/) },
  {
    field: "provider_name",
    name: "129 characters",
    change: { providerName: letters(129) },
    demand: invalid(/128/),
  },
  {
    field: "provider_name",
    name: "U+0000",
    change: { providerName: "oauth2\0" },
    demand: invalid(/U\+0000/),
  },
  { field: "user_id", name: "nothing", change: { userId: "" }, demand: invalid(/not be empty/) },
  { field: "user_id", name: "257 characters", change: { userId: letters(257) }, demand: invalid(/256/) },
  { field: "user_id", name: "a line end", change: { userId: "a\nb" }, demand: invalid(/control characters/) },
  { field: "label", name: "65 characters", change: { label: letters(65) }, demand: invalid(/64/) },
  {
    field: "label",
    name: "an escape sequence",
    change: { label: "\u001b[2J" },
    demand: invalid(/control characters/),
  },
];

const unknown: readonly Hostile[] = [
  { field: "provider_name", name: "a path", change: { providerName: "../../x" }, demand: notFound },
  {
    field: "provider_name",
    name: "a word of JavaScript",
    change: { providerName: "__proto__" },
    demand: notFound,
  },
  { field: "user_id", name: "the end of a key", change: { userId: 'ada","' }, demand: notFound },
  { field: "label", name: "an unknown one", change: { label: "x" }, demand: notFound },
];

const named = (rpc: string, field: string, wrap: (name: Body) => Body, rows: readonly Hostile[]): RpcRow[] =>
  rows.map((row) => ({
    rpc,
    name: `${field}: ${row.name}`,
    fields: [`${field}.${row.field}`],
    message: () => wrap({ ...good, ...row.change }),
    demand:
      row.demand.code === "InvalidArgument"
        ? { ...row.demand, field: `${field.replace("names", "names[0]")}.${row.field}` }
        : row.demand,
  }));

const byName = [
  "TokenService/GetToken",
  "TokenService/RefreshToken",
  "ConnectionService/GetConnection",
  "ConnectionService/RefreshConnection",
  "ConnectionService/CheckConnection",
  "ConnectionService/RevokeConnection",
  "ConnectionService/DeleteConnection",
  "ConnectionService/ReplaceCredential",
];

const report = "TokenService/ReportRejectedToken";

const watch = "TokenService/WatchTokens";

const acquire = "TokenService/AcquireToken";

const acquireRow = (field: string, name: string, change: Body, demand: Demand): RpcRow => ({
  rpc: acquire,
  name,
  fields: [field],
  message: () => ({ ...good, ...change }),
  demand,
});

/** URLs of MCP servers that the daemon must not call, and texts that are none. */
export const mcpServerUrls: readonly (readonly [name: string, url: string, says: RegExp])[] = [
  ["a script", "javascript:alert(1)", /https URL/],
  ["a file", "file:///etc/passwd", /https URL/],
  ["plain http to elsewhere", "http://mcp.example/mcp", /https URL/],
  ["a user name", "https://user:CANARY-c3VwZXJzZWNyZXQ@mcp.example/mcp", /without a user name/],
  ["a fragment", "https://mcp.example/mcp#x", /fragment/],
  ["a line end that parsers drop", "https://mcp.example/a\nb", /https URL/],
  ["a backslash that parsers turn", "https://mcp.example\\@evil.example/", /https URL/],
  ["the metadata of the cloud", "https://169.254.169.254/latest/meta-data", /no setting allows it/],
  ["the metadata of the cloud by name", "https://metadata.google.internal/x", /no setting allows it/],
  ["a private network", "https://10.0.0.1/mcp", /NEXUS_ALLOWED_PRIVATE_NETWORKS/],
  ["2049 characters", `https://mcp.example/${letters(2029)}`, /2048/],
];

const acquireRows: readonly RpcRow[] = [
  ...hostile
    .filter(({ field, name }) => field !== "provider_name" || name !== "nothing")
    .map(({ field, name, change, demand }) => acquireRow(field, name, change, demand)),
  acquireRow("provider_name", "nothing", { providerName: "" }, invalid(/must be set/)),
  ...mcpServerUrls.map(([name, mcpServerUrl, says]) =>
    acquireRow("mcp_server_url", name, { providerName: "", mcpServerUrl }, invalid(says)),
  ),
  acquireRow(
    "mcp_server_url",
    "beside a name",
    { mcpServerUrl: "https://mcp.example/mcp" },
    invalid(/only one of/, "provider_name"),
  ),
  acquireRow("provider_name", "a path", { providerName: "../../x" }, { code: "NotFound" }),
  acquireRow("scopes", "101", { scopes: Array.from({ length: 101 }, (_, i) => `s${i}`) }, invalid(/100/)),
  acquireRow("scopes", "one twice", { scopes: ["a", "a"] }, invalid(/unique/)),
  acquireRow("scopes", "two in one", { scopes: ["a b"] }, invalid(/RFC 6749 section 3.3/, "scopes[0]")),
  acquireRow("only_scopes", "without scopes", { onlyScopes: true }, invalid(/needs scopes/)),
  acquireRow("min_ttl", "negative", { minTtl: { seconds: -1n } }, invalid(/0s/)),
  acquireRow("min_ttl", "a day and a second", { minTtl: { seconds: 86_401n } }, invalid(/86400s/)),
  acquireRow("wait", "negative", { wait: { seconds: -1n } }, invalid(/0s/)),
  acquireRow("wait", "61 seconds", { wait: { seconds: 61n } }, invalid(/60s/)),
  acquireRow("wait", "2^63-1 seconds", { wait: { seconds: (1n << 63n) - 1n } }, invalid(/10000 years/)),
  ...["https://evil.example", "javascript:alert(1)", "//evil.example", "\0"].map((returnUrl) =>
    acquireRow("return_url", returnUrl, { returnUrl }, { code: "InvalidArgument" }),
  ),
  acquireRow(
    "device",
    "of a static type",
    { providerName: "api-key-bearer", userId: "zoe", device: true },
    invalid(/type oauth2/),
  ),
  acquireRow("return_url", "2049 characters", { returnUrl: letters(2049) }, invalid(/2048/)),
];

/** A name instead of an id, wherever one is taken. */
export const nameRows: readonly RpcRow[] = [
  ...acquireRows,
  ...byName.flatMap((rpc) => named(rpc, "name", (name) => ({ name }), [...hostile, ...unknown])),
  ...named(report, "name", (name) => ({ name, revision: 1n, status: 401 }), [...hostile, ...unknown]),
  ...named(
    "TokenService/CreateProof",
    "name",
    (name) => ({ name, method: "GET", url: "https://api.example/" }),
    [...hostile, ...unknown],
  ),
  ...named(watch, "names", (name) => ({ names: [name] }), hostile),
  {
    rpc: watch,
    name: "names: 1001",
    fields: ["names"],
    message: () => ({ names: Array.from({ length: 1001 }, (_, index) => ({ ...good, label: `${index}` })) }),
    demand: invalid(/1000/),
  },
  ...["RequestConnection", "ImportConnection"].flatMap((rpc): RpcRow[] => [
    {
      rpc: `ConnectionService/${rpc}`,
      name: "65 characters",
      fields: ["label"],
      message: () => ({ userId: "ada", label: letters(65) }),
      demand: invalid(/64/),
    },
    {
      rpc: `ConnectionService/${rpc}`,
      name: "an escape sequence",
      fields: ["label"],
      message: () => ({ userId: "ada", label: "\u001b[2J" }),
      demand: invalid(/control characters/),
    },
  ]),
  ...["G", "../", "%00", letters(37)].map(
    (idPrefix): RpcRow => ({
      rpc: "ConnectionService/ListConnections",
      name: `${idPrefix.length} characters, ${idPrefix.slice(0, 4)}`,
      fields: ["id_prefix"],
      message: () => ({ idPrefix }),
      demand: { code: "InvalidArgument" },
    }),
  ),
];
