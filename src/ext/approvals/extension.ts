import type { Extension } from "../../cli/shell/shell.js";
import { approvalsCommand } from "./approvals_command.js";

/** Requests that a rule has a person asked about, and `nexusd approvals`. */
export const approvals: Extension = {
  name: "approvals",
  commands: [
    {
      group: "Operate the daemon",
      name: "approvals",
      summary: "see the requests that wait for you, and answer them",
      examples: { list: "", yes: "Yb3kQ9dPm2xA --for session", no: "Yb3kQ9dPm2xA" },
      make: approvalsCommand,
    },
  ],
  open: async ({ options: { clock }, resources: { store }, domain: { access, changes, rules } }) => {
    const [{ Approvals }, { approvalService }] = await Promise.all([
      import("./approvals.js"),
      import("./approval_service.js"),
    ]);
    const held = new Approvals({ store, changes, clock, policyDigest: () => access.policy?.digest });
    rules.askApprovers = (request) => held.ask(request);
    return { services: [approvalService(held)] };
  },
};
