import { canonicalHost } from "../../outbound/address_judge.js";
import { addresses } from "../kinds/address_kinds.js";
import { type Kind, path, type SettingGroups, text } from "../kinds/setting_kinds.js";

/** Where requests may go that are for no provider; a name may begin with `*.`. */
export type EgressNetwork = "open" | "providers" | { readonly hosts: readonly string[] };

export const egressNetwork: Kind<EgressNetwork> = {
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
export const egressSettings = {
  Egress: {
    NEXUS_EGRESS_LISTEN: {
      kind: addresses({ canClose: true }),
      default: "off",
      meaning:
        "The egress listener: an HTTP proxy that adds credentials to requests to the APIs of providers. Callers need an API key, a JWT, or a client certificate. off closes it.",
    },
    NEXUS_EGRESS_NETWORK: {
      kind: egressNetwork,
      default: "providers",
      meaning:
        "Which other hosts the egress listener leads to: providers (none), open (all that are public), or a comma list of names as pypi.org,*.npmjs.org.",
    },
    NEXUS_EGRESS_USER: {
      kind: text("user"),
      unset: "the user name of the proxy's URL, or the one user that the caller is restricted to",
      meaning: "Whose connections callers of the egress listener use that name no user.",
    },
    NEXUS_EGRESS_CA_CERT_FILE: {
      kind: path("file"),
      unset:
        "an authority of this daemon, made on first start, whose certificate is <data-dir>/egress-ca.pem",
      meaning:
        "PEM: the certificate of the authority that issues the certificates of the egress listener. Callers must trust it. Daemons behind one address need the same.",
    },
    NEXUS_EGRESS_CA_KEY_FILE: {
      kind: path("file"),
      meaning: "PEM: its private key, P-256 in PKCS #8, without a passphrase.",
    },
  },
} as const satisfies SettingGroups;
