import type { Container, PodSpec, SecurityContext } from "./manifests.js";

/** The volume types that the standard lets in. */
const volumeTypes = [
  "configMap",
  "csi",
  "downwardAPI",
  "emptyDir",
  "ephemeral",
  "persistentVolumeClaim",
  "projected",
  "secret",
];

/**
 * What of a pod breaks the policy `restricted`, a sentence each.
 *
 * @see https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
 */
export function restrictedViolations(pod: PodSpec): string[] {
  const given = pod as unknown as Readonly<Record<string, unknown>>;
  const violations = ["hostNetwork", "hostPID", "hostIPC"].filter((field) => given[field] === true);
  for (const volume of pod.volumes) {
    const types = Object.keys(volume).filter((key) => key !== "name");
    if (!types.every((type) => volumeTypes.includes(type)))
      violations.push(`volume ${volume.name}: ${types.join()}`);
  }
  for (const container of [...pod.initContainers, ...pod.containers])
    violations.push(
      ...containerViolations(container, pod.securityContext).map(
        (violation) => `${container.name}: ${violation}`,
      ),
    );
  return violations;
}

function containerViolations(
  { securityContext: own, ports = [] }: Container,
  pod: SecurityContext,
): string[] {
  const violations: string[] = [];
  const check = (holds: boolean, violation: string): void => {
    if (!holds) violations.push(violation);
  };
  check(own.privileged !== true, "privileged");
  check(own.allowPrivilegeEscalation === false, "allowPrivilegeEscalation must be false");
  check((own.runAsNonRoot ?? pod.runAsNonRoot) === true, "runAsNonRoot must be true");
  check((own.runAsUser ?? pod.runAsUser) !== 0, "runAsUser must not be 0");
  const seccomp = (own.seccompProfile ?? pod.seccompProfile)?.type ?? "";
  check(
    ["RuntimeDefault", "Localhost"].includes(seccomp),
    "seccompProfile must be RuntimeDefault or Localhost",
  );
  check(own.capabilities?.drop?.includes("ALL") === true, "capabilities must drop ALL");
  const added = own.capabilities?.add ?? [];
  check(
    added.every((capability) => capability === "NET_BIND_SERVICE"),
    `capabilities are added: ${added.join()}`,
  );
  check(
    ports.every((port) => !("hostPort" in port)),
    "hostPort",
  );
  return violations;
}
