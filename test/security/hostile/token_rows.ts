import { type Body, type Demand, invalid, letters, type Place, type RpcRow, unknownId } from "./row.js";

const one = (
  rpc: string,
  field: string,
  name: string,
  message: Body | ((place: Place) => Body),
  demand: Demand,
  event?: string,
): RpcRow => ({
  rpc,
  name,
  fields: [field],
  message: typeof message === "function" ? message : () => message,
  demand,
  ...(event === undefined ? {} : { event }),
});

/** A token that is refused to somebody is on record. */
const notFound: Demand = { code: "NotFound", isAudited: true };
const secondsOf = (seconds: bigint, nanos = 0): Body => ({ seconds, nanos });
const huge = (1n << 64n) - 1n;

const idRows = (rpc: string): RpcRow[] => [
  one(rpc, "connection_id", "nothing", {}, invalid(/UUID|must be set/)),
  one(rpc, "connection_id", "U+0000", { connectionId: "\0" }, invalid(/U\+0000/)),
  one(rpc, "connection_id", "longer than a key", { connectionId: letters(4000) }, invalid(/UUID/)),
  one(rpc, "connection_id", "an escape sequence", { connectionId: "\u001b[2J" }, invalid(/UUID/)),
  one(rpc, "connection_id", "an unknown one", { connectionId: unknownId }, notFound),
];

const get = "TokenService/GetToken";
const watch = "TokenService/WatchTokens";
const audit = "AuditService/ListAuditEvents";
const verify = "AuditService/VerifyAuditLog";

const minTtl = (name: string, duration: Body, says: RegExp): RpcRow =>
  one(get, "min_ttl", name, { connectionId: unknownId, minTtl: duration }, invalid(says));

const watchRows: readonly RpcRow[] = [
  one(watch, "connection_ids", "no UUID", { connectionIds: ["x"] }, invalid(/UUID/, "connection_ids[0]")),
  one(watch, "connection_ids", "one twice", { connectionIds: [unknownId, unknownId] }, invalid(/unique/)),
  one(
    watch,
    "connection_ids",
    "1001",
    { connectionIds: Array.from({ length: 1001 }, (_, i) => `s${i}`) },
    invalid(/1000/),
  ),
  one(watch, "connection_ids", "an unknown one", { connectionIds: [unknownId] }, notFound, "removed"),
  one(watch, "user_id", "257 characters", { userId: letters(257) }, invalid(/256/)),
  one(watch, "user_id", "an escape sequence", { userId: "\u001b[2J" }, invalid(/control characters/)),
  one(watch, "position.epoch", "65 characters", { position: { epoch: letters(65) } }, invalid(/64/)),
  one(watch, "position.epoch", "U+0000", { position: { epoch: "\0" } }, invalid(/U\+0000/)),
  one(
    watch,
    "position.epoch",
    "another store's",
    { connectionIds: [unknownId], position: { epoch: "x", revision: 1n } },
    notFound,
    "reset",
  ),
  one(
    watch,
    "position.revision",
    "2^64-1",
    { connectionIds: [unknownId], position: { epoch: "x", revision: huge } },
    notFound,
    "reset",
  ),
  one(
    watch,
    "position.revision",
    "from the future",
    ({ epoch }) => ({ connectionIds: [unknownId], position: { epoch, revision: huge } }),
    notFound,
    "reset",
  ),
  one(watch, "bookmark_interval", "negative", { bookmarkInterval: secondsOf(-1n) }, invalid(/5s/)),
  one(watch, "bookmark_interval", "too short", { bookmarkInterval: secondsOf(0n, 1) }, invalid(/5s/)),
  one(watch, "bookmark_interval", "too long", { bookmarkInterval: secondsOf(121n) }, invalid(/120s/)),
  one(
    watch,
    "bookmark_interval",
    "2^63-1",
    { bookmarkInterval: secondsOf((1n << 63n) - 1n) },
    invalid(/10000 years/),
  ),
];

