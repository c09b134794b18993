import type { Extension } from "../../core/registry.js";
import { egressSettings } from "./proxy/egress_settings.js";
import { runCommand } from "./run.js";
import { sessionsCommand } from "./sessions/sessions_command.js";

const auditEvents = ["egress_used"] as const;

declare module "../../model/access/audit_event.js" {
  interface ExtensionAuditEvents extends Record<(typeof auditEvents)[number], true> {}
}

/** `nexusd run`: a program calls APIs, and the credentials are put in on the way. */
export const egress: Extension = {
  name: "egress",
  auditEvents,
  settings: egressSettings,
  open: async (core, registry) => {
    const { access, clock, config } = core;
    const [{ egressService }, listed = () => []] = await Promise.all([
      import("./sessions/egress_service.js"),
      egressSettings.of(config).listen.length > 0
        ? import("./listener/open_listener.js").then(({ openListener }) => openListener(core, registry))
        : undefined,
    ]);
    registry.rpc(egressService(listed, (name) => access.rules.labelsOf(name), clock));
  },
  commands: [
    {
      group: "Use a credential",
      name: "run",
      summary: "run a program, and add credentials to its API requests",
      examples: "--read-only -- curl https://api.github.com/user",
      make: runCommand,
    },
    {
      group: "Operate the daemon",
      name: "sessions",
      summary: "show who runs programs that call APIs, and what they sent",
      examples: "",
      make: sessionsCommand,
    },
  ],
};
