import type { Extension } from "../../cli/shell/shell.js";

/** A copy of what a hub shows, beside an agent: what `NEXUS_UPSTREAM` makes of a daemon. */
export const spoke: Extension = {
  name: "spoke",
  join: async (options) => {
    if (options.config.upstream === undefined) return undefined;
    const { Spoke } = await import("./spoke.js");
    return { hub: (resources) => new Spoke(options, resources) };
  },
};
