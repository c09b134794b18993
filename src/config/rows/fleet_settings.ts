import { addresses } from "../kinds/address_kinds.js";
import { count, itemsOf, type Kind, path, type SettingGroups, text } from "../kinds/setting_kinds.js";

/** Daemons that share one store. */
export const fleetSettings = {
  Fleet: {
    NEXUS_STORE: {
      kind: {
        ...text("url", (value) =>
          /^postgres(ql)?:\/\//.test(value) ? undefined : "must be a URL that begins with postgres://",
        ),
        isHidden: true,
      },
      flag: false,
      unset: "the data folder alone holds the store",
      meaning:
        "The URL of a fleet's PostgreSQL (14 or newer), as for libpq; with sslmode=verify-full, except over a Unix socket. The daemon is then a hub, and its data folder is a copy. See docs/fleet.md.",
    },
    NEXUS_STORE_FILE: {
      kind: path("file"),
      meaning: "A file with the URL, instead of NEXUS_STORE. Other users must not be able to read it.",
    },
    NEXUS_FLEET_LISTEN: {
      kind: addresses({ canClose: false }),
      meaning:
        "The addresses for other hubs, host:port. A client must prove that it holds a key of the ring. Required with NEXUS_STORE.",
    },
    NEXUS_FLEET_ADDRESS: {
      kind: text("host:port", (value) =>
        /^([^\s:/[\]]+|\[[0-9a-fA-F:.]+\]):\d{1,5}$/.test(value)
          ? undefined
          : "must be host:port or [IPv6]:port",
      ),
      unset: "the address of NEXUS_FLEET_LISTEN, where that is one host",
      meaning: "The address at which other hubs reach this hub's NEXUS_FLEET_LISTEN.",
    },
    NEXUS_FLEET_LEASE_SECONDS: {
      kind: count("seconds", 3, 60),
      default: "10",
      meaning:
        "If the leader is silent for this long, another hub takes over. Use the same value at all hubs of a fleet.",
    },
    NEXUS_MAX_STALE_SECONDS: {
      kind: count("seconds", 10, 86_400),
      default: "600",
      meaning:
        "How long a hub that cannot reach PostgreSQL stays ready. It serves valid tokens meanwhile, but does not learn of revocations.",
    },
  },
} as const satisfies SettingGroups;

const namespaces: Kind<readonly string[]> = {
  argument: "namespace,...",
  parse: (value, note) => {
    const names = itemsOf(value);
    for (const name of names)
      if (!/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(name)) note("must be names of namespaces", name);
    return Object.freeze(names);
  },
};

/** Objects of a cluster that the daemon keeps to. */
export const kubernetesSettings = {
  Kubernetes: {
    NEXUS_KUBERNETES_NAMESPACES: {
      kind: namespaces,
      default: "",
      meaning:
        "The namespaces whose Connection objects nexusd reconciles, separated by commas, when it runs in a pod. It then also reconciles Provider and AccessGrant objects of its own namespace.",
    },
    NEXUS_KUBERNETES_EXPORT_NAMESPACES: {
      kind: namespaces,
      default: "",
      meaning:
        "Those of these namespaces in which a Connection may export its access token to a Secret (exportTo).",
    },
    NEXUS_KUBERNETES_CREDENTIALS: {
      kind: path("folder"),
      unset: "that of the pod",
      meaning: "The folder with the pod's service account: token, ca.crt, and namespace.",
    },
  },
} as const satisfies SettingGroups;
