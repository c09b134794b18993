import type { Extension } from "../../cli/shell/shell.js";
import { providersCommand } from "./commands/providers.js";

/** Providers as a file: `nexusd providers plan`, `apply` and `export`, and `nexusd serve --providers`. */
export const manifest: Extension = {
  name: "manifest",
  commands: [
    {
      group: "Operate the daemon",
      name: "providers",
      summary: "manage providers with a file",
      examples: {
        plan: "-f nexus-providers.yaml --detailed-exitcode",
        apply: "-f nexus-providers.yaml --yes",
        export: "-f nexus-providers.yaml",
      },
      make: providersCommand,
    },
  ],
  keepProfiles: async (...given) => (await import("./registry_target.js")).keepProfiles(...given),
  open: async ({ options: { config, clock, log }, domain, templates, environment: variables }) => {
    const { providersFile: path } = config;
    if (path === undefined) return undefined;
    const { ManifestReloader } = await import("./manifest_reloader.js");
    const { registry, discoveryTrial: trial } = domain;
    return new ManifestReloader({ path, registry, trial, variables, templates, clock, log });
  },
};
