import type { Extension } from "../../core/registry.js";
import { manifestCommand } from "./commands/manifest_command.js";

/** Providers as a file: `nexusd manifest plan`, `apply` and `export`, and `nexusd serve --providers`. */
export const manifest: Extension = {
  name: "manifest",
  commands: [
    {
      group: "Operate the daemon",
      name: "manifest",
      summary: "keep providers in a file: plan, apply, and export",
      examples: {
        plan: "-f nexus-providers.yaml --detailed-exitcode",
        apply: "-f nexus-providers.yaml --yes",
        export: "-f nexus-providers.yaml",
      },
      make: manifestCommand,
    },
  ],
  keepProfiles: async (...given) => (await import("./registry_target.js")).keepProfiles(...given),
  open: async ({ config, profiles, templates, environment: variables, clock, log }, added) => {
    const { providersFile: path } = config;
    if (path === undefined) return;
    const { ManifestReloader } = await import("./manifest_reloader.js");
    const { registry, trial } = profiles;
    added.part(new ManifestReloader({ path, registry, trial, variables, templates, clock, log }));
  },
};
