import type { Restriction } from "./scope_restriction.js";

/** The subject of a token that Kubernetes projects into a pod; neither name can hold a colon or a star. */
const principal = /^jwt:system:serviceaccount:([a-z0-9-]+):([a-z0-9.-]+)$/;

export function serviceAccountPrincipal(namespace: string, name: string): string {
  return `jwt:system:serviceaccount:${namespace}:${name}`;
}

/** Puts the `{namespace}` and the `{serviceaccount}` of a caller into user ids and labels. For every other caller they stay, and name nobody. */
export function restrictionFor(
  restriction: Restriction | undefined,
  principalName: string,
): Restriction | undefined {
  const [, namespace = "", account = ""] = principal.exec(principalName) ?? [];
  if (namespace === "") return restriction;
  const filled = (texts: readonly string[]): string[] =>
    texts.map((text) => text.replaceAll("{namespace}", namespace).replaceAll("{serviceaccount}", account));
  const { userIds, labels } = restriction ?? {};
  return (
    restriction && {
      ...restriction,
      ...(userIds && { userIds: filled(userIds) }),
      ...(labels && { labels: filled(labels) }),
    }
  );
}
