import { join, resolve } from "node:path";
import { isLoopbackHost } from "../model/providers/provider_profile.js";
import { Secret } from "../runtime/secret.js";
import { readDataDir } from "./config.js";
import { socketPathViolation } from "./kinds/address_kinds.js";
import { readTls } from "./listeners_config.js";
import { ConfigError, SettingReader } from "./setting_reader.js";
import { allSettings, type SettingFlags } from "./settings.js";

type TcpClient = Extract<ClientConfig, { kind: "tcp" }>;

/** How the commands reach the daemon. */
export type ClientConfig =
  | { readonly kind: "unix"; readonly path: string }
  | {
      readonly kind: "tcp";
      /** `http://host:port` or `https://host:port`. */
      readonly url: string;
      /** Absent where a client certificate says who calls. */
      readonly apiKey:
        | { readonly source: "environment"; readonly key: Secret }
        | { readonly source: "file"; readonly path: string }
        | undefined;
      /** For `https`; PEM files, whose paths are absolute. */
      readonly tls: ReturnType<typeof readClientTls>;
    };

/**
 * Checks the settings of the commands that talk to the daemon. No file is touched.
 *
 * @throws ConfigError with all errors
 */
export function loadClientConfig(env: NodeJS.ProcessEnv, flags: SettingFlags): ClientConfig {
  const reader = new SettingReader(env, flags);
  const config = readClient(reader, readDataDir(reader));
  try {
    reader.throwViolations();
  } catch (error) {
    const isKeyAlone = error instanceof ConfigError && error.violations.length === 1;
    throw isKeyAlone && config?.kind === "keyless" ? new ApiKeyMissing(error.violations, config.url) : error;
  }
  if (config === undefined || config.kind === "keyless") {
    throw new Error("an unusable address was not noted as an error");
  }
  return config;
}

/** All that is wrong is that there is no key for the address. */
export class ApiKeyMissing extends ConfigError {
  /** @param url of the daemon: an origin */
  constructor(
    violations: readonly string[],
    readonly url: string,
  ) {
    super(violations);
  }
}

/** The ops listener, for the health check: `isTls` says whether its TCP addresses speak TLS. */
export type OpsListenerConfig = ReturnType<typeof loadOpsListener>;

/** @throws ConfigError */
export function loadOpsListener(
  env: NodeJS.ProcessEnv,
  flags: SettingFlags,
  extensions: Parameters<typeof allSettings>[0],
) {
  const reader = new SettingReader(env, flags, allSettings(extensions));
  const addresses = reader.get("NEXUS_OPS_LISTEN");
  const isTls = readTls(reader)?.listeners.includes("ops") === true;
  reader.throwViolations();
  return { addresses, isTls };
}

/** The client secret of a provider profile that is to be created; undefined when it is not set. */
export function loadClientSecret(env: NodeJS.ProcessEnv): Secret | undefined {
  const text = new SettingReader(env, {}).get("NEXUS_CLIENT_SECRET");
  return text === undefined ? undefined : new Secret(text);
}

/** Whether a key sent to `url` can be read by those on the way. */
export function isPlainRemote(url: string): boolean {
  const { protocol, hostname } = new URL(url);
  return protocol === "http:" && !isLoopbackHost(hostname);
}

type Keyless = { readonly kind: "keyless"; readonly url: string };

function readClient(reader: SettingReader, dataDir: string): ClientConfig | Keyless | undefined {
  const address = reader.get("NEXUS_ADDRESS") ?? `unix:${join(dataDir, "nexus.sock")}`;
  if (address.startsWith("unix:")) {
    const path = resolve(address.slice("unix:".length));
    const violation = address === "unix:" ? "the path is empty" : socketPathViolation(path);
    if (violation !== undefined) reader.refuse("NEXUS_ADDRESS", violation, address);
    return { kind: "unix", path };
  }
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (url?.protocol !== "http:" && url?.protocol !== "https:") {
    reader.refuse("NEXUS_ADDRESS", "must be unix:path, http://host:port or https://host:port", address);
    return undefined;
  }
  if (url.username !== "" || url.password !== "" || url.pathname !== "/" || /[?#]/.test(address)) {
    reader.refuse("NEXUS_ADDRESS", "must be an origin alone, such as http://127.0.0.1:8090");
  }
  const apiKey = readApiKey(reader);
  const tls = readClientTls(reader, url);
  if (apiKey === undefined && tls.certificate === undefined) {
    const path = resolve(dataDir, "admin.key");
    reader.refuse(
      "NEXUS_API_KEY_FILE",
      `is needed for ${url.origin}: a daemon here keeps its key in ${path}`,
    );
    return { kind: "keyless", url: url.origin };
  }
  return { kind: "tcp", url: url.origin, apiKey, tls };
}

function readApiKey(reader: SettingReader): TcpClient["apiKey"] {
  const name = reader.oneOf("NEXUS_API_KEY", "NEXUS_API_KEY_FILE");
  const value = name === undefined ? undefined : reader.get(name);
  if (value === undefined) return undefined;
  if (name === "NEXUS_API_KEY_FILE") return { source: "file", path: value };
  if (!/^[\x21-\x7e]+$/.test(value)) {
    reader.refuse("NEXUS_API_KEY", "holds characters that a header cannot carry");
  }
  return { source: "environment", key: new Secret(value) };
}

/** Settings that stand in the environment for other addresses do no harm: only `https` has a use for them. */
function readClientTls(reader: SettingReader, url: URL) {
  if (url.protocol !== "https:") return { caFile: undefined, certificate: undefined };
  const certFile = reader.get("NEXUS_CLIENT_CERT_FILE");
  const keyFile = reader.get("NEXUS_CLIENT_KEY_FILE");
  const pair = ["NEXUS_CLIENT_CERT_FILE", "NEXUS_CLIENT_KEY_FILE"] as const;
  if (certFile === undefined || keyFile === undefined)
    reader.needs(pair[certFile === undefined ? 0 : 1], pair);
  return {
    caFile: reader.get("NEXUS_CA_FILE"),
    certificate: certFile === undefined || keyFile === undefined ? undefined : { certFile, keyFile },
  };
}
