import { ExtensionSettings, type SettingGroups, text, toggle } from "../../config/config.js";

const groups = {
  Proxies: {
    NEXUS_PROXIES: {
      kind: toggle,
      default: "false",
      meaning:
        "Serve Envoy's external authorization and secret discovery, and GET /v1/authorize/ for nginx, Caddy, and Traefik. On a spoke, set it at the hub too.",
    },
    NEXUS_SDS_PREFIX: {
      kind: text("text", (value) =>
        /^[A-Za-z0-9._-]{1,64}(\/[A-Za-z0-9._-]{1,64}){0,3}$/.test(value)
          ? undefined
          : "must be letters, digits, dots, underscores and hyphens, in up to four parts with slashes between them",
      ),
      default: "nexus",
      meaning: "Prefix of Envoy's secret names: nexus/<connection id>/header.",
    },
  },
} as const satisfies SettingGroups;

/** What the names of the secrets of proxies begin with, without the slash after it; undefined where proxies are not served. */
export const proxySettings = new ExtensionSettings(groups, (reader) => {
  const get = reader.of<typeof groups>();
  const secretPrefix = get("NEXUS_SDS_PREFIX");
  return get("NEXUS_PROXIES") ? { secretPrefix } : undefined;
});
