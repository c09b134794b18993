import {
  ExtensionSettings,
  path,
  type SettingGroups,
  type SettingKind,
  type SettingReader,
} from "../../config/config.js";
import { isLoopbackHost } from "../../model/providers/providers.js";

/** Of one spoke: those of a fleet. */
const maxUrls = 16;

/** Origins of hubs; at least one. */
const upstreamUrls: SettingKind<readonly string[]> = {
  argument: "urls",
  parse: (value, note) => {
    const items = value.split(",").map((item) => item.trim());
    if (items.length > maxUrls) note(`must name at most ${maxUrls} hubs`);
    return Object.freeze([
      ...new Set(
        items.flatMap((item) => {
          const violation = violationOf(item);
          if (violation === undefined) return [new URL(item).origin];
          note(violation, item);
          return [];
        }),
      ),
    ]);
  },
};

function violationOf(text: string): string | undefined {
  const limit = "must be https://host:port without a path (http on loopback)";
  if (!URL.canParse(text)) return limit;
  const { protocol, hostname, username, password, pathname, search, hash } = new URL(text);
  if (username !== "" || password !== "") return "must not hold a user name or password";
  const isBare = pathname === "/" && search === "" && hash === "";
  const isSafe = protocol === "https:" || (protocol === "http:" && isLoopbackHost(hostname));
  return isBare && isSafe ? undefined : limit;
}

const groups = {
  Spoke: {
    NEXUS_UPSTREAM: {
      kind: upstreamUrls,
      meaning:
        "Makes this daemon a spoke of a daemon or fleet: https URLs of its grpc or http listeners (http on loopback), comma-separated. See docs/fleet.md.",
    },
    NEXUS_UPSTREAM_CA_FILE: {
      kind: path("file"),
      unset: "the CAs of Node",
      meaning:
        "PEM: CAs that verify the hubs' certificates. The three files are read for each new connection.",
    },
    NEXUS_UPSTREAM_CERT_FILE: {
      kind: path("file"),
      meaning: "PEM: certificate that identifies this spoke.",
    },
    NEXUS_UPSTREAM_KEY_FILE: {
      kind: path("file"),
      meaning: "PEM: private key of that certificate.",
    },
    NEXUS_UPSTREAM_TOKEN_FILE: {
      kind: path("file"),
      meaning: "JWT or API key that identifies this spoke. Read for each call.",
    },
  },
} as const satisfies SettingGroups;

/** Undefined for a daemon with connections of its own. */
export const upstreamSettings = new ExtensionSettings(groups, readUpstreamConfig, { store: "copy" });

/** How the daemon is the spoke of others. */
export type UpstreamConfig = NonNullable<ReturnType<typeof readUpstreamConfig>>;

/** What makes connections, which a spoke has none of. */
const foreign = ["NEXUS_STORE", "NEXUS_STORE_FILE", "NEXUS_PROVIDERS_FILE"];

function readUpstreamConfig(reader: SettingReader) {
  const get = reader.of<typeof groups>();
  const urls = get("NEXUS_UPSTREAM");
  if (urls === undefined) {
    reader.needs("NEXUS_UPSTREAM", Object.keys(groups.Spoke));
    return undefined;
  }
  for (const name of foreign) {
    if (reader.isSet(name))
      reader.refuse(name, `is not for a spoke, which ${reader.spell("NEXUS_UPSTREAM")} makes of the daemon`);
  }
  const certFile = get("NEXUS_UPSTREAM_CERT_FILE");
  const keyFile = get("NEXUS_UPSTREAM_KEY_FILE");
  const tokenFile = get("NEXUS_UPSTREAM_TOKEN_FILE");
  if (certFile === undefined) reader.needs("NEXUS_UPSTREAM_CERT_FILE", ["NEXUS_UPSTREAM_KEY_FILE"]);
  else if (keyFile === undefined) reader.needs("NEXUS_UPSTREAM_KEY_FILE", ["NEXUS_UPSTREAM_CERT_FILE"]);
  if (certFile === undefined && keyFile === undefined && tokenFile === undefined)
    reader.refuse(
      "NEXUS_UPSTREAM",
      "the hubs must know who this spoke is: set NEXUS_UPSTREAM_TOKEN_FILE, or NEXUS_UPSTREAM_CERT_FILE and NEXUS_UPSTREAM_KEY_FILE",
    );
  return Object.freeze({ urls, caFile: get("NEXUS_UPSTREAM_CA_FILE"), certFile, keyFile, tokenFile });
}
