import { join } from "node:path";
import envPaths from "env-paths";
import type { KeySource } from "../model/credentials/key_source.js";
import { defaultLimits, type Limits, type Rate } from "../model/limits.js";
import type { ListenAddress } from "../model/listen_address.js";
import type { ProviderNetworks } from "../outbound/address_judge.js";
import { AuthorityFiles } from "../outbound/certificate_authorities.js";
import type { WebProxySettings } from "../outbound/web_proxy.js";
import { socketPathViolation } from "./kinds/address_kinds.js";
import type { SettingGroups } from "./kinds/setting_kinds.js";
import { listenSetting, readListenersConfig } from "./listeners_config.js";
import type { ListenerRow } from "./rows/listener_settings.js";
import { SettingReader } from "./setting_reader.js";
import { allListeners, allSettings, type SettingFlags } from "./settings.js";

export { addresses, origin, webUrlViolation } from "./kinds/address_kinds.js";
export { keyCommand } from "./kinds/key_kinds.js";
export {
  age,
  count,
  itemsOf,
  path,
  type SettingGroups,
  type SettingKind,
  text,
  toggle,
} from "./kinds/setting_kinds.js";
export { ConfigError, SettingReader } from "./setting_reader.js";
export { allSettings, commandGroup, defaultOf, type Setting, type SettingFlags } from "./settings.js";
export { readVersion } from "./version.js";

/** What the daemon runs with, checked and frozen; the table in `settings.ts` says the meaning and the default of each. Paths are absolute. */
export type Config = ReturnType<typeof loadConfig>;

/** The daemon shares its store with others, or has a copy of what another daemon shows it. */
type ForeignStore = "shared" | "copy";

/** The settings of an extension. */
export class ExtensionSettings<Value = unknown> {
  readonly store: ForeignStore | undefined;
  readonly listener: ListenerRow | undefined;

  /**
   * @param read notes errors in the reader, and touches no file
   * @param store what becomes of the daemon's store where `read` finds its settings
   * @param listener that the extension makes; among the groups is the setting of its addresses
   */
  constructor(
    readonly groups: SettingGroups,
    readonly read: (reader: SettingReader) => Value,
    { store, listener }: { readonly store?: ForeignStore; readonly listener?: ListenerRow } = {},
  ) {
    this.store = store;
    this.listener = listener;
  }

  of({ extensions }: { readonly extensions: ReadonlyMap<ExtensionSettings, unknown> }): Value {
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
  flags: SettingFlags,
  platform: { readonly isTTY: boolean },
  extensions: readonly { readonly settings?: ExtensionSettings }[] = [],
) {
  const reader = new SettingReader(env, flags, allSettings(extensions));
  const dataDir = readDataDir(reader);
  const parts = extensions.flatMap(({ settings = [] }) => settings);
  const found = new Map(parts.map((part) => [part, part.read(reader)]));
  const store = parts.find((part) => part.store && found.get(part) !== undefined)?.store ?? "own";
  const rows = allListeners(extensions);
  const addresses = {
    grpc: grpcAddresses(reader, dataDir),
    http: reader.get("NEXUS_HTTP_LISTEN"),
    // Consents happen at the hub that is copied.
    browser: store === "copy" ? [] : reader.get("NEXUS_BROWSER_LISTEN"),
    ops: reader.get("NEXUS_OPS_LISTEN"),
    ...Object.fromEntries(parts.flatMap(({ listener }) => (listener ? [addressesOf(reader, listener)] : []))),
  };
  const publicUrl = reader.get("NEXUS_PUBLIC_URL");
  const config = {
    dataDir,
    encryptionKey: Object.freeze(readEncryptionKey(reader, dataDir)),
    grpcListen: addresses.grpc,
    httpListen: addresses.http,
    browserListen: addresses.browser,
    opsListen: addresses.ops,
    listeners: readListenersConfig(reader, rows, addresses),
    publicUrl,
    redirectUri: `${publicUrl}/auth/callback`,
    allowedReturnOrigins: reader.get("NEXUS_ALLOWED_RETURN_URLS"),
    consent: readConsent(reader),
    catalogFile: reader.get("NEXUS_CATALOG_FILE"),
    providersFile: reader.get("NEXUS_PROVIDERS_FILE"),
    providerNetworks: readProviderNetworks(reader),
    webProxies: readWebProxies(reader),
    clientAssertionFiles: Object.freeze(reader.get("NEXUS_CLIENT_ASSERTION_FILES")),
    clientKeyFiles: Object.freeze(reader.get("NEXUS_SIGNING_KEY_FILES")),
    authorityFiles: readAuthorityFiles(reader),
    logLevel: reader.get("NEXUS_LOG_LEVEL"),
    logFormat: reader.get("NEXUS_LOG_FORMAT") ?? (platform.isTTY ? "pretty" : "json"),
    audit: readAudit(reader),
    limits: readLimits(reader),
    access: Object.freeze({
      policyFile: reader.get("NEXUS_POLICY_FILE"),
      /** Undefined when it is `<dataDir>/admin.key`, which the first start makes. */
      adminKeyFile: reader.get("NEXUS_ADMIN_KEY_FILE"),
    }),
    /** A pod may leave a sidecar 2 s, the kubelet's shortest: the injector sets less than that. */
    drainTimeoutMs: reader.get("NEXUS_DRAIN_TIMEOUT_MS"),
    store,
    extensions: found,
  };
  reader.throwViolations();
  return Object.freeze(config);
}

/** Of a listener that an extension makes. */
function addressesOf(reader: SettingReader, { name }: ListenerRow): [string, readonly ListenAddress[]] {
  return [name, (reader.of<SettingGroups>()(listenSetting(name)) ?? []) as readonly ListenAddress[]];
}

function readConsent(reader: SettingReader) {
  return Object.freeze({
    requireConfirmation: reader.get("NEXUS_REQUIRE_CONFIRMATION"),
    refusesOtherAccounts: reader.get("NEXUS_OTHER_ACCOUNT") === "refuse",
    sharedRedirectUri: reader.get("NEXUS_SHARED_REDIRECT_URI"),
  });
}

function readProviderNetworks(reader: SettingReader): ProviderNetworks {
  const allowLoopback = reader.get("NEXUS_ALLOW_LOOPBACK_PROVIDERS");
  return Object.freeze({ allowLoopback, ...reader.get("NEXUS_ALLOWED_PRIVATE_NETWORKS") });
}

/** What profiles name as `api_ca_file`, in this process. */
export function readAuthorityFiles(reader: SettingReader): AuthorityFiles {
  return new AuthorityFiles(reader.get("NEXUS_API_CA_FILES"));
}

/** How requests leave this machine, of the daemon and of `nexusd run`. */
export function readWebProxies(reader: SettingReader): WebProxySettings {
  const [https, http] = [reader.get("HTTPS_PROXY"), reader.get("HTTP_PROXY")];
  return Object.freeze({ https, http, exceptions: reader.get("NO_PROXY") });
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

function readAudit(reader: SettingReader) {
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
