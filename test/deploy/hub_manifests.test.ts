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
const { text, objects } = kustomize(folder, "fleet-init");
const set = only(objects, "StatefulSet");
const pod = podOf(objects, "StatefulSet");
const job = podOf(objects, "Job");
const [nexusd] = pod.containers as [Container];
const variables = new Map(nexusd.env?.map(({ name, value }) => [name, value]));
const labels = set.spec.template.metadata.labels;

it.each(versions)("is good by the schemas of Kubernetes %s, every object", (version) => {
  expect(schemaFaults(text, objects, version)).toEqual([]);
});

it("is what the judge above would refuse with a slip in it", () => {
  expect(schemaFaults(text.replace("maxUnavailable", "maxUnavailible"), objects, "1.33")).not.toEqual([]);
  expect(schemaFaults(text.replace("whenUnsatisfiable", "whenUnsatisfied"), objects, "1.33")).not.toEqual([]);
});

it("is the fleet alone without the Job", () => {
  const { objects: alone } = kustomize(folder, "fleet");
  const names = (all: typeof objects) => all.map(({ kind, metadata }) => `${kind} ${metadata.name}`).sort();
  expect(names(alone)).toEqual(names(objects.filter(({ kind }) => kind !== "Job")));
});

it("keeps to the Pod Security Standard `restricted`, hubs and Job", () => {
  for (const each of [pod, job]) {
    expect(restrictedViolations(each)).toEqual([]);
    expect(each.automountServiceAccountToken).toBe(false);
    expect(each.enableServiceLinks).toBe(false);
    for (const { resources, securityContext } of each.containers) {
      expect(securityContext.readOnlyRootFilesystem).toBe(true);
      for (const of of ["requests", "limits"] as const)
        expect(Object.keys(resources[of]).sort()).toEqual(["cpu", "ephemeral-storage", "memory"]);
    }
  }
});

it("runs one image, of the version of package.json, and as the Dockerfile says", () => {
  const { version } = JSON.parse(readFileSync(join(import.meta.dirname, "../../package.json"), "utf8"));
  const [initialiser] = job.containers as [Container];
  expect(nexusd.image).toMatch(new RegExp(`/nexusd:${version.replaceAll(".", "\\.")}$`));
  expect(initialiser.image).toBe(nexusd.image);
  for (const { securityContext, command } of [nexusd, initialiser]) {
    expect(image.user).toBe(`${securityContext.runAsUser}:${securityContext.runAsGroup}`);
    expect(command).toBeUndefined();
  }
  expect(nexusd.args).toEqual(image.cmd);
});

it("is three hubs on three nodes, of which drains take one at a time, and upgrades too", () => {
  expect(set.spec.replicas).toBe(3);
  expect(set.spec.updateStrategy).toEqual({ type: "RollingUpdate" });
  expect(only(objects, "PodDisruptionBudget").spec).toEqual({
    maxUnavailable: 1,
    selector: set.spec.selector,
  });
  expect(labels).toMatchObject(set.spec.selector.matchLabels);
  const spread = (pod as unknown as { topologySpreadConstraints: Record<string, unknown>[] })
    .topologySpreadConstraints;
  expect(spread).toMatchObject([
    { topologyKey: "kubernetes.io/hostname", whenUnsatisfiable: "DoNotSchedule", maxSkew: 1 },
    { topologyKey: "topology.kubernetes.io/zone", whenUnsatisfiable: "ScheduleAnyway" },
  ]);
  for (const { labelSelector } of spread as { labelSelector: { matchLabels: object } }[])
    expect(labels).toMatchObject(labelSelector.matchLabels);
});

it("has the three probes, and time for a first copy and for a drain", () => {
  expect(nexusd.startupProbe?.httpGet.path).toBe("/readyz");
  expect(nexusd.startupProbe?.failureThreshold).toBeGreaterThanOrEqual(120);
  expect(nexusd.livenessProbe?.httpGet.path).toBe("/livez");
  expect(nexusd.readinessProbe?.httpGet.path).toBe("/readyz");
  expect(pod.terminationGracePeriodSeconds).toBeGreaterThanOrEqual(10);
});

