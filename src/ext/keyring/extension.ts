import type { Extension } from "../../core/registry.js";
import { keyringCommand } from "./keyring_command.js";

const auditEvents = [
  "keyring.key_added",
  "keyring.rotation_started",
  "keyring.rotation_finished",
  "keyring.key_retired",
] as const;

declare module "../../model/access/audit_event.js" {
  interface ExtensionAuditEvents extends Record<(typeof auditEvents)[number], true> {}
}

/** New keys for the store, the rotation to them, and `nexusd keyring`. */
export const keyring: Extension = {
  name: "keyring",
  auditEvents,
  commands: [
    {
      group: "Operate the daemon",
      name: "keyring",
      summary: "add, rotate, and retire the keys that encrypt the store",
      examples: {
        status: "--reload",
        add: "",
        rotate: "--to 0123456789abcdef",
        retire: "0123456789abcdef --yes",
      },
      make: keyringCommand,
    },
  ],
  open: async (core, registry) => (await import("./keyring_service.js")).openKeyring(core, registry),
};
