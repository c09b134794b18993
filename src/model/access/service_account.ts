import type { Restriction } from "./scope_restriction.js";

/** The subject of a token that Kubernetes projects into a pod; neither name can hold a colon or a star. */
const principal = /^jwt:system:serviceaccount:([a-z0-9-]+):([a-z0-9.-]+)$/;

export function serviceAccountPrincipal(namespace: string, name: string): string {
  return `jwt:system:serviceaccount:${namespace}:${name}`;
}

/** Puts the `{namespace}` and the `{serviceaccount}` of a caller into user ids. For every other caller they stay, and name nobody. */
export function restrictionFor(
  restriction: Restriction | undefined,
  principalName: string,
): Restriction | undefined {
  const [, namespace = "", account = ""] = principal.exec(principalName) ?? [];
  if (!restriction?.userIds || namespace === "") return restriction;
  const userIds = restriction.userIds.map((id) =>
    id.replaceAll("{namespace}", namespace).replaceAll("{serviceaccount}", account),
  );
  return { ...restriction, userIds };
}
