import type { SettingReader } from "./setting_reader.js";
import type { SettingName } from "./settings.js";

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
