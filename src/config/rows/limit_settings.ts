import { defaultLimits as limits } from "../../model/limits.js";
import { count, countOrOff, type SettingRow } from "../kinds/setting_kinds.js";

/** A whole number, by default that of `model/limits.ts`. */
function limit(key: keyof typeof limits, unit: string, min: number, max: number, meaning: string) {
  return { kind: count(unit, min, max), default: `${limits[key]}`, meaning };
}

/** What bounds a caller; `model/limits.ts` says why each default is what it is. */
export const limitSettings = {
  NEXUS_MAX_MESSAGE_BYTES: limit(
    "maxMessageBytes",
    "bytes",
    65_536,
    67_108_864,
    "Longest message of an RPC.",
  ),
  NEXUS_MAX_HEADER_BYTES: limit(
    "maxHeaderBytes",
    "bytes",
    4_096,
    65_536,
    "All headers of a request together, at every listener.",
  ),
  NEXUS_MAX_BODY_BYTES: limit("maxBodyBytes", "bytes", 65_536, 67_108_864, "Longest body of a REST request."),
  NEXUS_MAX_FORM_BYTES: limit(
    "maxFormBytes",
    "bytes",
    4_096,
    1_048_576,
    "Longest form that a browser posts.",
  ),
  NEXUS_MAX_CONNECTIONS: limit(
    "maxConnections",
    "count",
    1,
    1_000_000,
    "Open sockets at each listening address.",
  ),
  NEXUS_IDLE_TIMEOUT_SECONDS: {
    kind: countOrOff("seconds", 10, 86_400),
    default: "3600",
    meaning: "After how long an HTTP/2 connection without a call is closed.",
  },
  NEXUS_MAX_STREAMS_PER_CONNECTION: limit(
    "maxStreamsPerConnection",
    "count",
    1,
    100_000,
    "Calls at a time on one HTTP/2 connection; further ones wait in the client.",
  ),
  NEXUS_MAX_STREAMS: limit(
    "maxStreams",
    "count",
    1,
    1_000_000,
    "Watch streams open at a time, and calls of AcquireToken with `wait`, in all. Callers without a credential share a fiftieth.",
  ),
  NEXUS_MAX_STREAMS_PER_PRINCIPAL: limit(
    "maxStreamsPerPrincipal",
    "count",
    1,
    1_000_000,
    "Watch streams open at a time, and calls of AcquireToken with `wait`, of one principal.",
  ),
  NEXUS_STREAM_READ_TIMEOUT_SECONDS: {
    kind: count("seconds", 1, 3_600),
    default: "60",
    meaning: "After how long a stream is reset whose client does not read what was sent.",
  },
  NEXUS_RATE_LIMIT: {
    kind: countOrOff("calls", 1, 1_000_000),
    default: "50000",
    meaning: "Calls per second of one principal, on average.",
  },
  NEXUS_RATE_BURST: {
    kind: count("calls", 1, 1_000_000),
    unset: "the value of NEXUS_RATE_LIMIT",
    meaning: "Calls that one principal may make at once, above that average.",
  },
  NEXUS_BROWSER_RATE_LIMIT: {
    kind: countOrOff("requests", 1, 100_000),
    default: "200",
    meaning:
      "Requests per second of one address at the browser listener, with bursts of ten times that. A proxy is one address.",
  },
  NEXUS_MAX_FAILED_AUTHENTICATIONS_PER_MINUTE: {
    kind: countOrOff("count", 1, 1_000_000),
    default: "600",
    meaning: "Calls of one address without a valid credential.",
  },
  NEXUS_MAX_PENDING_AUTHORIZATIONS: limit(
    "maxPendingAuthorizations",
    "count",
    1,
    10_000_000,
    "Requests for consent of one principal that wait for a person.",
  ),
  NEXUS_MAX_CONNECTIONS_PER_USER: limit(
    "maxConnectionsPerUser",
    "count",
    1,
    10_000_000,
    "Connections stored for one user id, in any state.",
  ),
  NEXUS_MAX_REJECTIONS_PER_HOUR: limit(
    "maxRejectionsPerHour",
    "count",
    1,
    3_600,
    "Reports of refused tokens (`ReportRejectedToken`) of one connection that are acted on within an hour, together with refreshes of a token that needs none yet (`RefreshToken`, `RefreshConnection`). Late reports do not count.",
  ),
} as const satisfies Readonly<Record<string, SettingRow>>;
