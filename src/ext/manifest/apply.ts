import type { ProviderSettings } from "../../model/providers/providers.js";
import type { Secret } from "../../runtime/runtime.js";
import type { Plan, PlannedChange, ProfileUpdate } from "./plan.js";

/** Where a plan is carried out. */
export interface ProfileTarget {
  create(settings: ProviderSettings, clientSecret: Secret | undefined): Promise<void>;
  update(update: ProfileUpdate, settings: ProviderSettings): Promise<void>;
  delete(id: string, name: string): Promise<void>;
}

/** Carries out a plan, change by change; the first that fails ends it, and what was done before stays. */
export async function applyPlan(
  plan: Plan,
  target: ProfileTarget,
  done: (change: PlannedChange) => void,
): Promise<void> {
  for (const change of plan.changes) {
    switch (change.action) {
      case "create":
        await target.create(change.profile.settings, change.profile.clientSecret);
        break;
      case "update":
        await target.update(change.update, change.profile.settings);
        break;
      case "delete":
        await target.delete(change.id, change.name);
        break;
      case "unmanaged":
        continue;
    }
    done(change);
  }
}