it("names the hubs by the headless Service, which has those that are not ready too", () => {
  const service = only(objects, "Service", set.spec.serviceName);
  expect(service.spec).toMatchObject({ clusterIP: "None", publishNotReadyAddresses: true });
  expect(variables.get("NEXUS_FLEET_ADDRESS")).toBe(
    `$(POD_NAME).${service.metadata.name}.$(POD_NAMESPACE).svc:${service.spec.ports[0].port}`,
  );
  const order = nexusd.env?.map(({ name }) => name) ?? [];
  // Only a variable that stands before it is put in.
  for (const name of ["POD_NAME", "POD_NAMESPACE"])
    expect(order.indexOf(name)).toBeLessThan(order.indexOf("NEXUS_FLEET_ADDRESS"));
});

it("opens to all what agents and browsers need, and to hubs what hubs need", () => {
  const portOf = (setting: string): number =>
    Number(/^0\.0\.0\.0:(\d+)/.exec(variables.get(setting) ?? "")?.[1]);
  const targets = (name: string) =>
    only(objects, "Service", name).spec.ports.map((port: { targetPort: number }) => port.targetPort);
  expect(targets("nexusd")).toEqual([portOf("NEXUS_GRPC_LISTEN")]);
  expect(targets("nexusd-consent")).toEqual([portOf("NEXUS_BROWSER_LISTEN")]);
  expect(targets("nexusd-hubs")).toEqual([portOf("NEXUS_FLEET_LISTEN")]);
  for (const { kind, spec } of objects) if (kind === "Service") expect(labels).toMatchObject(spec.selector);
  const { spec: network } = only(objects, "NetworkPolicy");
  const isHub = { podSelector: network.podSelector };
  expect(labels).toMatchObject(network.podSelector.matchLabels);
  expect(network.ingress).toEqual([
    { ports: [{ port: portOf("NEXUS_GRPC_LISTEN") }, { port: portOf("NEXUS_BROWSER_LISTEN") }] },
    { from: [isHub], ports: [{ port: portOf("NEXUS_FLEET_LISTEN") }] },
  ]);
  expect(variables.get("NEXUS_HTTP_LISTEN")).toMatch(/^127\.0\.0\.1:/);
  // Beyond the pod agents speak TLS, and a proxy does for browsers.
  expect(variables.get("NEXUS_TLS_LISTENERS")).toBe("grpc");
  expect(variables.get("NEXUS_INSECURE")).toBe("browser,ops");
  const { host } = new URL(
    objects.find(({ metadata }) => metadata.name.startsWith("nexusd-hub-settings"))?.data?.[
      "NEXUS_PUBLIC_URL"
    ] ?? "",
  );
  const { spec: ingress } = only(objects, "Ingress");
  expect([ingress.rules[0].host, ...ingress.tls[0].hosts]).toEqual([host, host]);
});

it("keeps each copy on a volume of its own, which outlives the pod", () => {
  expect(set.spec.volumeClaimTemplates).toMatchObject([
    { metadata: { name: "data" }, spec: { accessModes: ["ReadWriteOncePod"] } },
  ]);
  expect(set.spec.persistentVolumeClaimRetentionPolicy).toEqual({
    whenDeleted: "Retain",
    whenScaled: "Retain",
  });
  expect(nexusd.volumeMounts).toContainEqual({ name: "data", mountPath: "/data" });
});

it("has a database that loses no commit in a failover, whose certificate the hubs trust", () => {
  const path = join(folder, "overlays/fleet/cloudnative-pg.yaml");
  const cluster = parse(readFileSync(path, "utf8"));
  expect(cluster.spec.postgresql.synchronous).toEqual({
    method: "any",
    number: 1,
    dataDurability: "required",
  });
  expect(cluster.spec.instances).toBeGreaterThan(cluster.spec.postgresql.synchronous.number + 1);
  expect(cluster.spec.bootstrap.initdb).toEqual({ database: "nexus", owner: "nexus" });
  for (const { volumes } of [pod, job])
    expect(volumes.find(({ name }) => name === "database")?.secret?.secretName).toBe(
      `${cluster.metadata.name}-ca`,
    );
});

it.each(["encryption.key", "admin.key", "store.url", "client-secrets.env"])(
  "is not built without secrets/%s, and says so",
  (name) => {
    const copy = filledCopy();
    rmSync(join(copy, "overlays/fleet/secrets", name));
    expect(() => kustomize(copy, "fleet")).toThrow(name);
  },
);
