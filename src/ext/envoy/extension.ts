import type { Extension } from "../../core/registry.js";
import { proxySettings } from "./proxy_settings.js";

/** Credentials that a proxy adds: Envoy's secret discovery and external authorization, and forward auth over HTTP. */
export const envoy: Extension = {
  name: "envoy",
  settings: proxySettings,
  open: async (core, registry) => {
    const settings = proxySettings.of(core.config);
    if (settings === undefined) return;
    const { openEnvoy } = await import("./open_envoy.js");
    openEnvoy(core, registry, settings.secretPrefix);
  },
};
