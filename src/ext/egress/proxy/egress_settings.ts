import {
  addresses,
  count,
  ExtensionSettings,
  path,
  type SettingGroups,
  type SettingKind,
  type SettingReader,
  text,
} from "../../../config/config.js";
import { canonicalHost } from "../../../outbound/outbound.js";

/** Where requests may go that are for no provider; a name may begin with `*.`. */
export type EgressNetwork = "open" | "providers" | { readonly hosts: readonly string[] };

export const egressNetwork: SettingKind<EgressNetwork> = {
  argument: "where",
  parse: (value, note) => {
    if (value === "open" || value === "providers") return value;
    const hosts = value.split(",").map((name) => name.trim().toLowerCase());
    if (hosts.some((name) => canonicalHost(name.replace(/^\*\./, "")) === undefined))
      note("must be open, providers, or hosts as pypi.org,*.npmjs.org");
    return Object.freeze({ hosts: Object.freeze(hosts) });
  },
};

/** The proxy that puts credentials into requests, for callers beyond this machine; `nexusd run` needs none of them. */
const groups = {
  Egress: {
    NEXUS_EGRESS_LISTEN: {
      kind: addresses({ canClose: true }),
      default: "off",
      meaning:
        "Addresses of the egress listener, an HTTP proxy that adds credentials, or off. Callers need an API key, a JWT, or a client certificate.",
    },
    NEXUS_EGRESS_NETWORK: {
      kind: egressNetwork,
      default: "providers",
      meaning:
        "Other hosts that its callers may reach: providers (none), open (all public hosts), or names such as pypi.org,*.npmjs.org.",
    },
    NEXUS_EGRESS_USER: {
      kind: text("user"),
      unset: "the user in the proxy URL, or the one that the caller is restricted to",
      meaning: "User for its callers that name none.",
    },
    NEXUS_EGRESS_MAX_CONNECTIONS: {
      kind: count("count", 1, 1_000_000),
      default: "1000",
      meaning: "Open connections of one principal, tunnels included. Each may take a second one to an API.",
    },
    NEXUS_EGRESS_CA_CERT_FILE: {
      kind: path("file"),
      unset: "created on first start; the certificate is <data-dir>/egress-ca.pem",
      meaning:
        "PEM: CA that issues its certificates. Callers must trust it. Daemons behind one address need the same one.",
    },
    NEXUS_EGRESS_CA_KEY_FILE: {
      kind: path("file"),
      meaning: "PEM: private key of that CA, P-256 in PKCS #8, without a passphrase.",
    },
  },
} as const satisfies SettingGroups;

export const egressSettings = new ExtensionSettings(groups, readEgress, {
  listener: { name: "egress", usesTls: true, isForCallers: true },
});

/** Without an `authority` the daemon makes one of its own. */
function readEgress(reader: SettingReader) {
  const get = reader.of<typeof groups>();
  const certFile = get("NEXUS_EGRESS_CA_CERT_FILE");
  const keyFile = get("NEXUS_EGRESS_CA_KEY_FILE");
  const isWhole = certFile !== undefined && keyFile !== undefined;
  if (!isWhole) {
    const missing = certFile === undefined ? "NEXUS_EGRESS_CA_CERT_FILE" : "NEXUS_EGRESS_CA_KEY_FILE";
    reader.needs(missing, ["NEXUS_EGRESS_CA_CERT_FILE", "NEXUS_EGRESS_CA_KEY_FILE"]);
  }
  return Object.freeze({
    listen: get("NEXUS_EGRESS_LISTEN"),
    network: get("NEXUS_EGRESS_NETWORK"),
    user: get("NEXUS_EGRESS_USER"),
    maxConnectionsPerPrincipal: get("NEXUS_EGRESS_MAX_CONNECTIONS"),
    authority: isWhole ? Object.freeze({ certFile, keyFile }) : undefined,
  });
}
