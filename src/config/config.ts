import { homedir } from "node:os";
import { join, resolve } from "node:path";
import envPaths from "env-paths";
import type { Limits } from "../model/limits.js";
import { formatListenAddress, type ListenAddress } from "../model/listen_address.js";
import type { ProviderNetworks } from "../outbound/provider_networks.js";
import { type AccessConfig, readAccess } from "./access_config.js";
import { type ConsentConfig, readConsent } from "./consent_config.js";
import { type ListenersConfig, readListenersConfig } from "./doors_config.js";
import { type JwtConfig, readJwtConfig } from "./jwt_config.js";
import { type EncryptionKeySource, readEncryptionKey } from "./keyring_config.js";
import { readCount, readLimits } from "./limits_config.js";
import { readProviderNetworks } from "./outbound_config.js";
import { type ProxyConfig, readProxy } from "./proxy_config.js";
import { SettingReader } from "./setting_reader.js";
import { originViolation, publicUrlViolation, readAddress } from "./setting_values.js";
import type { Flags } from "./settings.js";
import { readTracing, type TracingConfig } from "./tracing_config.js";

export const logLevels = ["trace", "debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof logLevels)[number];

export const logFormats = ["json", "pretty"] as const;
export type LogFormat = (typeof logFormats)[number];

/** What the daemon runs with, checked and frozen; `settings` says the name and the default of each. */
export interface Config {
  /** Absolute. */
  readonly dataDir: string;
  readonly encryptionKey: EncryptionKeySource;
  /** Empty when the listener is closed; so with the other listeners, except the browser's. */
  readonly grpcListen: readonly ListenAddress[];
  readonly httpListen: readonly ListenAddress[];
  /** At least one. */
  readonly browserListen: readonly ListenAddress[];
  readonly opsListen: readonly ListenAddress[];
  /** TLS, and who may come by which socket. */
  readonly listeners: ListenersConfig;
  /** Absent where callers show no JWT. */
  readonly jwt: JwtConfig | undefined;
  /** Origin and path prefix, without a slash at the end. */
  readonly publicUrl: string;
  /** `<publicUrl>/auth/callback`: what every redirect URI begins with. */
  readonly redirectUri: string;
  /** As `URL.origin` writes them. */
  readonly allowedReturnOrigins: readonly string[];
  readonly consent: ConsentConfig;
  /** Absolute. */
  readonly catalogFile: string | undefined;
  /** Absolute. */
  readonly providersFile: string | undefined;
  /** Where providers may stand. */
  readonly providerNetworks: ProviderNetworks;
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
  /** How much of the audit log is kept. */
  readonly audit: { readonly maxEvents: number; readonly maxAgeMs: number };
  /** What bounds callers. */
  readonly limits: Limits;
  readonly access: AccessConfig;
  /**
   * From the signal to the end, 100 to 300 000. 4 000 by default. A pod whose other containers have used its grace period up leaves a
   * sidecar 2 s (the kubelet's shortest): `deploy/kubernetes` sets less than that.
   */
  readonly drainTimeoutMs: number;
  readonly proxy: ProxyConfig;
  /** Absent where no traces are asked for. */
  readonly tracing: TracingConfig | undefined;
}

type ListenerSetting =
  | "NEXUS_GRPC_LISTEN"
  | "NEXUS_HTTP_LISTEN"
  | "NEXUS_BROWSER_LISTEN"
  | "NEXUS_OPS_LISTEN";

/**
 * Checks the settings of the daemon. No file is touched.
 *
 * @throws ConfigError with all errors
 */
export function loadConfig(
  env: NodeJS.ProcessEnv,
  flags: Flags,
  platform: { readonly isTTY: boolean },
): Config {
  const reader = new SettingReader(env, flags);
  const dataDir = readDataDir(reader);
  const encryptionKey = readEncryptionKey(reader, dataDir);
  const listeners = {
    NEXUS_GRPC_LISTEN: readListener(reader, "NEXUS_GRPC_LISTEN", `unix:${join(dataDir, "nexus.sock")}`),
    NEXUS_HTTP_LISTEN: readListener(reader, "NEXUS_HTTP_LISTEN", "127.0.0.1:8090"),
    NEXUS_BROWSER_LISTEN: readListener(reader, "NEXUS_BROWSER_LISTEN", "127.0.0.1:8080"),
    NEXUS_OPS_LISTEN: readListener(reader, "NEXUS_OPS_LISTEN", "127.0.0.1:9090"),
  };
  refuseSharedAddresses(reader, listeners);
  const listenersConfig = readListenersConfig(reader, listeners);
  const jwt = readJwtConfig(reader);
  const publicUrl = readPublicUrl(reader);
  const allowedReturnOrigins = readReturnOrigins(reader);
  const consent = readConsent(reader);
  const catalogFile = reader.read("NEXUS_CATALOG_FILE");
  const providersFile = reader.read("NEXUS_PROVIDERS_FILE");
  const providerNetworks = readProviderNetworks(reader);
  const logLevel = readWord(reader, "NEXUS_LOG_LEVEL", logLevels, "info");
  const logFormat = readWord(reader, "NEXUS_LOG_FORMAT", logFormats, platform.isTTY ? "pretty" : "json");
  const audit = Object.freeze({ maxEvents: readMaxEvents(reader), maxAgeMs: readMaxAge(reader) });
  const limits = readLimits(reader);
  const access = readAccess(reader);
  const proxy = readProxy(reader);
  const tracing = readTracing(reader);
  const drainTimeoutMs = readCount(reader, "NEXUS_DRAIN_TIMEOUT_MS", {
    fallback: 4_000,
    min: 100,
    max: 300_000,
  });
  reader.throwViolations();
  return Object.freeze({
    dataDir,
    encryptionKey: Object.freeze(encryptionKey),
    grpcListen: listeners.NEXUS_GRPC_LISTEN,
    httpListen: listeners.NEXUS_HTTP_LISTEN,
    browserListen: listeners.NEXUS_BROWSER_LISTEN,
    opsListen: listeners.NEXUS_OPS_LISTEN,
    listeners: listenersConfig,
    jwt,
    publicUrl,
    redirectUri: `${publicUrl}/auth/callback`,
    allowedReturnOrigins,
    consent,
    catalogFile: catalogFile === undefined ? undefined : resolve(catalogFile),
    providersFile: providersFile === undefined ? undefined : resolve(providersFile),
    providerNetworks,
    logLevel,
    logFormat,
    audit,
    limits,
    access,
    drainTimeoutMs,
    proxy,
    tracing,
  });
}

/** The data folder, absolute. A leading `~/` that no shell expanded means the home folder. */
export function readDataDir(reader: SettingReader): string {
  const text = reader.read("NEXUS_DATA_DIR") ?? envPaths("nexusd", { suffix: "" }).data;
  if (text.includes("\0")) reader.violation("NEXUS_DATA_DIR", text, "must not hold a NUL character");
  return resolve(text.startsWith("~/") ? join(homedir(), text.slice(2)) : text);
}

/** The addresses of a listener; none when it is closed by `off` or an empty value. Errors are noted in `reader`. */
export function readListener(
  reader: SettingReader,
  name: ListenerSetting,
  fallback: string,
): readonly ListenAddress[] {
  const text = reader.read(name, { keepEmpty: true }) ?? fallback;
  if (text === "" || text.toLowerCase() === "off") {
    if (name === "NEXUS_BROWSER_LISTEN") reader.violation(name, text, "this listener cannot be closed");
    return [];
  }
  const addresses: ListenAddress[] = [];
  for (const part of text.split(",").map((piece) => piece.trim())) {
    const address = readAddress(part);
    if (typeof address === "string") reader.violation(name, part, address);
    else addresses.push(address);
  }
  return Object.freeze(addresses);
}

/** Port 0 is another port each time and can stand more than once. */
function refuseSharedAddresses(
  reader: SettingReader,
  listeners: Readonly<Record<ListenerSetting, readonly ListenAddress[]>>,
): void {
  const taken = new Map<string, ListenerSetting>();
  for (const [name, addresses] of Object.entries(listeners) as [
    ListenerSetting,
    readonly ListenAddress[],
  ][]) {
    for (const address of addresses) {
      if (address.kind === "tcp" && address.port === 0) continue;
      const text = formatListenAddress(address);
      const first = taken.get(text);
      if (first === undefined) taken.set(text, name);
      else reader.violation(name, text, `the address is already taken by ${reader.spell(first)}`);
    }
  }
}

function readPublicUrl(reader: SettingReader): string {
  const text = reader.read("NEXUS_PUBLIC_URL") ?? "http://localhost:8080";
  const violation = publicUrlViolation(text);
  if (violation !== undefined) {
    // What stands before an @ may be a password.
    if (text.includes("@")) reader.violationOfSecret("NEXUS_PUBLIC_URL", violation);
    else reader.violation("NEXUS_PUBLIC_URL", text, violation);
    return "";
  }
  const url = new URL(text);
  return `${url.origin}${url.pathname}`.replace(/\/+$/, "");
}

function readReturnOrigins(reader: SettingReader): readonly string[] {
  const origins = new Set<string>();
  const parts = reader.read("NEXUS_ALLOWED_RETURN_URLS")?.split(",") ?? [];
  for (const part of parts.map((piece) => piece.trim()).filter((piece) => piece !== "")) {
    const violation = originViolation(part);
    if (violation === undefined) origins.add(new URL(part).origin);
    else if (part.includes("@")) reader.violationOfSecret("NEXUS_ALLOWED_RETURN_URLS", violation);
    else reader.violation("NEXUS_ALLOWED_RETURN_URLS", part, violation);
  }
  return Object.freeze([...origins]);
}

function readWord<Word extends string>(
  reader: SettingReader,
  name: "NEXUS_LOG_LEVEL" | "NEXUS_LOG_FORMAT",
  words: readonly Word[],
  fallback: Word,
): Word {
  const text = reader.read(name);
  if (text === undefined) return fallback;
  const word = words.find((candidate) => candidate === text.toLowerCase());
  if (word === undefined) reader.violation(name, text, `must be one of ${words.join(", ")}`);
  return word ?? fallback;
}

function readMaxEvents(reader: SettingReader): number {
  const text = reader.read("NEXUS_AUDIT_MAX_EVENTS") ?? "100000";
  const count = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (count < 100)
    reader.violation("NEXUS_AUDIT_MAX_EVENTS", text, "must be a whole number from 100 to 999999999");
  return count;
}

function readMaxAge(reader: SettingReader): number {
  const text = reader.read("NEXUS_AUDIT_MAX_AGE") ?? "365d";
  const hourMs = 3_600_000;
  const [, digits, unit] = /^(\d{1,5})([hd])$/.exec(text) ?? [];
  const ageMs = Number(digits ?? 0) * (unit === "d" ? 24 * hourMs : hourMs);
  if (ageMs < hourMs)
    reader.violation("NEXUS_AUDIT_MAX_AGE", text, "must be days or hours, as 365d or 12h, at least 1h");
  return ageMs;
}
