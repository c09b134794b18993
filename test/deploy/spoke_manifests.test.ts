import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { parse } from "yaml";
import { readImage } from "./image.js";
import { type Container, filledCopy, kustomize, only, podOf } from "./manifests.js";
import { restrictedViolations } from "./pod_security.js";
import { schemaFaults, versions } from "./schemas.js";

const image = readImage(process.env["NEXUS_TEST_IMAGE"] ?? "").config;
const folder = filledCopy();
const { text, objects } = kustomize(folder, "spoke");
const { objects: fleet } = kustomize(folder, "fleet");
const deployment = only(objects, "Deployment");
const pod = podOf(objects);
const [nexusd] = pod.initContainers as [Container];
const [agent] = pod.containers as [Container];
const variablesOf = ({ env }: Container) => new Map(env?.map(({ name, value }) => [name, value]));
const variables = variablesOf(nexusd);
const hubVariables = variablesOf(podOf(fleet, "StatefulSet").containers[0] as Container);
const hubs = pod.volumes.find(({ name }) => name === "hubs")?.projected;

it.each(versions)("is good by the schemas of Kubernetes %s, every object", (version) => {
  expect(schemaFaults(text, objects, version)).toEqual([]);
});

it("is what the judge above would refuse with a slip in it", () => {
  expect(
    schemaFaults(text.replace("expirationSeconds: 3600", "expirationSeconds: hour"), objects, "1.33"),
  ).not.toEqual([]);
  expect(
    schemaFaults(text.replace("serviceAccountToken", "serviceAccountTokens"), objects, "1.33"),
  ).not.toEqual([]);
});

it("keeps to the Pod Security Standard `restricted`", () => {
  expect(restrictedViolations(pod)).toEqual([]);
  expect(pod.automountServiceAccountToken).toBe(false);
  expect(pod.enableServiceLinks).toBe(false);
  for (const { resources, securityContext } of [nexusd, agent]) {
    expect(securityContext.readOnlyRootFilesystem).toBe(true);
    for (const of of ["requests", "limits"] as const)
      expect(Object.keys(resources[of]).sort()).toEqual(["cpu", "ephemeral-storage", "memory"]);
  }
});

it("is the pod of a daemon, with hubs in place of its keys, providers and browsers", () => {
  const daemons = podOf(kustomize(folder, "memory").objects);
  const [daemon] = daemons.initContainers as [Container];
  expect(agent).toEqual(daemons.containers[0]);
  for (const field of [
    "image",
    "args",
    "restartPolicy",
    "startupProbe",
    "livenessProbe",
    "readinessProbe",
    "resources",
    "securityContext",
  ] as const)
    expect(nexusd[field], field).toEqual(daemon[field]);
  expect(nexusd.restartPolicy).toBe("Always");
  expect(nexusd.args).toEqual(image.cmd);
  const own = [...variables.keys()].filter((name) => !variablesOf(daemon).has(name));
  expect(own.sort()).toEqual(["NEXUS_UPSTREAM_CA_FILE", "NEXUS_UPSTREAM_TOKEN_FILE"]);
  const lacked = [...variablesOf(daemon).keys()].filter((name) => !variables.has(name));
  expect(lacked.sort()).toEqual([
    "NEXUS_ADMIN_KEY_FILE",
    "NEXUS_BROWSER_LISTEN",
    "NEXUS_ENCRYPTION_KEY_FILE",
    "NEXUS_PROVIDERS_FILE",
  ]);
  expect(variables.get("NEXUS_INSECURE")).toBe("ops");
  expect(objects.filter(({ kind }) => ["Secret", "Service", "Ingress"].includes(kind))).toEqual([]);
});

