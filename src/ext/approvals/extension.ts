import type { Extension } from "../../core/registry.js";
import { approvalsCommand } from "./approvals_command.js";
import { approvalsSettings } from "./approvals_settings.js";
import { approverTable } from "./approver_table.js";
import { approversCommand } from "./approvers_command.js";
import { grantCommand, grantsCommand, revokeCommand } from "./grants.js";
import { stopCommand } from "./stop_command.js";

const auditEvents = [
  "approval.given",
  "approval.refused",
  "approval.expired",
  "plan.asked",
  "plan.approved",
  "plan.denied",
  "plan.used",
  "plan.ended",
  "approver.added",
  "approver.removed",
  "principal.stopped",
  "principal.stop_lifted",
] as const;

declare module "../../model/access/audit_event.js" {
  interface ExtensionAuditEvents extends Record<(typeof auditEvents)[number], true> {}
}

/** Requests that wait for a person's approval (`nexusd approvals`), and access of agents for a limited time (`nexusd grant`). */
export const approvals: Extension = {
  name: "approvals",
  auditEvents,
  settings: approvalsSettings,
  tables: [approverTable],
  commands: [
    {
      group: "Operate the daemon",
      name: "approvals",
      summary: "list requests and plans that wait, and decide them",
      examples: {
        list: "",
        approve: "5f0c1a2e8d3b4a76 --for session",
        deny: "5f0c1a2e8d3b4a76",
        request: "--plan plan.yaml",
      },
      make: approvalsCommand,
    },
    {
      group: "Control access",
      name: "approvers",
      summary: "manage who approves requests with a passkey",
      examples: { add: "ada", list: "", remove: "ada" },
      make: approversCommand,
    },
    {
      group: "Control access",
      name: "grant",
      summary: "let an agent use providers for a limited time",
      examples: "claude github slack --until 18:00 --read-only",
      make: grantCommand,
    },
    {
      group: "Control access",
      name: "grants",
      summary: "list active grants",
      examples: "",
      make: grantsCommand,
    },
    {
      group: "Control access",
      name: "revoke",
      summary: "end an agent's grants for a provider",
      examples: "claude github",
      make: revokeCommand,
    },
    {
      group: "Control access",
      name: "stop",
      summary: "end all access of an agent at once",
      examples: "claude",
      make: stopCommand,
    },
  ],
  open: async (core, registry) => {
    const { store, access, changes, clock, log, config, approvalUrl } = core;
    const { control } = access;
    const [
      { Approvals },
      { Plans },
      { Stops },
      { approvalService, messageOf, planMessageOf },
      { PasskeyPages },
    ] = await Promise.all([
      import("./approvals.js"),
      import("./plans.js"),
      import("./stops.js"),
      import("./approval_service.js"),
      import("./open_passkeys.js"),
    ]);
    const passkeys = new PasskeyPages(core, approvalsSettings.of(config).needsPasskey);
    const urlOf = (link: string) => passkeys.urlOf(link) ?? approvalUrl(link);
    const shared = { store, access: control, changes, clock, log, urlOf };
    const plans = new Plans({ ...shared, names: access.names });
    const held = new Approvals({ ...shared, plans });
    const stops = new Stops({ store, access: control, changes, clock });
    registry.rpc(approvalService(held, plans, stops, passkeys));
    registry.approver((request) => held.ask(request));
    registry.part(plans);
    registry.part(held);
    await passkeys.register(core, registry, { approvals: held, plans, messageOf, planMessageOf });
  },
};
