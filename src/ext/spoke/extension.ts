import type { Extension } from "../../core/registry.js";
import { spokeFields } from "./status_fields.js";
import { upstreamSettings } from "./upstream_settings.js";

/** A copy of what a hub shows, beside an agent: what `NEXUS_UPSTREAM` makes of a daemon. */
export const spoke: Extension = {
  name: "spoke",
  settings: upstreamSettings,
  statusFields: (status) => (status.spoke ? spokeFields(status.spoke) : []),
  join: async (options) => {
    const upstream = upstreamSettings.of(options.config);
    if (upstream === undefined) return undefined;
    const { Spoke } = await import("./spoke.js");
    return { member: (opened) => new Spoke({ ...options, upstream }, opened) };
  },
};
