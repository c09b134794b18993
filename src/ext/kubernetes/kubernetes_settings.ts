import {
  ExtensionSettings,
  itemsOf,
  path,
  type SettingGroups,
  type SettingKind,
  type SettingReader,
} from "../../config/config.js";

const namespaces: SettingKind<readonly string[]> = {
  argument: "namespace,...",
  parse: (value, note) => {
    const names = itemsOf(value);
    for (const name of names)
      if (!/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(name)) note("must be names of namespaces", name);
    return Object.freeze(names);
  },
};

const groups = {
  Kubernetes: {
    NEXUS_KUBERNETES_NAMESPACES: {
      kind: namespaces,
      default: "",
      meaning:
        "In a pod: namespaces whose Connection objects nexusd reconciles, comma-separated; Provider and AccessGrant objects only in its own.",
    },
    NEXUS_KUBERNETES_EXPORT_NAMESPACES: {
      kind: namespaces,
      default: "",
      meaning: "Those of them in which a Connection may export its access token to a Secret (exportTo).",
    },
    NEXUS_KUBERNETES_CREDENTIALS: {
      kind: path("folder"),
      unset: "that of the pod",
      meaning: "Folder of the pod's service account: token, ca.crt, and namespace.",
    },
  },
} as const satisfies SettingGroups;

/** Undefined where the settings name no namespaces. */
export const kubernetesSettings = new ExtensionSettings(groups, readKubernetes);

/** Objects of a cluster that the daemon keeps to. */
export type KubernetesConfig = NonNullable<ReturnType<typeof readKubernetes>>;

function readKubernetes(reader: SettingReader) {
  const get = reader.of<typeof groups>();
  const namespaces = get("NEXUS_KUBERNETES_NAMESPACES");
  if (namespaces.length === 0) return undefined;
  const exportNamespaces = get("NEXUS_KUBERNETES_EXPORT_NAMESPACES");
  return Object.freeze({ namespaces, exportNamespaces, credentials: get("NEXUS_KUBERNETES_CREDENTIALS") });
}
