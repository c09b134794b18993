import type { Extension } from "../../core/registry.js";
import { fleetCommand } from "./commands/fleet.js";
import { fleetFields } from "./commands/fleet_text.js";
import { fleetSettings } from "./hub/fleet_settings.js";

const auditEvents = ["audit.entries_unreadable", "fleet.lead_given_back"] as const;

declare module "../../model/access/audit_event.js" {
  interface ExtensionAuditEvents extends Record<(typeof auditEvents)[number], true> {}
}

/** Hubs that share one store in PostgreSQL: `nexusd fleet`, and what `NEXUS_STORE` makes of a daemon. */
export const fleet: Extension = {
  name: "fleet",
  auditEvents,
  settings: fleetSettings,
  commands: [
    {
      group: "Operate the daemon",
      name: "fleet",
      summary: "run several daemons with one store in PostgreSQL",
      examples: { status: "", init: "--from ~/nexus", migrate: "", restored: "", "step-down": "" },
      make: fleetCommand,
    },
  ],
  statusFields: (status) => (status.fleet ? fleetFields(status.fleet) : []),
  clocks: async (config) => {
    if (fleetSettings.of(config) === undefined) return undefined;
    const { hubClocks } = await import("./join_fleet.js");
    return hubClocks();
  },
  join: async (options, opening) => {
    const fleet = fleetSettings.of(options.config);
    if (fleet === undefined) return undefined;
    const { joinFleet } = await import("./join_fleet.js");
    return await joinFleet(fleet, options, opening);
  },
};
