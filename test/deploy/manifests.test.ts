import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { readImage } from "./image.js";
import { type Container, filledCopy, kustomize, only, overlays, podOf } from "./manifests.js";
import { restrictedViolations } from "./pod_security.js";
import { schemaFaults, versions } from "./schemas.js";

const image = readImage(process.env["NEXUS_TEST_IMAGE"] ?? "").config;
const folder = filledCopy();

describe.each(overlays)("overlay %s", (overlay) => {
  const { text, objects } = kustomize(folder, overlay);
  const pod = podOf(objects);
  const containers = [...pod.initContainers, ...pod.containers];
  const [nexusd] = pod.initContainers as [Container];
  const [agent] = pod.containers as [Container];
  const variables = new Map(nexusd.env?.map(({ name, value }) => [name, value]));

  it.each(versions)("is good by the schemas of Kubernetes %s, every object", (version) => {
    expect(schemaFaults(text, objects, version)).toEqual([]);
  });

  it("is what the judges above would refuse with a slip in it", () => {
    expect(
      schemaFaults(text.replace("readOnlyRootFilesystem", "readOnlyRootFileSystem"), objects, "1.33"),
    ).not.toEqual([]);
    expect(
      schemaFaults(text.replace("failureThreshold: 60", "failureThreshold: sixty"), objects, "1.33"),
    ).not.toEqual([]);
    const loose = { ...agent, securityContext: { ...agent.securityContext, allowPrivilegeEscalation: true } };
    expect(restrictedViolations({ ...pod, containers: [loose] })).toHaveLength(1);
  });

  it("keeps to the Pod Security Standard `restricted`, and says each field for each container", () => {
    expect(restrictedViolations(pod)).toEqual([]);
    for (const { securityContext, resources } of containers) {
      expect(securityContext).toEqual({
        runAsNonRoot: true,
        runAsUser: expect.any(Number),
        runAsGroup: expect.any(Number),
        readOnlyRootFilesystem: true,
        allowPrivilegeEscalation: false,
        privileged: false,
        capabilities: { drop: ["ALL"] },
        seccompProfile: { type: "RuntimeDefault" },
      });
      for (const of of ["requests", "limits"] as const)
        expect(Object.keys(resources[of]).sort()).toEqual(["cpu", "ephemeral-storage", "memory"]);
    }
    expect(pod.automountServiceAccountToken).toBe(false);
    expect(pod.enableServiceLinks).toBe(false);
  });

  it("names every image by a version, nexusd's by that of package.json", () => {
    const { version } = JSON.parse(readFileSync(join(import.meta.dirname, "../../package.json"), "utf8"));
    for (const { image: name } of containers) expect(name).toMatch(/:\d+\.\d+\.\d+$/);
    expect(nexusd.image).toMatch(new RegExp(`/nexusd:${version.replaceAll(".", "\\.")}$`));
  });

  it("has nexusd as a native sidecar that gates the agent, with three probes and time to end", () => {
    expect(pod.initContainers.map(({ name }) => name)).toEqual(["nexusd"]);
    expect(nexusd.restartPolicy).toBe("Always");
    expect(nexusd.startupProbe?.httpGet.path).toBe("/readyz");
    expect(nexusd.livenessProbe?.httpGet.path).toBe("/livez");
    expect(nexusd.readinessProbe?.httpGet.path).toBe("/readyz");
    expect(pod.terminationGracePeriodSeconds).toBeGreaterThanOrEqual(2);
    expect(Number(variables.get("NEXUS_DRAIN_TIMEOUT_MS"))).toBeLessThanOrEqual(1_500);
  });

  it("agrees with the Dockerfile about user, entrypoint, ports and health", () => {
    const { runAsUser, runAsGroup } = nexusd.securityContext;
    expect(image.user).toBe(`${runAsUser}:${runAsGroup}`);
    expect(nexusd.command).toBeUndefined();
    expect(nexusd.args).toEqual(image.cmd);
    expect(image.healthcheck).toEqual([...image.entrypoint, "health"]);
    expect(nexusd.ports?.map(({ containerPort }) => String(containerPort))).toEqual(
      expect.arrayContaining([...image.exposed]),
    );
    const mounts = nexusd.volumeMounts.map(({ mountPath }) => mountPath);
    expect(mounts).toEqual(expect.arrayContaining([...image.volumes]));
    expect(variables.get("NEXUS_DATA_DIR")).toMatch(new RegExp(`^${image.env["NEXUS_DATA_DIR"]}/`));
  });

  it("gives the agent the socket and nothing else of nexusd's", () => {
    expect(agent.volumeMounts).toEqual([{ name: "socket", mountPath: "/run/nexus", readOnly: true }]);
    expect(agent.envFrom).toBeUndefined();
    expect(agent.env).toContainEqual({ name: "NEXUS_ADDRESS", value: variables.get("NEXUS_GRPC_LISTEN") });
    expect(agent.securityContext.runAsUser).not.toBe(nexusd.securityContext.runAsUser);
    expect(only(objects, "ConfigMap", "nexusd-files").data?.["policy.yaml"]).toContain(
      `"uid:${agent.securityContext.runAsUser}"`,
    );
  });

  it("lets the world in by the browser listener alone, under the public URL", () => {
    const labels = only(objects, "Deployment").spec.template.metadata.labels;
    const { spec: service } = only(objects, "Service");
    expect(service.ports.map((port: { targetPort: number }) => port.targetPort)).toEqual([8080]);
    expect(labels).toMatchObject(service.selector);
    const { spec: ingress } = only(objects, "Ingress");
    const settings = objects.find(({ metadata }) => metadata.name.startsWith("nexusd-settings-"));
    const { host } = new URL(settings?.data?.["NEXUS_PUBLIC_URL"] ?? "");
    expect(ingress.rules.map((rule: { host: string }) => rule.host)).toEqual([host]);
    expect(ingress.tls[0].hosts).toEqual([host]);
    const [path] = ingress.rules[0].http.paths;
    expect(path.backend.service).toEqual({ name: "agent-consent", port: { name: service.ports[0].name } });
    const { spec: network } = only(objects, "NetworkPolicy");
    expect(network.podSelector.matchLabels).toEqual(service.selector);
    expect(network.ingress).toEqual([{ ports: [{ port: 8080 }] }]);
    expect(variables.get("NEXUS_BROWSER_LISTEN")).toBe("0.0.0.0:8080");
    expect(variables.get("NEXUS_HTTP_LISTEN")).toMatch(/^127\.0\.0\.1:/);
  });

  it("keeps the store where its name says", () => {
    const data = pod.volumes.find(({ name }) => name === "data");
    if (overlay === "memory") expect(data?.emptyDir?.medium).toBe("Memory");
    else
      expect(data).toEqual({
        name: "data",
        persistentVolumeClaim: { claimName: only(objects, "PersistentVolumeClaim").metadata.name },
      });
  });
});

it.each(["encryption.key", "admin.key", "client-secrets.env"])(
  "is not built without secrets/%s, and says so",
  (name) => {
    const copy = filledCopy();
    rmSync(join(copy, "base/secrets", name));
    expect(() => kustomize(copy, "volume")).toThrow(name);
  },
);
