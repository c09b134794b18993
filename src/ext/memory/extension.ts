import { type Extension, StartRefused } from "../../core/registry.js";
import { keyPrefix } from "../../model/access/access.js";
import { sessionTable, useTable } from "./tables.js";
import { usesCommand } from "./uses_command.js";

const auditEvents = ["session.labeled", "uses.reset"] as const;

declare module "../../model/access/audit_event.js" {
  interface ExtensionAuditEvents extends Record<(typeof auditEvents)[number], true> {}
}

/** What agents did: labels of sessions, which rules of the policy file set and read, and the uses that limits count. */
export const memory: Extension = {
  name: "memory",
  auditEvents,
  commands: [
    {
      group: "Control access",
      name: "uses",
      summary: "list limits of uses, and reset them",
      examples: { list: "", reset: "key:claude.github.0a1b2c" },
      make: usesCommand,
    },
  ],
  tables: [sessionTable, useTable],
  open: async ({ config, store, access, changes, clock, log, member, metrics }, registry) => {
    const { keys, control } = access;
    // Of a hub, it ends when all hubs have this version.
    const refusal = () => member?.memoryRefusal;
    const [{ StoredUseCounts }, { useService }] = await Promise.all([
      import("./use_counts.js"),
      import("./use_service.js"),
    ]);
    const uses = new StoredUseCounts({ store, keys, access: control, changes, clock, refusal });
    refuseLimited(uses, refusal());
    registry.uses(uses);
    registry.part(uses);
    registry.rpc(useService(uses));
    // Nothing but a policy file asks for labels.
    if (config.access.policyFile === undefined) return;
    const { SessionLabels } = await import("./session_labels.js");
    const labels = new SessionLabels({ store, keys, changes, clock, log, refusal });
    metrics.addGauge("nexus_labeled_sessions", "Sessions of agents that have a label.", () => labels.size);
    registry.memory(labels);
    registry.part(labels);
  },
};

/** @throws StartRefused where a key that works has a limit, which this daemon does not count */
function refuseLimited(
  uses: { list(): readonly { readonly principal: string }[] },
  refusal: string | undefined,
): void {
  const [limited] = refusal === undefined ? [] : uses.list();
  if (!limited) return;
  const name = limited.principal.slice(keyPrefix.length);
  throw new StartRefused(`the API key ${name} has a limit of uses: ${refusal}. Or revoke the key`);
}
