import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { readImage } from "./image.js";
import { type Container, filledCopy, kustomize, only, overlays, podOf } from "./manifests.js";
import { restrictedViolations } from "./pod_security.js";
import { schemaFaults, versions } from "./schemas.js";

describe("the pod", () => {
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
      const loose = {
        ...agent,
        securityContext: { ...agent.securityContext, allowPrivilegeEscalation: true },
      };
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
});

describe("the fleet", () => {
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
    expect(schemaFaults(text.replace("whenUnsatisfiable", "whenUnsatisfied"), objects, "1.33")).not.toEqual(
      [],
    );
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
});

describe("the spoke", () => {
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
});

describe.each(["egress-sidecar", "egress-broker"] as const)("overlay %s", (overlay) => {
  const { text, objects } = kustomize(filledCopy(), overlay);
  const pod = podOf(objects.filter(({ metadata }) => metadata.name === "agent"));
  const [agent] = pod.containers as [Container];

  it.each(versions)("is good by the schemas of Kubernetes %s, every object", (version) => {
    expect(schemaFaults(text, objects, version)).toEqual([]);
  });

  it("keeps to the Pod Security Standard `restricted`", () => {
    const pods = objects.filter(({ kind }) => kind === "Deployment").map((one) => podOf([one]));
    for (const one of pods)
      expect(restrictedViolations({ ...one, initContainers: one.initContainers ?? [] })).toEqual([]);
  });

  it("gives the agent the proxy, and of the authority the certificate alone", () => {
    const variables = new Map(agent.env?.map(({ name, value }) => [name, value]));
    expect(variables.get("HTTPS_PROXY")).toMatch(/^http:\/\/agent:\$\(EGRESS_KEY\)@.+:8093$/);
    const mounted = agent.volumeMounts?.map(({ name }) => name) ?? [];
    const secrets = pod.volumes.filter(({ name, secret }) => secret && mounted.includes(name));
    expect(secrets).toEqual([
      {
        name: "egress-certificate",
        secret: expect.objectContaining({ items: [{ key: "ca.crt", path: "ca.crt" }] }),
      },
    ]);
  });
});

it("leaves the agent of overlay egress-broker no other way out than the port of the proxy", () => {
  const { objects } = kustomize(filledCopy(), "egress-broker");
  const policy = only(objects, "NetworkPolicy", "agent").spec as Record<string, unknown>;
  expect(policy).toEqual({
    podSelector: { matchLabels: { "app.kubernetes.io/name": "agent" } },
    policyTypes: ["Ingress", "Egress"],
    egress: [
      {
        to: [{ podSelector: { matchLabels: { "app.kubernetes.io/name": "broker" } } }],
        ports: [{ port: 8093 }],
      },
    ],
    ingress: [],
  });
  const broker = only(objects, "Deployment", "agent-broker").spec as {
    template: { metadata: { labels: object }; spec: { initContainers?: unknown; containers: Container[] } };
  };
  expect(broker.template.metadata.labels).toEqual({ "app.kubernetes.io/name": "broker" });
  expect(broker.template.spec.initContainers).toBeUndefined();
  expect(broker.template.spec.containers.map(({ name }) => name)).toEqual(["nexusd"]);
});
