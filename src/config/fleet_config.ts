import { formatListenAddress, type ListenAddress } from "../model/listen_address.js";
import { Secret } from "../runtime/secret.js";
import type { SettingReader } from "./setting_reader.js";
import type { SettingName } from "./settings.js";

/** The URL of the PostgreSQL, which may hold a password, or the file that holds it. */
export type StoreAddress = { readonly url: Secret } | { readonly file: string };

/** How the daemon is one of several. */
export interface FleetConfig {
  readonly store: StoreAddress;
  readonly listen: ListenAddress;
  /** What the other hubs dial: `host:port`. */
  readonly address: string;
  readonly leaseMs: number;
  readonly maxStaleMs: number;
}

/** Undefined where none is set. Errors are noted in `reader`. */
export function readStoreAddress(reader: SettingReader): StoreAddress | undefined {
  const name = reader.oneOf("NEXUS_STORE", "NEXUS_STORE_FILE");
  if (name === undefined) return undefined;
  const text = reader.get(name) ?? "";
  return name === "NEXUS_STORE" ? { url: new Secret(text) } : { file: text };
}

/** Undefined for a daemon that is alone. Errors are noted in `reader`. */
export function readFleetConfig(reader: SettingReader): FleetConfig | undefined {
  const store = readStoreAddress(reader);
  if (store === undefined) {
    reader.needs("NEXUS_STORE", ["NEXUS_FLEET_LISTEN", "NEXUS_FLEET_ADDRESS"]);
    return undefined;
  }
  const listen = readListen(reader);
  const address = listen && readAddress(reader, listen);
  if (listen === undefined || address === undefined) return undefined;
  return Object.freeze({
    store,
    listen,
    address,
    leaseMs: reader.get("NEXUS_FLEET_LEASE_SECONDS") * 1_000,
    maxStaleMs: reader.get("NEXUS_MAX_STALE_SECONDS") * 1_000,
  });
}

function readListen(reader: SettingReader): (ListenAddress & { kind: "tcp" }) | undefined {
  const addresses = reader.get("NEXUS_FLEET_LISTEN");
  const [first, ...others] = addresses ?? [];
  if (first === undefined) {
    reader.needs("NEXUS_FLEET_LISTEN", ["NEXUS_STORE", "NEXUS_STORE_FILE"]);
    return undefined;
  }
  if (first.kind === "tcp" && others.length === 0) return first;
  reader.refuse("NEXUS_FLEET_LISTEN", "must be one host:port", formatListenAddress(first));
  return undefined;
}

/** A wildcard, or a port that the system chooses, is nothing to dial. */
function readAddress(reader: SettingReader, listen: ListenAddress & { kind: "tcp" }): string | undefined {
  const given = reader.get("NEXUS_FLEET_ADDRESS");
  if (given !== undefined) return given;
  if (!["0.0.0.0", "::"].includes(listen.host) && listen.port !== 0) return formatListenAddress(listen);
  reader.refuse(
    "NEXUS_FLEET_ADDRESS",
    "is needed where NEXUS_FLEET_LISTEN is no address that other hubs can dial",
  );
  return undefined;
}

/** How the daemon is the spoke of others. */
export interface UpstreamConfig {
  /** Origins of the hubs; at least one. */
  readonly urls: readonly string[];
  /** Absolute, as the next ones. */
  readonly caFile: string | undefined;
  /** With its key, or none of both. */
  readonly certFile: string | undefined;
  readonly keyFile: string | undefined;
  readonly tokenFile: string | undefined;
}

const beside = [
  "NEXUS_UPSTREAM_CA_FILE",
  "NEXUS_UPSTREAM_CERT_FILE",
  "NEXUS_UPSTREAM_KEY_FILE",
  "NEXUS_UPSTREAM_TOKEN_FILE",
] as const;

/** What makes connections, which a spoke has none of. */
const foreign = ["NEXUS_STORE", "NEXUS_STORE_FILE", "NEXUS_PROVIDERS_FILE"] as const satisfies SettingName[];

/** Undefined for a daemon with connections of its own. Errors are noted in `reader`. */
export function readUpstreamConfig(reader: SettingReader): UpstreamConfig | undefined {
  const urls = reader.get("NEXUS_UPSTREAM");
  if (urls === undefined) {
    reader.needs("NEXUS_UPSTREAM", beside);
    return undefined;
  }
  for (const name of foreign) {
    if (reader.isSet(name))
      reader.refuse(name, `is not for a spoke, which ${reader.spell("NEXUS_UPSTREAM")} makes of the daemon`);
  }
  const certFile = reader.get("NEXUS_UPSTREAM_CERT_FILE");
  const keyFile = reader.get("NEXUS_UPSTREAM_KEY_FILE");
  const tokenFile = reader.get("NEXUS_UPSTREAM_TOKEN_FILE");
  if (certFile === undefined) reader.needs("NEXUS_UPSTREAM_CERT_FILE", ["NEXUS_UPSTREAM_KEY_FILE"]);
  else if (keyFile === undefined) reader.needs("NEXUS_UPSTREAM_KEY_FILE", ["NEXUS_UPSTREAM_CERT_FILE"]);
  if (certFile === undefined && keyFile === undefined && tokenFile === undefined)
    reader.refuse(
      "NEXUS_UPSTREAM",
      "the hubs must know who this spoke is: set NEXUS_UPSTREAM_TOKEN_FILE, or NEXUS_UPSTREAM_CERT_FILE and NEXUS_UPSTREAM_KEY_FILE",
    );
  return Object.freeze({ urls, caFile: reader.get("NEXUS_UPSTREAM_CA_FILE"), certFile, keyFile, tokenFile });
}
