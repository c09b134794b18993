import { createHash } from "node:crypto";
import {
  Policy,
  type PolicyBinding,
  restrictionViolations,
  serviceAccountPrincipal,
} from "../../../model/access/access.js";
import { keyOf } from "../api/informer.js";
import type { AccessGrantObject, ReadyVerdict } from "./custom_objects.js";

/**
 * What AccessGrants say, as a policy. Of two that name the same subject the older one counts, as the first binding of a file does; one
 * that is at fault binds nobody.
 */
export function policyOf(grants: Iterable<AccessGrantObject>): {
  readonly policy: Policy;
  readonly verdicts: ReadonlyMap<string, ReadyVerdict>;
} {
  const bindings: PolicyBinding[] = [];
  const verdicts = new Map<string, ReadyVerdict>();
  const owners = new Map<string, string>();
  for (const grant of [...grants].sort(byAge)) {
    if (grant.metadata.deletionTimestamp !== undefined) continue;
    const { spec } = grant;
    const principals = [
      ...new Set(
        spec.subjects.map(({ namespace, serviceAccountName = "*" }) =>
          serviceAccountPrincipal(namespace, serviceAccountName),
        ),
      ),
    ];
    const restriction = {
      ...(spec.users && { userIds: spec.users }),
      ...(spec.providers && { providers: spec.providers }),
      ...(spec.connectionIds && { connectionIds: spec.connectionIds }),
      ...(spec.labels && { labels: spec.labels }),
    };
    const violations = restrictionViolations(restriction);
    const taken = principals.find((name) => owners.has(name));
    if (violations.length > 0) {
      const message = violations.map(({ field, description }) => `${field} ${description}`.trim()).join("; ");
      verdicts.set(keyOf(grant), { ready: false, reason: "Invalid", message });
    } else if (taken !== undefined) {
      const message = `${taken} is a subject of the AccessGrant ${owners.get(taken)} already, which is older: put both into one`;
      verdicts.set(keyOf(grant), { ready: false, reason: "Conflict", message });
    } else {
      for (const name of principals) owners.set(name, grant.metadata.name);
      const origin = `the AccessGrant ${grant.metadata.name}`;
      bindings.push({ principals, role: "agent", restriction, line: 0, origin });
      verdicts.set(keyOf(grant), {
        ready: true,
        reason: "InForce",
        message: `binds ${principals.join(", ")}`,
      });
    }
  }
  const digest = createHash("sha256").update(JSON.stringify(bindings)).digest("hex");
  return { policy: new Policy(bindings, digest), verdicts };
}

function byAge(one: AccessGrantObject, other: AccessGrantObject): number {
  const orderOf = ({ metadata }: AccessGrantObject) => `${metadata.creationTimestamp ?? ""} ${metadata.name}`;
  return orderOf(one) < orderOf(other) ? -1 : 1;
}