it("reaches the hubs by the Service of the fleet, by TLS with the CA that is put beside it", () => {
  const settings = objects.find(({ metadata }) => metadata.name.startsWith("nexusd-settings-"))?.data;
  const { protocol, hostname, port } = new URL(settings?.["NEXUS_UPSTREAM"] ?? "");
  const service = only(fleet, "Service", hostname.split(".")[0]);
  expect([protocol, port, service.spec.ports[0].port]).toEqual(["https:", "", 443]);
  expect(hostname).toBe(`${service.metadata.name}.agents.svc`);
  expect(only(objects, "ConfigMap", "nexusd-hubs-ca").data).toEqual({ "ca.crt": "the CA\n" });
  expect(hubs?.sources).toContainEqual({
    configMap: { name: "nexusd-hubs-ca", items: [{ key: "ca.crt", path: "ca.crt" }] },
  });
});

it("is to the hubs its service account, by a token for them alone, which their policy knows", () => {
  const audience = hubVariables.get("NEXUS_JWT_AUDIENCE");
  const token = { path: "token", audience, expirationSeconds: 3600 };
  expect(hubs?.sources).toContainEqual({ serviceAccountToken: token });
  const mount = nexusd.volumeMounts.find(({ name }) => name === "hubs");
  expect(mount?.readOnly).toBe(true);
  expect(variables.get("NEXUS_UPSTREAM_TOKEN_FILE")).toBe(`${mount?.mountPath}/token`);
  expect(variables.get("NEXUS_UPSTREAM_CA_FILE")).toBe(`${mount?.mountPath}/ca.crt`);
  const { serviceAccountName } = deployment.spec.template.spec;
  const policy = parse(only(fleet, "ConfigMap", "nexusd-hub-files").data?.["policy.yaml"] ?? "");
  expect(policy.bindings).toContainEqual({
    principals: [`jwt:system:serviceaccount:agents:${serviceAccountName}`],
    role: "agent",
    user_ids: ["*"],
  });
});

it("gives the agent the socket alone: not the token, nor what is held", () => {
  expect(agent.volumeMounts).toEqual([{ name: "socket", mountPath: "/run/nexus", readOnly: true }]);
  expect(agent.env).toContainEqual({ name: "NEXUS_ADDRESS", value: variables.get("NEXUS_GRPC_LISTEN") });
  const policy = parse(only(objects, "ConfigMap", "nexusd-files").data?.["policy.yaml"] ?? "");
  expect(policy.bindings.map(({ principals }: { principals: string[] }) => principals)).toEqual([
    [`uid:${agent.securityContext.runAsUser}`],
  ]);
});

it("has its copy and the key that seals it in memory, for as long as the pod lives", () => {
  expect(pod.volumes.find(({ name }) => name === "data")?.emptyDir?.medium).toBe("Memory");
  expect(variables.get("NEXUS_DATA_DIR")).toMatch(/^\/data\//);
  expect(nexusd.volumeMounts).toContainEqual({ name: "data", mountPath: "/data" });
});

it("may run in many pods, replaced one after the other, which nothing from outside reaches", () => {
  expect(deployment.spec.replicas).toBeGreaterThan(1);
  expect(deployment.spec.strategy).toBeUndefined();
  expect(only(objects, "NetworkPolicy").spec).toEqual({
    podSelector: { matchLabels: deployment.spec.template.metadata.labels },
    policyTypes: ["Ingress"],
    ingress: [],
  });
  expect(deployment.spec.selector.matchLabels).toEqual(deployment.spec.template.metadata.labels);
});

it("runs the image of the hubs, of the version of package.json", () => {
  const { version } = JSON.parse(readFileSync(join(import.meta.dirname, "../../package.json"), "utf8"));
  expect(nexusd.image).toMatch(new RegExp(`/nexusd:${version.replaceAll(".", "\\.")}$`));
  expect(nexusd.image).toBe(podOf(fleet, "StatefulSet").containers[0]?.image);
});

it("is not built without the CA of the hubs, and says so", () => {
  const copy = filledCopy();
  rmSync(join(copy, "overlays/spoke/ca.crt"));
  expect(() => kustomize(copy, "spoke")).toThrow("ca.crt");
});
