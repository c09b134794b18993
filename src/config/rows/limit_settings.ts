import { defaultLimits as limits } from "../../model/limits.js";
import { count, countOrOff, type SettingRow } from "../kinds/setting_kinds.js";

/** A whole number, by default that of `model/limits.ts`. */
function limit(key: keyof typeof limits, unit: string, min: number, max: number, meaning: string) {
  return { kind: count(unit, min, max), default: `${limits[key]}`, meaning };
}

/** What bounds a caller; `model/limits.ts` says why each default is what it is. */
export const limitSettings = {
  NEXUS_MAX_MESSAGE_BYTES: limit("maxMessageBytes", "bytes", 65_536, 67_108_864, "Longest RPC message."),
  NEXUS_MAX_HEADER_BYTES: limit(
    "maxHeaderBytes",
    "bytes",
    4_096,
    65_536,
    "Total size of a request's headers, at every listener.",
  ),
  NEXUS_MAX_BODY_BYTES: limit("maxBodyBytes", "bytes", 65_536, 67_108_864, "Longest REST request body."),
  NEXUS_MAX_FORM_BYTES: limit(
    "maxFormBytes",
    "bytes",
    4_096,
    1_048_576,
    "Longest form that a browser may post.",
  ),
  NEXUS_MAX_CONNECTIONS: limit("maxConnections", "count", 1, 1_000_000, "Open sockets per address."),
  NEXUS_IDLE_TIMEOUT_SECONDS: {
    kind: countOrOff("seconds", 10, 86_400),
    default: "3600",
    meaning: "How long an HTTP/2 connection may stay open without a call.",
  },
  NEXUS_MAX_STREAMS_PER_CONNECTION: limit(
    "maxStreamsPerConnection",
    "count",
    1,
    100_000,
    "Concurrent calls per HTTP/2 connection; further calls wait in the client.",
  ),
  NEXUS_MAX_STREAMS: limit(
    "maxStreams",
    "count",
    1,
    1_000_000,
    "Concurrent watch streams and AcquireToken calls with `wait`. Callers without a credential share a fiftieth.",
  ),
  NEXUS_MAX_STREAMS_PER_PRINCIPAL: limit(
    "maxStreamsPerPrincipal",
    "count",
    1,
    1_000_000,
    "The same for one principal.",
  ),
  NEXUS_STREAM_READ_TIMEOUT_SECONDS: {
    kind: count("seconds", 1, 3_600),
    default: "60",
    meaning: "Reset a stream if its client does not read for this long.",
  },
  NEXUS_RATE_LIMIT: {
    kind: countOrOff("calls", 1, 1_000_000),
    default: "50000",
    meaning: "Average calls per second of one principal.",
  },
  NEXUS_RATE_BURST: {
    kind: count("calls", 1, 1_000_000),
    unset: "the value of NEXUS_RATE_LIMIT",
    meaning: "Calls at once, beyond that average.",
  },
  NEXUS_BROWSER_RATE_LIMIT: {
    kind: countOrOff("requests", 1, 100_000),
    default: "200",
    meaning:
      "Requests per second from one address at each listener for browsers; bursts of ten times that. All users of a proxy share one.",
  },
  NEXUS_MAX_FAILED_AUTHENTICATIONS_PER_MINUTE: {
    kind: countOrOff("count", 1, 1_000_000),
    default: "600",
    meaning: "Calls from one address without a valid credential.",
  },
  NEXUS_MAX_PENDING_AUTHORIZATIONS: limit(
    "maxPendingAuthorizations",
    "count",
    1,
    10_000_000,
    "Consent requests of one principal that wait for a user.",
  ),
  NEXUS_MAX_CONNECTIONS_PER_USER: limit(
    "maxConnectionsPerUser",
    "count",
    1,
    10_000_000,
    "Stored connections per user ID, in any state.",
  ),
  NEXUS_MAX_REJECTIONS_PER_HOUR: limit(
    "maxRejectionsPerHour",
    "count",
    1,
    3_600,
    "Refreshes of one connection by `ReportRejectedToken`, and by `RefreshToken` and `RefreshConnection` while the token is still good. Late reports do not count.",
  ),
} as const satisfies Readonly<Record<string, SettingRow>>;
