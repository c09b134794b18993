import { defaultLimits, type Limits, type Rate } from "../model/limits.js";
import type { SettingReader } from "./setting_reader.js";
import type { SettingName } from "./settings.js";

/** Reads what bounds callers; errors are noted in `reader`. */
export function readLimits(reader: SettingReader): Limits {
  const count = (name: SettingName, fallback: number, min: number, max: number): number =>
    readCount(reader, name, { fallback, min, max });
  const limits = defaultLimits;
  const idle = readUnlessOff(reader, "NEXUS_IDLE_TIMEOUT_SECONDS", 3_600, 10, 86_400);
  const browser = readUnlessOff(reader, "NEXUS_BROWSER_RATE_LIMIT", 200, 1, 100_000);
  const failed = readUnlessOff(reader, "NEXUS_MAX_FAILED_AUTHENTICATIONS_PER_MINUTE", 600, 1, 1_000_000);
  return Object.freeze({
    maxMessageBytes: count("NEXUS_MAX_MESSAGE_BYTES", limits.maxMessageBytes, 65_536, 67_108_864),
    maxHeaderBytes: count("NEXUS_MAX_HEADER_BYTES", limits.maxHeaderBytes, 4_096, 65_536),
    maxBodyBytes: count("NEXUS_MAX_BODY_BYTES", limits.maxBodyBytes, 65_536, 67_108_864),
    maxFormBytes: count("NEXUS_MAX_FORM_BYTES", limits.maxFormBytes, 4_096, 1_048_576),
    maxConnections: count("NEXUS_MAX_CONNECTIONS", limits.maxConnections, 1, 1_000_000),
    idleTimeoutMs: idle === undefined ? undefined : idle * 1_000,
    maxStreamsPerConnection: count(
      "NEXUS_MAX_STREAMS_PER_CONNECTION",
      limits.maxStreamsPerConnection,
      1,
      100_000,
    ),
    maxStreams: count("NEXUS_MAX_STREAMS", limits.maxStreams, 1, 1_000_000),
    maxStreamsPerPrincipal: count(
      "NEXUS_MAX_STREAMS_PER_PRINCIPAL",
      limits.maxStreamsPerPrincipal,
      1,
      1_000_000,
    ),
    streamReadTimeoutMs:
      1_000 * count("NEXUS_STREAM_READ_TIMEOUT_SECONDS", limits.streamReadTimeoutMs / 1_000, 1, 3_600),
    rate: readRate(reader),
    browserRate: browser === undefined ? undefined : { perSecond: browser, burst: browser * 10 },
    failedAuthenticationRate: failed === undefined ? undefined : { perSecond: failed / 60, burst: failed },
    maxPendingAuthorizations: count(
      "NEXUS_MAX_PENDING_AUTHORIZATIONS",
      limits.maxPendingAuthorizations,
      1,
      10_000_000,
    ),
    maxConnectionsPerUser: count(
      "NEXUS_MAX_CONNECTIONS_PER_USER",
      limits.maxConnectionsPerUser,
      1,
      10_000_000,
    ),
  });
}

function readRate(reader: SettingReader): Rate | undefined {
  const perSecond = readUnlessOff(
    reader,
    "NEXUS_RATE_LIMIT",
    defaultLimits.rate?.perSecond ?? 1,
    1,
    1_000_000,
  );
  const burst = readCount(reader, "NEXUS_RATE_BURST", { fallback: perSecond ?? 1, min: 1, max: 1_000_000 });
  return perSecond === undefined ? undefined : { perSecond, burst };
}

interface Range {
  readonly fallback: number;
  readonly min: number;
  readonly max: number;
}

function readUnlessOff(
  reader: SettingReader,
  name: SettingName,
  fallback: number,
  min: number,
  max: number,
): number | undefined {
  if (reader.read(name)?.toLowerCase() === "off") return undefined;
  return readCount(reader, name, { fallback, min, max }, ", or off");
}

/** A whole number within the range; an error is noted in `reader`. */
export function readCount(
  reader: SettingReader,
  name: SettingName,
  { fallback, min, max }: Range,
  orElse = "",
): number {
  const text = reader.read(name);
  if (text === undefined) return fallback;
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  reader.violation(name, text, `must be a whole number from ${min} to ${max}${orElse}`);
  return fallback;
}
