import { addresses, path, type SettingGroups, type SettingReader, text } from "../../config/config.js";
import { parseNamePath } from "../../model/connections/connections.js";
import { isLocalAddress, type ListenAddress } from "../../model/model.js";

export const metadataGroups = {
  "Metadata for SDKs": {
    NEXUS_METADATA_LISTEN: {
      kind: addresses({ canClose: true }),
      default: "off",
      meaning:
        "Addresses where cloud SDKs get credentials, or off: AWS's as in a container, Google's as on a virtual machine.",
    },
    NEXUS_METADATA_GOOGLE: {
      kind: text("name", (value) =>
        parseNamePath(value.split("/"))
          ? undefined
          : "must be PROVIDER/USER or PROVIDER/USER/LABEL, such as google/ada",
      ),
      meaning:
        "Connection whose access token Google's SDKs get there. Every program that reaches the listener gets it. Needs NEXUS_METADATA_GOOGLE_KEY_FILE.",
    },
    NEXUS_METADATA_GOOGLE_KEY_FILE: {
      kind: path("file"),
      meaning: "API key as which their requests are judged and recorded. Read at each request.",
    },
  },
} as const satisfies SettingGroups;

export type MetadataSettings = ReturnType<typeof readMetadata>;

export function readMetadata(reader: SettingReader) {
  const get = reader.of<typeof metadataGroups>();
  const listen = get("NEXUS_METADATA_LISTEN");
  const name = parseNamePath((get("NEXUS_METADATA_GOOGLE") ?? "").split("/"));
  const keyFile = get("NEXUS_METADATA_GOOGLE_KEY_FILE");
  if (name && keyFile === undefined)
    reader.needs("NEXUS_METADATA_GOOGLE_KEY_FILE", ["NEXUS_METADATA_GOOGLE"]);
  if (!name) reader.needs("NEXUS_METADATA_GOOGLE", ["NEXUS_METADATA_GOOGLE_KEY_FILE"]);
  if (listen.length === 0) reader.needs("NEXUS_METADATA_LISTEN", ["NEXUS_METADATA_GOOGLE"]);
  if (name && listen.some((address) => !isNear(address)))
    reader.refuse(
      "NEXUS_METADATA_LISTEN",
      "must be loopback or link-local addresses (127.0.0.1, 169.254.169.254) beside NEXUS_METADATA_GOOGLE: whoever reaches them gets the token",
    );
  return Object.freeze({
    listen,
    google: name && keyFile !== undefined ? Object.freeze({ name, keyFile }) : undefined,
  });
}

/** No other machine beyond the link reaches it. */
function isNear(address: ListenAddress): boolean {
  return isLocalAddress(address) || (address.kind === "tcp" && /^(169\.254\.|fe80:)/i.test(address.host));
}
