import { type Body, canary, type Demand, invalid, letters, type Place, type RpcRow } from "./row.js";

/** Services of the admin: API keys, the key ring and copies of the store; and the status. */

type Row = Omit<RpcRow, "rpc">;

const rows = (rpc: string, list: readonly Row[]): RpcRow[] => list.map((row) => ({ rpc, ...row }));

const row = (field: string, name: string, message: Body | ((place: Place) => Body), demand: Demand): Row => ({
  name,
  fields: [field],
  message: typeof message === "function" ? message : () => message,
  demand,
});

/** A flag that is none; only JSON can say that. */
const flag = (field: string, more = ""): Row => ({
  name: "a text for a flag",
  fields: [field],
  json: () => `{"${field}": "yes"${more}}`,
  demand: { code: "InvalidArgument" },
});

const notFound: Demand = { code: "NotFound" };
const agent: Body = { name: "ci", role: 3, restriction: { userIds: ["ada"] } };
const restricted = (restriction: Body): Body => ({ ...agent, restriction });

const createKey = rows("AccessService/CreateApiKey", [
  row("name", "nothing", { ...agent, name: "" }, invalid(/1 to 63 lower-case/)),
  row("name", "64 characters", { ...agent, name: letters(64) }, invalid(/62|63/)),
  row("name", "a line end", { ...agent, name: "ci\n" }, invalid(/1 to 63 lower-case/)),
  row("name", "an escape sequence", { ...agent, name: "\u001b]0;x\u0007" }, invalid(/1 to 63 lower-case/)),
  row("name", "__proto__", { ...agent, name: "__proto__" }, invalid(/1 to 63 lower-case/)),
  row("role", "none", { ...agent, role: 0 }, invalid(/./)),
  row("role", "one that does not exist", { ...agent, role: 9 }, invalid(/defined/)),
  row(
    "restriction.user_ids",
    "an agent without a restriction",
    { name: "ci", role: 3 },
    {
      ...invalid(/user_ids|restriction/),
      field: "restriction",
    },
  ),
  row(
    "restriction.user_ids",
    "1001",
    restricted({ userIds: Array.from({ length: 1_001 }, (_, i) => `u${i}`) }),
    invalid(/1000/),
  ),
  row(
    "restriction.user_ids",
    "an empty one",
    restricted({ userIds: [""] }),
    invalid(/1/, "restriction.user_ids[0]"),
  ),
  row(
    "restriction.user_ids",
    "257 characters",
    restricted({ userIds: [letters(257)] }),
    invalid(/256/, "restriction.user_ids[0]"),
  ),
  row(
    "restriction.user_ids",
    "a line end",
    restricted({ userIds: ["a\nb"] }),
    invalid(/control characters/, "restriction.user_ids[0]"),
  ),
  row("restriction.user_ids", "one twice", restricted({ userIds: ["a", "a"] }), invalid(/unique/)),
  row(
    "restriction.providers",
    "a path",
    restricted({ providers: ["../etc"] }),
    invalid(/name or id of a provider/, "restriction.providers[0]"),
  ),
  row(
    "restriction.providers",
    "64 characters",
    restricted({ providers: [letters(64)] }),
    invalid(/63/, "restriction.providers[0]"),
  ),
  row(
    "restriction.connection_ids",
    "no UUID",
    restricted({ connectionIds: ["*"] }),
    invalid(/UUID/, "restriction.connection_ids[0]"),
  ),
  row(
    "expires_at",
    "a time that is over",
    { ...agent, expiresAt: { seconds: 1n } },
    invalid(/future|past|later/),
  ),
  row("expires_at", "a year without end", { ...agent, expiresAt: { seconds: 10n ** 15n } }, invalid(/./)),
]);

const listKeys = rows("AccessService/ListApiKeys", [
  row("page_size", "negative", { pageSize: -1 }, invalid(/0/)),
  row("page_size", "1001", { pageSize: 1_001 }, invalid(/1000/)),
  row("page_token", "513 characters", { pageToken: letters(513) }, invalid(/512/)),
  row(
    "page_token",
    "another list's",
    ({ pageTokens }) => ({ pageToken: pageTokens.audit }),
    invalid(/of this list/),
  ),
  row(
    "page_token",
    "a forged one",
    { pageToken: Buffer.from("api_keys/../x").toString("base64url") },
    invalid(/next_page_token/),
  ),
  flag("include_revoked"),
]);

const revokeKey = rows("AccessService/RevokeApiKey", [
  row("name", "neither", {}, { ...invalid(/./), field: "key" }),
  row("name", "64 characters", { key: { case: "name", value: letters(64) } }, invalid(/63/)),
  row("name", "an unknown one", { key: { case: "name", value: "nobody" } }, notFound),
  row("name", "the admin's key", { key: { case: "name", value: "admin" } }, notFound),
  row("id", "64 characters", { key: { case: "id", value: letters(64) } }, invalid(/63/)),
  row("id", "a secret", { key: { case: "id", value: canary } }, notFound),
]);

const explained = (more: Body): Body => ({ principal: "key:ci", action: "token.read", ...more });
const explain = rows("AccessService/ExplainAccess", [
  row("principal", "nothing", explained({ principal: "" }), invalid(/1/)),
  row("principal", "513 characters", explained({ principal: letters(513) }), invalid(/512/)),
  row("action", "nothing", explained({ action: "" }), invalid(/1/)),
  row("action", "129 characters", explained({ action: letters(129) }), invalid(/128/)),
  row("action", "an unknown one", explained({ action: "constructor" }), invalid(/./)),
  row("resource.connection_id", "no UUID", explained({ resource: { connectionId: "*" } }), invalid(/UUID/)),
  row(
    "resource.user_id",
    "257 characters",
    explained({ resource: { userId: letters(257) } }),
    invalid(/256/),
  ),
  row(
    "resource.provider",
    "129 characters",
    explained({ resource: { provider: letters(129) } }),
    invalid(/128/),
  ),
]);

const ring = [
  ...rows("KeyringService/GetKeyring", [flag("reload")]),
  ...rows("KeyringService/RotateKeyring", [
    row("key_id", "no id", { keyId: "../x" }, invalid(/16 hexadecimal/)),
    row("key_id", "an unknown one", { keyId: "0".repeat(16) }, notFound),
  ]),
  ...rows("KeyringService/RetireKey", [
    row("key_id", "nothing", {}, invalid(/16 hexadecimal/)),
    row("key_id", "17 digits", { keyId: "0".repeat(17) }, invalid(/16 hexadecimal/)),
    row("key_id", "an unknown one", { keyId: "0".repeat(16) }, notFound),
  ]),
  ...rows("BackupService/CreateBackup", [flag("allow_unreadable")]),
];

const status = rows("StatusService/GetStatus", [
  row("max_entries", "negative", { maxEntries: -1 }, invalid(/0/)),
  row("max_entries", "101", { maxEntries: 101 }, invalid(/100/)),
  row("max_entries", "2^31 - 1", { maxEntries: 2_147_483_647 }, invalid(/100/)),
]);

export const accessRows: readonly RpcRow[] = [
  ...createKey,
  ...listKeys,
  ...revokeKey,
  ...explain,
  ...ring,
  ...status,
];
