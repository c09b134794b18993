import { path, type SettingGroups } from "../kinds/setting_kinds.js";
import { upstreamUrls } from "../kinds/upstream_kind.js";

/** A daemon that holds a copy of what another one gives it. */
export const spokeSettings = {
  Spoke: {
    NEXUS_UPSTREAM: {
      kind: upstreamUrls,
      unset: "the daemon has connections of its own",
      meaning:
        "The hubs of this spoke: a comma list of https URLs of listeners for calls (http on loopback), of one daemon or of the hubs of one fleet. The daemon then has no connections of its own: it serves what its identity may see there, from a copy, and has a hub do the rest. docs/fleet.md says more.",
    },
    NEXUS_UPSTREAM_CA_FILE: {
      kind: path("file"),
      unset: "the CAs of Node",
      meaning:
        "PEM: the CAs that the certificates of the hubs are verified by. Read again when a connection is made.",
    },
    NEXUS_UPSTREAM_CERT_FILE: {
      kind: path("file"),
      meaning:
        "PEM: the certificate that says who this spoke is. Read again when a connection is made; so is its key.",
    },
    NEXUS_UPSTREAM_KEY_FILE: {
      kind: path("file"),
      meaning: "PEM: the private key of that certificate.",
    },
    NEXUS_UPSTREAM_TOKEN_FILE: {
      kind: path("file"),
      meaning:
        "A file with the JWT or the API key that says who this spoke is, for example a projected service-account token. Read again for each call.",
    },
  },
} as const satisfies SettingGroups;
