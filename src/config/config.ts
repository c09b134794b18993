import { join } from "node:path";
import envPaths from "env-paths";
import type { KeySource } from "../model/credentials/key_source.js";
import { defaultLimits, type Limits, type Rate } from "../model/limits.js";
import type { ListenAddress } from "../model/listen_address.js";
import type { ProviderNetworks } from "../outbound/provider_networks.js";
import { socketPathViolation } from "./kinds/address_kinds.js";
import type { SettingGroups } from "./kinds/setting_kinds.js";
import { type ListenersConfig, readEgressConfig, readListenersConfig } from "./listeners_config.js";
import { SettingReader } from "./setting_reader.js";
import { allSettings, type Flags } from "./settings.js";

/** What the daemon runs with, checked and frozen; the table in `settings.ts` says the name and the default of each. */
export interface Config {
  /** Absolute. */
  readonly dataDir: string;
  readonly encryptionKey: KeySource;
  /** Empty when the listener is closed; so with the other listeners, except the browser's. */
  readonly grpcListen: readonly ListenAddress[];
  readonly httpListen: readonly ListenAddress[];
  /** At least one, but none at a spoke: consents happen at a hub. */
  readonly browserListen: readonly ListenAddress[];
  readonly opsListen: readonly ListenAddress[];
  readonly consoleListen: readonly ListenAddress[];
  /** An origin; undefined when it is that of the first TCP address. */
  readonly consoleUrl: string | undefined;
  readonly egress: ReturnType<typeof readEgressConfig>;
  /** TLS, and who may come by which socket. */
  readonly listeners: ListenersConfig;
  /** Origin and path prefix, without a slash at the end. */
  readonly publicUrl: string;
  /** `<publicUrl>/auth/callback`: what every redirect URI begins with. */
  readonly redirectUri: string;
  /** As `URL.origin` writes them. */
  readonly allowedReturnOrigins: readonly string[];
  readonly consent: {
    /** Every consent waits for `ConfirmConnection`, whatever its request says. */
    readonly requireConfirmation: boolean;
    /** Whether a connection stays as it was when another account consents than before. */
    readonly refusesOtherAccounts: boolean;
    /** New oauth2 profiles share the redirect URI of the existing Nexus. */
    readonly sharedRedirectUri: boolean;
  };
  /** Absolute. */
  readonly catalogFile: string | undefined;
  /** Absolute. */
  readonly providersFile: string | undefined;
  /** Absolute paths by the names that profiles have for them. */
  readonly clientAssertionFiles: Readonly<Record<string, string>>;
  /** Absolute paths by name. */
  readonly clientKeyFiles: Readonly<Record<string, string>>;
  /** Where providers may stand. */
  readonly providerNetworks: ProviderNetworks;
  readonly logLevel: "trace" | "debug" | "info" | "warn" | "error";
  readonly logFormat: "json" | "pretty";
  /** How much of the audit log is kept. */
  readonly audit: { readonly maxEvents: number; readonly maxAgeMs: number };
  /** What bounds callers. */
  readonly limits: Limits;
  readonly access: {
    /** Absolute; undefined when there is none. */
    readonly policyFile: string | undefined;
    /** The admin's API key; absolute. Undefined when it is `<dataDir>/admin.key`, which the first start makes. */
    readonly adminKeyFile: string | undefined;
  };
  /**
   * From the signal to the end, 100 to 300 000. 4 000 by default. A pod whose other containers have used its grace period up leaves a
   * sidecar 2 s (the kubelet's shortest): the injector sets less than that.
   */
  readonly drainTimeoutMs: number;
  /** Whether the daemon has a store of its own, shares one with others, or has a copy of what another daemon shows it. */
  readonly store: "own" | ForeignStore;
  /** What extensions read, each its own by `ExtensionSettings.of`. */
  readonly extensions: ReadonlyMap<ExtensionSettings, unknown>;
}

type ForeignStore = "shared" | "copy";

/** The settings of an extension. */
export class ExtensionSettings<Value = unknown> {
  /**
   * @param read notes errors in the reader, and touches no file
   * @param store what becomes of the daemon's store where `read` finds its settings
   */
  constructor(
    readonly groups: SettingGroups,
    readonly read: (reader: SettingReader) => Value,
    readonly store?: ForeignStore,
  ) {}

