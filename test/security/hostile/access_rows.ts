import { type Body, badType, canary, type Line, letters, notFound, type RpcRow, table } from "./row.js";

/** Services of the admin: API keys, the key ring and copies of the store; and the status. */

/** A flag that is none; only JSON can say that. */
const flag = (field: string): Line => [field, "a text for a flag", `{"${field}": "yes"}`, badType];

const agent: Body = { name: "ci", role: 3, restriction: { userIds: ["ada"] } };
const restricted = (restriction: Body): Body => ({ ...agent, restriction });

const createKey = table("AccessService/CreateApiKey", [
  ["name", "nothing", { ...agent, name: "" }, /1 to 63 lower-case/],
  ["name", "64 characters", { ...agent, name: letters(64) }, /62|63/],
  ["name", "a line end", { ...agent, name: "ci\n" }, /1 to 63 lower-case/],
  ["name", "an escape sequence", { ...agent, name: "\u001b]0;x\u0007" }, /1 to 63 lower-case/],
  ["name", "__proto__", { ...agent, name: "__proto__" }, /1 to 63 lower-case/],
  ["role", "none", { ...agent, role: 0 }, /./],
  ["role", "one that does not exist", { ...agent, role: 9 }, /defined/],
  [
    "restriction.user_ids",
    "an agent without a restriction",
    { name: "ci", role: 3 },
    /user_ids|restriction/,
    "restriction",
  ],
  [
    "restriction.user_ids",
    "1001",
    restricted({ userIds: Array.from({ length: 1_001 }, (_, i) => `u${i}`) }),
    /1000/,
  ],
  [
    "restriction.user_ids",
    "an empty one",
    restricted({ userIds: [""] }),
    /not be empty/,
    "restriction.user_ids[0]",
  ],
  [
    "restriction.user_ids",
    "257 characters",
    restricted({ userIds: [letters(257)] }),
    /256/,
    "restriction.user_ids[0]",
  ],
  [
    "restriction.user_ids",
    "a line end",
    restricted({ userIds: ["a\nb"] }),
    /control characters/,
    "restriction.user_ids[0]",
  ],
  ["restriction.user_ids", "one twice", restricted({ userIds: ["a", "a"] }), /unique/],
  [
    "restriction.providers",
    "a path",
    restricted({ providers: ["../etc"] }),
    /name or id of a provider/,
    "restriction.providers[0]",
  ],
  [
    "restriction.providers",
    "64 characters",
    restricted({ providers: [letters(64)] }),
    /63/,
    "restriction.providers[0]",
  ],
  [
    "restriction.connection_ids",
    "no UUID",
    restricted({ connectionIds: ["*"] }),
    /UUID/,
    "restriction.connection_ids[0]",
  ],
  [
    "restriction.labels",
    "a control character",
    restricted({ userIds: ["ada"], labels: ["a\nb"] }),
    /control characters/,
    "restriction.labels[0]",
  ],
  [
    "restriction.methods",
    "a line end",
    restricted({ userIds: ["ada"], methods: ["GET\n"] }),
    /capital letters/,
    "restriction.methods[0]",
  ],
  [
    "restriction.paths",
    "no path",
    restricted({ userIds: ["ada"], paths: ["https://evil.example"] }),
    /begins with/,
    "restriction.paths[0]",
  ],
  ["expires_at", "a time that is over", { ...agent, expiresAt: { seconds: 1n } }, /future|past|later/],
  ["expires_at", "a year without end", { ...agent, expiresAt: { seconds: 10n ** 15n } }, /./],
  ["lease", "9 seconds", { ...agent, lease: { seconds: 9n } }, /./],
  ["lease", "31 days", { ...agent, lease: { seconds: 2_678_400n } }, /./],
  ["uses.uses", "none", { ...agent, uses: { uses: 0 } }, /1/],
  ["uses.uses", "1000001", { ...agent, uses: { uses: 1_000_001 } }, /1000000/],
  ["uses.per", "a week", { ...agent, uses: { uses: 1, per: { seconds: 604_800n } } }, /./],
]);

