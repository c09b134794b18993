import type { Extension } from "../../core/registry.js";
import { backupCommand } from "./backup_command.js";
import { restoreCommand } from "./restore_command.js";

const auditEvents = ["store.backed_up"] as const;

declare module "../../model/access/audit_event.js" {
  interface ExtensionAuditEvents extends Record<(typeof auditEvents)[number], true> {}
}

/** Copies of the store while it is in use, and `nexusd backup` and `restore`. */
export const backup: Extension = {
  name: "backup",
  auditEvents,
  commands: [
    {
      group: "Operate the daemon",
      name: "backup",
      summary: "copy the store of a running daemon into a file",
      examples: "nexus.backup",
      make: backupCommand,
    },
    {
      group: "Operate the daemon",
      name: "restore",
      summary: "restore a backup to a data folder",
      examples: "nexus.backup --data-dir ~/nexus",
      make: restoreCommand,
    },
  ],
  open: async (core, registry) => {
    const { openBackups } = await import("./backup_service.js");
    registry.rpc(openBackups(core));
  },
};