  of({ extensions }: Config): Value {
    return extensions.get(this) as Value;
  }
}

/**
 * Checks the settings of the daemon. No file is touched.
 *
 * @throws ConfigError with all errors
 */
export function loadConfig(
  env: NodeJS.ProcessEnv,
  flags: Flags,
  platform: { readonly isTTY: boolean },
  extensions: readonly { readonly settings?: ExtensionSettings }[] = [],
): Config {
  const reader = new SettingReader(env, flags, allSettings(extensions));
  const dataDir = readDataDir(reader);
  const parts = extensions.flatMap(({ settings = [] }) => settings);
  const found = new Map(parts.map((part) => [part, part.read(reader)]));
  const store = parts.find((part) => part.store && found.get(part) !== undefined)?.store ?? "own";
  const egress = readEgressConfig(reader);
  const addresses = {
    grpc: grpcAddresses(reader, dataDir),
    http: reader.get("NEXUS_HTTP_LISTEN"),
    browser: store === "copy" ? [] : reader.get("NEXUS_BROWSER_LISTEN"),
    ops: reader.get("NEXUS_OPS_LISTEN"),
    console: reader.get("NEXUS_CONSOLE_LISTEN"),
    egress: egress.listen,
  };
  const publicUrl = reader.get("NEXUS_PUBLIC_URL");
  const config: Config = {
    dataDir,
    encryptionKey: Object.freeze(readEncryptionKey(reader, dataDir)),
    grpcListen: addresses.grpc,
    httpListen: addresses.http,
    browserListen: addresses.browser,
    opsListen: addresses.ops,
    consoleListen: addresses.console,
    consoleUrl: reader.get("NEXUS_CONSOLE_URL"),
    egress,
    listeners: readListenersConfig(reader, addresses),
    publicUrl,
    redirectUri: `${publicUrl}/auth/callback`,
    allowedReturnOrigins: reader.get("NEXUS_ALLOWED_RETURN_URLS"),
    consent: readConsent(reader),
    catalogFile: reader.get("NEXUS_CATALOG_FILE"),
    providersFile: reader.get("NEXUS_PROVIDERS_FILE"),
    providerNetworks: Object.freeze({
      allowLoopback: reader.get("NEXUS_ALLOW_LOOPBACK_PROVIDERS"),
      ...reader.get("NEXUS_ALLOWED_PRIVATE_NETWORKS"),
    }),
    clientAssertionFiles: Object.freeze(reader.get("NEXUS_CLIENT_ASSERTION_FILES")),
    clientKeyFiles: Object.freeze(reader.get("NEXUS_SIGNING_KEY_FILES")),
    logLevel: reader.get("NEXUS_LOG_LEVEL"),
    logFormat: reader.get("NEXUS_LOG_FORMAT") ?? (platform.isTTY ? "pretty" : "json"),
    audit: readAudit(reader),
    limits: readLimits(reader),
    access: Object.freeze({
      policyFile: reader.get("NEXUS_POLICY_FILE"),
      adminKeyFile: reader.get("NEXUS_ADMIN_KEY_FILE"),
    }),
    drainTimeoutMs: reader.get("NEXUS_DRAIN_TIMEOUT_MS"),
    store,
    extensions: found,
  };
  reader.throwViolations();
  return Object.freeze(config);
}

function readConsent(reader: SettingReader): Config["consent"] {
  return Object.freeze({
    requireConfirmation: reader.get("NEXUS_REQUIRE_CONFIRMATION"),
    refusesOtherAccounts: reader.get("NEXUS_OTHER_ACCOUNT") === "refuse",
    sharedRedirectUri: reader.get("NEXUS_SHARED_REDIRECT_URI"),
  });
}

/** The data folder, absolute. Two daemons cannot share one. */
export function readDataDir(reader: SettingReader): string {
  const portBase = reader.get("NEXUS_PORT_BASE");
  const name = portBase === undefined ? "nexusd" : `nexusd-${portBase}`;
  return reader.get("NEXUS_DATA_DIR") ?? envPaths(name, { suffix: "" }).data;
}

