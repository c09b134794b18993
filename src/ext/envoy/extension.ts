import type { Extension } from "../../cli/shell/shell.js";

/** Credentials that a proxy adds: Envoy's secret discovery and external authorization, and forward auth over HTTP. */
export const envoy: Extension = {
  name: "envoy",
  open: async (core) => {
    if (!core.options.config.proxy.isServed) return undefined;
    const { openEnvoy } = await import("./open_envoy.js");
    return openEnvoy(core);
  },
};
