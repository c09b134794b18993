import type { Extension } from "../../core/registry.js";
import { sessionTable } from "./session_table.js";

declare module "../../model/access/audit_event.js" {
  interface ExtensionAuditEvents {
    "session.labeled": true;
  }
}

/** Labels of sessions, which rules of the policy file set and read. */
export const memory: Extension = {
  name: "memory",
  tables: [sessionTable],
  open: async ({ config, store, access: { keys }, changes, clock, log, member, metrics }, registry) => {
    // Nothing but a policy file asks for it.
    if (config.access.policyFile === undefined) return;
    const { SessionLabels } = await import("./session_labels.js");
    const refusal = member && notShared;
    const labels = new SessionLabels({ store, keys, changes, clock, log, refusal });
    metrics.addGauge("nexus_labeled_sessions", "Sessions of agents that have a label.", () => labels.size);
    registry.memory(labels);
  },
};

/** A hub or a spoke judges requests by itself, and would not know at once what another one let go. */
const notShared =
  "a fleet or a spoke keeps none, because each of its daemons judges requests by itself: run a daemon that is alone for these agents";
