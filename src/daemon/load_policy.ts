import type { Config } from "../config/config.js";
import type { AccessControl } from "../domain/access/access_control.js";
import { daemon } from "../model/access/principal.js";
import type { PolicyReloader } from "../ext/policy/policy_reloader.js";
import type { Clock } from "../runtime/clock.js";
import type { Log } from "../runtime/log.js";
import type { Store } from "../store/store.js";

/** What reads a policy file takes long to load, and most daemons have none. */
export async function loadPolicy(
  { access: { policyFile } }: Config,
  parts: {
    readonly access: AccessControl;
    readonly store: Store;
    readonly clock: Clock;
    readonly log: Log;
  },
): Promise<PolicyReloader | undefined> {
  if (policyFile === undefined) return undefined;
  const { access, store, clock, log } = parts;
  const { PolicyReloader } = await import("../ext/policy/policy_reloader.js");
  return new PolicyReloader({
    path: policyFile,
    clock,
    log,
    apply: async (policy) => {
      access.setPolicy(policy);
      const reason = `sha256:${policy.digest.slice(0, 16)}`;
      const event = { timeMs: clock.nowMs(), type: "policy.loaded", principal: daemon.name, reason } as const;
      // A hub of a fleet has a policy of its own: each puts it on record, whether it leads or not.
      await store
        .record((tx) => tx.appendAudit(event))
        .catch((error: unknown) => log.error({ err: error }, "the new policy could not be recorded"));
    },
  });
}