const listKeys = table("AccessService/ListApiKeys", [
  ["page_size", "negative", { pageSize: -1 }, /0/],
  ["page_size", "1001", { pageSize: 1_001 }, /1000/],
  ["page_token", "513 characters", { pageToken: letters(513) }, /512/],
  ["page_token", "another list's", ({ pageTokens }) => ({ pageToken: pageTokens.audit }), /of this list/],
  [
    "page_token",
    "a forged one",
    { pageToken: Buffer.from("api_keys/../x").toString("base64url") },
    /next_page_token/,
  ],
  flag("include_revoked"),
]);

const keyNamed = (value: string): Body => ({ key: { case: "name", value } });
const wrongKeys: Parameters<typeof table>[1] = [
  ["name", "neither", {}, /./, "key"],
  ["name", "64 characters", keyNamed(letters(64)), /63/],
  ["name", "an unknown one", keyNamed("nobody"), notFound],
  ["name", "the admin's key", keyNamed("admin"), notFound],
  ["id", "64 characters", { key: { case: "id", value: letters(64) } }, /63/],
  ["id", "a secret", { key: { case: "id", value: canary } }, notFound],
];
const revokeKey = table("AccessService/RevokeApiKey", wrongKeys);
const rotateKey = table("AccessService/RotateApiKey", [
  ...wrongKeys,
  ["keep_old", "31 days", { ...keyNamed("nobody"), keepOld: { seconds: 2_678_400n } }, /./],
  ["keep_old", "negative", { ...keyNamed("nobody"), keepOld: { seconds: -1n } }, /./],
]);

const explained = (more: Body): Body => ({ principal: "key:ci", action: "token.read", ...more });
const explain = table("AccessService/ExplainAccess", [
  ["principal", "nothing", explained({ principal: "" }), /not be empty/],
  ["principal", "2054 characters", explained({ principal: letters(2054) }), /2053/],
  ["action", "nothing", explained({ action: "" }), /not be empty/],
  ["action", "129 characters", explained({ action: letters(129) }), /128/],
  ["action", "an unknown one", explained({ action: "constructor" }), /./],
  ["resource.connection_id", "no UUID", explained({ resource: { connectionId: "*" } }), /UUID/],
  ["resource.user_id", "257 characters", explained({ resource: { userId: letters(257) } }), /256/],
  ["resource.provider", "129 characters", explained({ resource: { provider: letters(129) } }), /128/],
]);

const ring = [
  ...table("KeyringService/GetKeyring", [flag("reload")]),
  ...table("KeyringService/RotateKeyring", [
    ["key_id", "no id", { keyId: "../x" }, /16 hexadecimal/],
    ["key_id", "an unknown one", { keyId: "0".repeat(16) }, notFound],
  ]),
  ...table("KeyringService/RetireKey", [
    ["key_id", "nothing", {}, /16 hexadecimal/],
    ["key_id", "17 digits", { keyId: "0".repeat(17) }, /16 hexadecimal/],
    ["key_id", "an unknown one", { keyId: "0".repeat(16) }, notFound],
  ]),
  ...table("ClientKeyService/RotateClientKeys", [
    ["type", "an unknown one", { type: "P-255" }, /P-256/],
    ["type", "one of a prototype", { type: "constructor" }, /P-256/],
    flag("compromised"),
  ]),
  ...table("BackupService/CreateBackup", [flag("allow_unreadable")]),
];

const receivers = table("NotificationService/TestReceivers", [
  ["receiver", "64 characters", { receiver: letters(64) }, /63/],
  ["receiver", "an unknown one", { receiver: "../x" }, notFound],
]);

const status = table("StatusService/GetStatus", [
  ["max_entries", "negative", { maxEntries: -1 }, /0/],
  ["max_entries", "101", { maxEntries: 101 }, /100/],
  ["max_entries", "2^31 - 1", { maxEntries: 2_147_483_647 }, /100/],
]);

const streams = table("StatusService/ListOpenStreams", [
  ["max_entries", "negative", { maxEntries: -1 }, /0/],
  ["max_entries", "1001", { maxEntries: 1_001 }, /1000/],
]);

const uses = table("UseService/ResetUses", [
  ["principal", "none", {}, /empty/],
  ["principal", "513 characters", { principal: letters(513) }, /512/],
  ["principal", "an unknown one", { principal: "key:nobody" }, notFound],
]);

export const accessRows: readonly RpcRow[] = [
  ...createKey,
  ...receivers,
  ...listKeys,
  ...revokeKey,
  ...rotateKey,
  ...explain,
  ...ring,
  ...status,
  ...streams,
  ...uses,
];