const auditRows: readonly RpcRow[] = [
  one(audit, "page_size", "negative", { pageSize: -1 }, invalid(/0/)),
  one(audit, "page_size", "1001", { pageSize: 1001 }, invalid(/1000/)),
  one(audit, "page_token", "513 characters", { pageToken: letters(513) }, invalid(/512/)),
  one(
    audit,
    "page_token",
    "another list's",
    ({ pageTokens }) => ({ pageToken: pageTokens.connections }),
    invalid(/of this list/),
  ),
  ...["0", "-1", "1e3", "9".repeat(20), "18446744073709551616", "__proto__"].map((key) =>
    one(
      audit,
      "page_token",
      `a forged one for ${key}`,
      { pageToken: Buffer.from(`audit/${key}`).toString("base64url") },
      invalid(/next_page_token/),
    ),
  ),
  one(audit, "event_type", "65 characters", { eventType: letters(65) }, invalid(/64/)),
  one(audit, "event_type", "U+0000", { eventType: "\0" }, invalid(/U\+0000/)),
  one(audit, "connection_id", "no UUID", { connectionId: "x" }, invalid(/UUID/)),
  one(audit, "since", "2^62 seconds", { since: secondsOf(1n << 62n) }, invalid(/year 1 to 9999/)),
  one(audit, "since", "before year 1", { since: secondsOf(-62_135_596_801n) }, invalid(/year 1 to 9999/)),
  one(audit, "since", "negative nanos", { since: secondsOf(0n, -1) }, invalid(/year 1 to 9999/)),
  one(
    verify,
    "checkpoint_sequence",
    "alone",
    { checkpointSequence: huge },
    invalid(/and a hash/, "checkpoint_hash"),
  ),
  one(
    verify,
    "checkpoint_hash",
    "alone",
    { checkpointHash: "0".repeat(64) },
    invalid(/and a hash/, "checkpoint_sequence"),
  ),
  one(
    verify,
    "checkpoint_hash",
    "no hexadecimal",
    { checkpointSequence: 1n, checkpointHash: "x" },
    invalid(/64 hexadecimal/),
  ),
  one(
    verify,
    "checkpoint_hash",
    "a line end after it",
    { checkpointSequence: 1n, checkpointHash: `${"0".repeat(64)}\n` },
    invalid(/64 hexadecimal/),
  ),
];

const legacyRequest = "NexusService/RequestConnection";
const nexusRows: readonly RpcRow[] = [
  one(legacyRequest, "user_id", "nothing", { providerName: "oauth2" }, invalid(/required/)),
  one(
    legacyRequest,
    "require_confirmation",
    "nowhere to send the code",
    { userId: "a", providerName: "oauth2", requireConfirmation: true },
    invalid(/completion code/, "return_url"),
  ),
  one(
    legacyRequest,
    "user_id",
    "a line end",
    { userId: "a\nb", providerName: "oauth2" },
    invalid(/control characters/),
  ),
  one(legacyRequest, "provider_id", "no UUID", { userId: "a", providerId: "../x" }, invalid(/UUID/)),
  one(legacyRequest, "provider_name", "129", { userId: "a", providerName: letters(129) }, invalid(/128/)),
  one(legacyRequest, "provider_name", "U+0000", { userId: "a", providerName: "a\0" }, invalid(/U\+0000/)),
  one(
    legacyRequest,
    "scopes",
    "two in one",
    { userId: "a", providerName: "oauth2", scopes: ["a b"] },
    invalid(/RFC 6749 section 3.3/, "scopes[0]"),
  ),
  one(
    legacyRequest,
    "return_url",
    "elsewhere",
    { userId: "a", providerName: "oauth2", returnUrl: "https://evil.example" },
    invalid(/not among/),
  ),
  one(
    legacyRequest,
    "action",
    "U+0000",
    { userId: "a", providerName: "oauth2", action: "\0" },
    invalid(/U\+0000/),
  ),
  ...["CheckConnection", "GetToken", "RefreshConnection"].flatMap((rpc) => idRows(`NexusService/${rpc}`)),
];

export const tokenRows: readonly RpcRow[] = [
  ...idRows(get),
  minTtl("negative", secondsOf(-1n), /0s/),
  minTtl("a day and a second", secondsOf(86_401n), /86400s/),
  minTtl("2^63-1 seconds", secondsOf((1n << 63n) - 1n), /10000 years/),
  minTtl("nanos of another sign", secondsOf(1n, -1), /10000 years/),
  minTtl("too many nanos", secondsOf(0n, 1_000_000_000), /10000 years/),
  ...idRows("TokenService/RefreshToken"),
  ...watchRows,
  ...auditRows,
  ...nexusRows,
];
