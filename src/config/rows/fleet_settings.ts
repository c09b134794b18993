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
        "The URL of the PostgreSQL, 14 or newer, that holds the store of a fleet, as libpq reads it; with sslmode=verify-full, unless it is behind a Unix socket. The daemon is then a hub, whose data folder is a copy. docs/fleet.md says how to begin.",
    },
    NEXUS_STORE_FILE: {
      kind: path("file"),
      meaning:
        "The file that holds the URL, in place of NEXUS_STORE: other users must not be able to read it.",
    },
    NEXUS_FLEET_LISTEN: {
      kind: addresses({ canClose: false }),
      meaning:
        "The listener for the other hubs, host:port. A client must prove that it holds a key of the ring. Needed beside NEXUS_STORE.",
    },
    NEXUS_FLEET_ADDRESS: {
      kind: text("host:port", (value) =>
        /^([^\s:/[\]]+|\[[0-9a-fA-F:.]+\]):\d{1,5}$/.test(value)
          ? undefined
          : "must be host:port or [IPv6]:port",
      ),
      unset: "the address of NEXUS_FLEET_LISTEN, where that is one host",
      meaning: "How the other hubs reach NEXUS_FLEET_LISTEN of this one.",
    },
    NEXUS_FLEET_LEASE_SECONDS: {
      kind: count("seconds", 3, 60),
      default: "10",
      meaning:
        "After how long without a word from the hub that leads another one takes over. All hubs of a fleet have the same.",
    },
    NEXUS_MAX_STALE_SECONDS: {
      kind: count("seconds", 10, 86_400),
      default: "600",
      meaning:
        "How long a hub that cannot reach PostgreSQL stays ready. Meanwhile it serves valid tokens, and learns of no revocation.",
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
        "The namespaces whose Connection objects the daemon keeps, as a comma list; with it, Provider and AccessGrant objects of its own namespace too. It runs in a pod then. Without it, none.",
    },
    NEXUS_KUBERNETES_EXPORT_NAMESPACES: {
      kind: namespaces,
      default: "",
      meaning:
        "In which of these namespaces a Connection may have its access token written into a Secret (exportTo).",
    },
    NEXUS_KUBERNETES_CREDENTIALS: {
      kind: path("folder"),
      unset: "that of the pod",
      meaning: "The folder with the service account of the pod: token, ca.crt and namespace.",
    },
  },
} as const satisfies SettingGroups;
