import type { Extension } from "../../cli/shell/shell.js";
import { approvalsCommand } from "./approvals_command.js";
import { grantsCommand } from "./grants.js";

/** Requests that wait for a person's approval (`nexusd approvals`), and access of agents for a limited time (`nexusd grants`). */
export const approvals: Extension = {
  name: "approvals",
  commands: [
    {
      group: "Operate the daemon",
      name: "approvals",
      summary: "list requests that wait for approval, and decide them",
      examples: { list: "", approve: "5f0c1a2e8d3b4a76 --for session", deny: "5f0c1a2e8d3b4a76" },
      make: approvalsCommand,
    },
    {
      group: "Control access",
      name: "grants",
      summary: "let an agent use a provider for a limited time",
      examples: {
        list: "",
        create: "claude github --until 18:00 --read-only",
        revoke: "claude github",
        stop: "claude",
      },
      make: grantsCommand,
    },
  ],
  open: async ({ options: { clock }, resources: { store }, domain: { access, changes, rules } }) => {
    const [{ Approvals }, { approvalService }] = await Promise.all([
      import("./approvals.js"),
      import("./approval_service.js"),
    ]);
    const held = new Approvals({
      ...{ store, access, changes, clock },
      urlOf: (link) => rules.approvalUrl?.(link),
    });
    rules.askApprovers = (request) => held.ask(request);
    return { services: [approvalService(held)], stop: async () => held.stop() };
  },
};