/** An address of TCP stands beside the default socket, at which commands find the daemon; another socket takes its place. */
function grpcAddresses(reader: SettingReader, dataDir: string): readonly ListenAddress[] {
  const named = reader.get("NEXUS_GRPC_LISTEN");
  const path = join(dataDir, "nexus.sock");
  const violation = socketPathViolation(path);
  if (named === undefined && violation !== undefined) {
    reader.refuse("NEXUS_GRPC_LISTEN", violation, `unix:${path}`);
  }
  const isOwn = named?.length === 0 || named?.some(({ kind }) => kind === "unix");
  if (named && (isOwn || violation !== undefined)) return named;
  return Object.freeze([{ kind: "unix", path } as const, ...(named ?? [])]);
}

/** Where the encryption key comes from: one of three settings, or a file that the first start makes. */
export function readEncryptionKey(reader: SettingReader, dataDir: string): KeySource {
  const generated = { source: "generated", path: join(dataDir, "encryption.key") } as const;
  const name = reader.oneOf(
    "NEXUS_ENCRYPTION_KEY",
    "NEXUS_ENCRYPTION_KEY_FILE",
    "NEXUS_ENCRYPTION_KEY_COMMAND",
  );
  if (name === undefined) return generated;
  const value = reader.get(name);
  return typeof value === "string" ? { source: "file", path: value } : (value ?? generated);
}

function readAudit(reader: SettingReader): Config["audit"] {
  const maxEvents = reader.get("NEXUS_AUDIT_MAX_EVENTS");
  return Object.freeze({ maxEvents, maxAgeMs: reader.get("NEXUS_AUDIT_MAX_AGE") });
}

function readLimits(reader: SettingReader): Limits {
  const idleSeconds = reader.get("NEXUS_IDLE_TIMEOUT_SECONDS");
  const perSecond = reader.get("NEXUS_RATE_LIMIT");
  const failuresPerMinute = reader.get("NEXUS_MAX_FAILED_AUTHENTICATIONS_PER_MINUTE");
  return Object.freeze({
    ...defaultLimits,
    maxMessageBytes: reader.get("NEXUS_MAX_MESSAGE_BYTES"),
    maxHeaderBytes: reader.get("NEXUS_MAX_HEADER_BYTES"),
    maxBodyBytes: reader.get("NEXUS_MAX_BODY_BYTES"),
    maxFormBytes: reader.get("NEXUS_MAX_FORM_BYTES"),
    maxConnections: reader.get("NEXUS_MAX_CONNECTIONS"),
    idleTimeoutMs: idleSeconds === "off" ? undefined : idleSeconds * 1_000,
    maxStreamsPerConnection: reader.get("NEXUS_MAX_STREAMS_PER_CONNECTION"),
    maxStreams: reader.get("NEXUS_MAX_STREAMS"),
    maxStreamsPerPrincipal: reader.get("NEXUS_MAX_STREAMS_PER_PRINCIPAL"),
    streamReadTimeoutMs: reader.get("NEXUS_STREAM_READ_TIMEOUT_SECONDS") * 1_000,
    rate: rateOf(perSecond, reader.get("NEXUS_RATE_BURST")),
    browserRate: rateOf(reader.get("NEXUS_BROWSER_RATE_LIMIT"), undefined, 10),
    failedAuthenticationRate:
      failuresPerMinute === "off"
        ? undefined
        : { perSecond: failuresPerMinute / 60, burst: failuresPerMinute },
    maxPendingAuthorizations: reader.get("NEXUS_MAX_PENDING_AUTHORIZATIONS"),
    maxConnectionsPerUser: reader.get("NEXUS_MAX_CONNECTIONS_PER_USER"),
    maxRejectionsPerHour: reader.get("NEXUS_MAX_REJECTIONS_PER_HOUR"),
  });
}

/** By default a burst is `burstSeconds` of calls. */
function rateOf(perSecond: number | "off", burst: number | undefined, burstSeconds = 1): Rate | undefined {
  return perSecond === "off" ? undefined : { perSecond, burst: burst ?? perSecond * burstSeconds };
}
