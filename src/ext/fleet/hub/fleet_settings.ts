import {
  addresses,
  allSettings,
  count,
  ExtensionSettings,
  path,
  readDataDir,
  readEncryptionKey,
  type SettingFlags,
  type SettingGroups,
  SettingReader,
  text,
} from "../../../config/config.js";
import { formatListenAddress, type ListenAddress } from "../../../model/model.js";
import { Secret } from "../../../runtime/runtime.js";

/** The URL of the PostgreSQL, which may hold a password, or the file that holds it. */
export type StoreAddress = { readonly url: Secret } | { readonly file: string };

const groups = {
  Fleet: {
    NEXUS_STORE: {
      kind: {
        ...text("url", (value) =>
          /^postgres(ql)?:\/\//.test(value) ? undefined : "must be a URL that begins with postgres://",
        ),
        isHidden: true,
      },
      flag: false,
      unset: "the data folder",
      meaning:
        "A fleet's PostgreSQL: a URL with sslmode=verify-full, except over a Unix socket. The daemon is then a hub. See docs/fleet.md.",
    },
    NEXUS_STORE_FILE: {
      kind: path("file"),
      meaning: "File with that URL. Other users must not be able to read it.",
    },
    NEXUS_FLEET_LISTEN: {
      kind: addresses({ canClose: false }),
      meaning:
        "Address for other hubs, which must prove that they hold a key of the ring. Required with NEXUS_STORE.",
    },
    NEXUS_FLEET_ADDRESS: {
      kind: text("host:port", (value) =>
        /^([^\s:/[\]]+|\[[0-9a-fA-F:.]+\]):\d{1,5}$/.test(value)
          ? undefined
          : "must be host:port or [IPv6]:port",
      ),
      unset: "NEXUS_FLEET_LISTEN, if it is one host",
      meaning: "Address at which other hubs reach this one.",
    },
    NEXUS_FLEET_LEASE_SECONDS: {
      kind: count("seconds", 3, 60),
      default: "10",
      meaning: "If the leader is silent for this long, another hub takes over. The same at all hubs.",
    },
    NEXUS_MAX_STALE_SECONDS: {
      kind: count("seconds", 10, 86_400),
      default: "600",
      meaning:
        "How long a hub without PostgreSQL stays ready. Meanwhile it serves valid tokens, but learns of no revocation.",
    },
  },
} as const satisfies SettingGroups;
type FleetGroups = typeof groups;

/** Undefined for a daemon that is alone. */
export const fleetSettings = new ExtensionSettings(groups, readFleetConfig, { store: "shared" });

/** How the daemon is one of several; others dial `address`. */
export type FleetConfig = NonNullable<ReturnType<typeof readFleetConfig>>;

/** What a command needs that makes or changes the store of a fleet; no daemon runs for it. */
export type FleetStoreConfig = ReturnType<typeof loadFleetStoreConfig>;

/** @throws ConfigError with all errors */
export function loadFleetStoreConfig(env: NodeJS.ProcessEnv, flags: SettingFlags) {
  const reader = new SettingReader(env, flags, allSettings([{ settings: fleetSettings }]));
  const dataDir = readDataDir(reader);
  const store = readStoreAddress(reader);
  if (store === undefined) reader.refuse("NEXUS_STORE", "is needed: the URL of the fleet's PostgreSQL");
  const encryptionKey = readEncryptionKey(reader, dataDir);
  reader.throwViolations();
  if (store === undefined) throw new Error("a setting that is missing is an error");
  return Object.freeze({ store, dataDir, encryptionKey });
}

/** Undefined where none is set. Errors are noted in `reader`. */
function readStoreAddress(reader: SettingReader): StoreAddress | undefined {
  const name = reader.oneOf("NEXUS_STORE", "NEXUS_STORE_FILE");
  if (name === undefined) return undefined;
  const text = reader.of<FleetGroups>()(name) ?? "";
  return name === "NEXUS_STORE" ? { url: new Secret(text) } : { file: text };
}

function readFleetConfig(reader: SettingReader) {
  const get = reader.of<FleetGroups>();
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
    leaseMs: get("NEXUS_FLEET_LEASE_SECONDS") * 1_000,
    maxStaleMs: get("NEXUS_MAX_STALE_SECONDS") * 1_000,
  });
}

function readListen(reader: SettingReader): (ListenAddress & { kind: "tcp" }) | undefined {
  const [first, ...others] = reader.of<FleetGroups>()("NEXUS_FLEET_LISTEN") ?? [];
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
  const given = reader.of<FleetGroups>()("NEXUS_FLEET_ADDRESS");
  if (given !== undefined) return given;
  if (!["0.0.0.0", "::"].includes(listen.host) && listen.port !== 0) return formatListenAddress(listen);
  reader.refuse(
    "NEXUS_FLEET_ADDRESS",
    "is needed where NEXUS_FLEET_LISTEN is no address that other hubs can dial",
  );
  return undefined;
}
