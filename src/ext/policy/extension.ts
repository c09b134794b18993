import { type Core, LabelValues } from "../../core/core.js";
import { type Extension, type Registry, StartRefused } from "../../core/registry.js";
import { DocumentError } from "../../document/document.js";
import { daemon } from "../../model/access/access.js";
import { policyCommand } from "./commands/policy.js";
import { recordSettings } from "./record/record_settings.js";
import type { RequestRecord } from "./record/request_record.js";
import { templateTable } from "./record/template_table.js";

const auditEvents = ["policy.loaded"] as const;

declare module "../../model/access/audit_event.js" {
  interface ExtensionAuditEvents extends Record<(typeof auditEvents)[number], true> {}
}

/** Series of providers; a daemon has fewer profiles in use. */
const maxProviders = 200;

/** What the policy file says of callers and requests, who may read it, what was let go by it, and `nexusd policy`. */
export const policy: Extension = {
  name: "policy",
  auditEvents,
  settings: recordSettings,
  tables: [templateTable],
  commands: [
    {
      group: "Control access",
      name: "policy",
      summary: "query the access policy, and check a policy file",
      examples: {
        check: "policy.yaml",
        test: "cases.yaml",
        suggest: "--since 24h",
        replay: "policy.yaml",
        explain:
          "--principal key:ci --action token.read --resource connection:5f0c1a2e-8d3b-4a76-9c51-0e2f7b6d4c19",
      },
      make: policyCommand,
    },
  ],
  keepsPolicy: true,
  open: async (core, registry) => {
    const { access, clock } = core;
    const record = await openRecord(core);
    if (record) registry.part(record);
    const { policyService } = await import("./policy_service.js");
    registry.rpc(policyService({ access: access.control, clock, record }));
    await openPolicy(core, registry);
  },
};

async function openRecord({
  config,
  store,
  access,
  changes,
  clock,
  log,
  member,
}: Core): Promise<RequestRecord | undefined> {
  if (!recordSettings.of(config)) return undefined;
  if (member)
    throw new StartRefused(
      "NEXUS_RECORD_REQUESTS is true: a fleet or a spoke records no requests, because each of its daemons judges requests by itself. Record at a daemon that is alone",
    );
  const { RequestRecord } = await import("./record/request_record.js");
  return new RequestRecord({ store, access: access.control, changes, clock, log });
}

/** What reads a policy file takes long to load, and most daemons have none. */
async function openPolicy(
  { config, store, access, changes, metrics, clock, log }: Core,
  registry: Registry,
): Promise<void> {
  const { policyFile: path } = config.access;
  if (path === undefined) return;
  const { PolicyReloader } = await import("./policy_reloader.js");
  const reloader = new PolicyReloader({
    path,
    clock,
    log,
    apply: async (policy) => {
      const { remembering, limiting } = policy;
      const refusal = remembering && access.rules.labelRefusal;
      if (remembering && refusal !== undefined) {
        const message = `a rule sets or reads labels of sessions: ${refusal}`;
        throw new DocumentError([{ line: remembering.line, column: 1, message }]);
      }
      const useRefusal = limiting && access.rules.useRefusal;
      if (limiting && useRefusal !== undefined) {
        const message = `a rule limits uses: ${useRefusal}`;
        throw new DocumentError([{ line: limiting.line, column: 1, message }]);
      }
      access.control.setPolicy(policy);
      const reason = `sha256:${policy.digest.slice(0, 16)}`;
      const event = { timeMs: clock.nowMs(), type: "policy.loaded", principal: daemon.name, reason } as const;
      // A hub of a fleet has a policy of its own: each puts it on record, whether it leads or not.
      await store
        .record((tx) => tx.appendAudit(event))
        .catch((error: unknown) => log.error({ err: error }, "the new policy could not be recorded"));
      for (const warning of access.explainer.warnings())
        log.warn({ file: path, warning }, "the policy file names what does not exist");
    },
  });
  const providers = new LabelValues(maxProviders);
  const count = metrics.addCounter(
    "nexus_shadow_denials_total",
    "Requests that were let go and that a rule in shadow would have denied, by provider.",
    ["provider"],
  );
  changes.on("shadowDenied", (name) => count({ provider: providers.bound(name) }));
  registry.part(reloader, { isEverywhere: true });
}
