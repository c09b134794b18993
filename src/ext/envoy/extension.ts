import type { Extension } from "../../cli/kit.js";
import { proxySettings } from "./proxy_settings.js";

/** Credentials that a proxy adds: Envoy's secret discovery and external authorization, and forward auth over HTTP. */
export const envoy: Extension = {
  name: "envoy",
  settings: proxySettings,
  open: async (core) => {
    const settings = proxySettings.of(core.options.config);
    if (settings === undefined) return undefined;
    const { openEnvoy } = await import("./open_envoy.js");
    return openEnvoy(core, settings.secretPrefix);
  },
};
