import { printable } from "../../../cli/kit.js";
import type { JsonValue } from "../../../model/model.js";
import type { Difference } from "../differences.js";
import { hasDrift, type Plan, type PlannedChange } from "../plan.js";

const signs: Readonly<Record<PlannedChange["action"], string>> = {
  create: "+",
  update: "~",
  delete: "-",
  unmanaged: "!",
};

const remarks: Readonly<Record<PlannedChange["action"], string>> = {
  create: "",
  update: "",
  delete: "  (its connections cannot be refreshed any more)",
  unmanaged: "  (in the daemon and not in the manifest: --prune would delete it)",
};

/** A plan for a person: a line for each profile, and below it each field that differs. */
export function formatPlan(plan: Plan): string {
  const lines = plan.changes.flatMap((change) => [
    `${signs[change.action]} ${change.name}${remarks[change.action]}`,
    ...("differences" in change
      ? change.differences.map((each) => formatDifference(each, change.action))
      : []),
  ]);
  return [...lines, formatCounts(plan)].map((line) => `${printable(line)}\n`).join("");
}

function formatDifference({ field, before, after }: Difference, action: PlannedChange["action"]): string {
  const value = action === "create" ? formatValue(after) : `${formatValue(before)} -> ${formatValue(after)}`;
  return `    ${field}: ${value}`;
}

function formatValue(value: JsonValue | undefined): string {
  return value === undefined ? "(not set)" : JSON.stringify(value);
}

function formatCounts({ changes, unchanged }: Plan): string {
  const count = (action: PlannedChange["action"]): number =>
    changes.filter((change) => change.action === action).length;
  const parts = [
    `${count("create")} to create`,
    `${count("update")} to update`,
    `${count("delete")} to delete`,
    `${unchanged} unchanged`,
  ];
  const unmanaged = count("unmanaged");
  return [...parts, ...(unmanaged > 0 ? [`${unmanaged} not in the manifest`] : [])].join(", ");
}

/** A plan for a program, one line. */
export function planJson(plan: Plan, more: { readonly applied?: boolean } = {}): string {
  const changes = plan.changes.map((change) => ({
    action: change.action,
    name: change.name,
    ...("differences" in change ? { differences: change.differences.map(differenceJson) } : {}),
  }));
  return `${JSON.stringify({ changes, unchanged: plan.unchanged, drift: hasDrift(plan), ...more })}\n`;
}

/** A side that is not set is null. */
function differenceJson({ field, before = null, after = null }: Difference): Difference {
  return { field, before, after };
}
