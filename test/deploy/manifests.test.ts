import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { readImage } from "./image.js";
import {
  agentOf,
  type Container,
  examples,
  type KubernetesObject,
  only,
  type PodSpec,
  podOf,
  released,
} from "./manifests.js";
import { restrictedViolations } from "./pod_security.js";
import { schemaFaults, versions } from "./schemas.js";

const root = join(import.meta.dirname, "../..");
const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
const image = readImage(process.env["NEXUS_TEST_IMAGE"] ?? "").config;
const variablesOf = ({ env = [] }: Container) => new Map(env.map(({ name, value }) => [name, value]));
const textOf = (objects: readonly KubernetesObject[]) =>
  objects.map((object) => JSON.stringify(object)).join("\n---\n");
const workloads = ["Deployment", "StatefulSet", "Job"];

const podsIn = (objects: readonly KubernetesObject[]): PodSpec[] =>
  objects.flatMap(({ kind, spec }) =>
    workloads.includes(kind) ? [{ volumes: [], initContainers: [], ...spec.template.spec }] : [],
  );

describe.each(examples)("the example %s", (example) => {
  const release = released(example).objects;
  const agent = example === "fleet" ? [] : agentOf(example, release);
  const objects = [...release, ...agent];

  it.each(versions)("is good by the schemas of Kubernetes %s, every object", (of) => {
    expect(schemaFaults(textOf(objects), objects, of)).toEqual([]);
  });

  it("is what the judges would refuse with a slip in it", () => {
    const slip = textOf(objects).replace("readOnlyRootFilesystem", "readOnlyRootFileSystem");
    expect(schemaFaults(slip, objects, "1.33")).not.toEqual([]);
    const [pod] = podsIn(objects) as [PodSpec];
    const [one] = pod.containers as [Container];
    const loose = { ...one, securityContext: { ...one.securityContext, allowPrivilegeEscalation: true } };
    expect(restrictedViolations({ ...pod, initContainers: [], containers: [loose] })).toHaveLength(1);
  });

  it("keeps to the Pod Security Standard `restricted`, with a root that is not written and within limits", () => {
    for (const pod of podsIn(objects)) {
      expect(restrictedViolations(pod)).toEqual([]);
      expect(pod.enableServiceLinks).toBe(false);
      for (const { securityContext, resources } of [...pod.initContainers, ...pod.containers]) {
        expect(securityContext.readOnlyRootFilesystem).toBe(true);
        for (const of of ["requests", "limits"] as const)
          expect(Object.keys(resources[of]).sort()).toEqual(["cpu", "ephemeral-storage", "memory"]);
      }
    }
  });

  it("runs one image of nexusd, of the version of package.json, as the Dockerfile says", () => {
    const all = podsIn(objects).flatMap(({ initContainers, containers }) => [
      ...initContainers,
      ...containers,
    ]);
    for (const container of all.filter(({ name }) => name !== "agent")) {
      expect(container.image).toBe(`registry.test.internal/nexusd:${version}`);
      expect(container.command).toBeUndefined();
      if (container.args?.[0] !== image.cmd[0]) continue;
      const mounts = container.volumeMounts?.map(({ mountPath }) => mountPath);
      expect(mounts).toEqual(expect.arrayContaining([...image.volumes]));
      expect(variablesOf(container).get("NEXUS_DATA_DIR")).toMatch(
        new RegExp(`^${image.env["NEXUS_DATA_DIR"]}/`),
      );
    }
  });
});

describe.each(["sidecar", "spoke", "egress-sidecar"] as const)("the agent of the example %s", (example) => {
  const objects = agentOf(example, released(example).objects);
  const pod = podOf(objects);
  const [nexusd] = pod.initContainers as [Container];
  const [agent] = pod.containers as [Container];
  const variables = variablesOf(nexusd);

  it("has nexusd as a native sidecar that gates it, with time to end", () => {
    expect(pod.initContainers.map(({ name }) => name)).toEqual(["nexusd"]);
    expect(nexusd.restartPolicy).toBe("Always");
    expect(nexusd.startupProbe?.httpGet.path).toBe("/readyz");
    expect(nexusd.livenessProbe?.httpGet.path).toBe("/livez");
    expect(Number(variables.get("NEXUS_DRAIN_TIMEOUT_MS"))).toBeLessThanOrEqual(1_500);
  });

  it("gets the socket, and nothing else of nexusd's", () => {
    const own = ["egress-certificate"];
    const mounts = agent.volumeMounts?.filter(({ name }) => !own.includes(name));
    expect(mounts).toEqual([{ name: "nexusd-socket", mountPath: "/run/nexus", readOnly: true }]);
    expect(agent.envFrom).toBeUndefined();
    expect(agent.env).toContainEqual({ name: "NEXUS_ADDRESS", value: variables.get("NEXUS_GRPC_LISTEN") });
    expect(agent.securityContext.runAsUser).not.toBe(nexusd.securityContext.runAsUser);
  });
});

it("lets the world in to a sidecar by the browser listener alone, under the public URL", () => {
  const objects = agentOf("sidecar", released("sidecar").objects);
  const { labels } = only(objects, "Deployment").spec.template.metadata;
  const { spec: service } = only(objects, "Service");
  const [nexusd] = podOf(objects).initContainers as [Container];
  const port = Number(variablesOf(nexusd).get("NEXUS_BROWSER_LISTEN")?.replace("0.0.0.0:", ""));
  expect(service.ports.map(({ targetPort }: { targetPort: number }) => targetPort)).toEqual([port]);
  expect(labels).toMatchObject(service.selector);
  expect(only(objects, "NetworkPolicy").spec.ingress).toEqual([{ ports: [{ port }] }]);
  const { host } = new URL(only(objects, "ConfigMap").data?.["NEXUS_PUBLIC_URL"] ?? "");
  const { spec: ingress } = only(objects, "Ingress");
  expect([ingress.rules[0].host, ...ingress.tls[0].hosts]).toEqual([host, host]);
});

it("shows the hubs the service account of a spoke, by a token for them alone, which their policy knows", () => {
  const release = released("spoke").objects;
  const objects = agentOf("spoke", release);
  const place = podOf(objects).volumes.find(({ name }) => name === "nexusd-place")?.projected;
  const [hub] = podOf(release, "StatefulSet").containers as [Container];
  const audience = variablesOf(hub).get("NEXUS_JWT_AUDIENCE");
  expect(place?.sources).toContainEqual({
    serviceAccountToken: { path: "token", audience, expirationSeconds: 3600 },
  });
  const { serviceAccountName } = only(objects, "Deployment").spec.template.spec;
  const policy = parse(only(release, "ConfigMap", "nexusd-files").data?.["policy.yaml"] ?? "");
  expect(policy.bindings).toContainEqual({
    principals: [`jwt:system:serviceaccount:agents:${serviceAccountName}`],
    role: "agent",
    user_ids: ["*"],
  });
});

describe("the fleet", () => {
  const { objects } = released("fleet");
  const set = only(objects, "StatefulSet");
  const pod = podOf(objects, "StatefulSet");
  const [nexusd] = pod.containers as [Container];
  const variables = variablesOf(nexusd);

  it("is three hubs, of which drains take one at a time, and upgrades too", () => {
    expect(set.spec.replicas).toBe(3);
    expect(set.spec.updateStrategy).toEqual({ type: "RollingUpdate" });
    expect(only(objects, "PodDisruptionBudget", "nexusd").spec.selector).toEqual(set.spec.selector);
    expect(image.user).toBe(`${nexusd.securityContext.runAsUser}:${nexusd.securityContext.runAsGroup}`);
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
    const [open, hubs] = only(objects, "NetworkPolicy", "nexusd").spec.ingress;
    expect(open).toEqual({
      ports: [{ port: portOf("NEXUS_GRPC_LISTEN") }, { port: portOf("NEXUS_BROWSER_LISTEN") }],
    });
    expect(hubs.ports).toEqual([{ port: portOf("NEXUS_FLEET_LISTEN") }]);
    expect(variables.get("NEXUS_INSECURE")).toBe("browser,ops");
  });

  it("has a database that loses no commit in a failover, whose certificate the hubs trust", () => {
    const path = join(root, "deploy/helm/examples/fleet/cloudnative-pg.yaml");
    const cluster = parse(readFileSync(path, "utf8"));
    const { method, number, dataDurability } = cluster.spec.postgresql.synchronous;
    expect([method, number, dataDurability]).toEqual(["any", 1, "required"]);
    expect(cluster.spec.instances).toBeGreaterThan(number + 1);
    expect(cluster.spec.bootstrap.initdb).toEqual({ database: "nexus", owner: "nexus" });
    for (const { volumes } of [pod, podOf(objects, "Job")])
      expect(volumes.find(({ name }) => name === "database")?.secret?.secretName).toBe(
        `${cluster.metadata.name}-ca`,
      );
  });
});

describe("the broker", () => {
  const { objects } = released("egress-broker");
  const agent = only(agentOf("egress-broker", objects), "Deployment").spec.template;

  it("is the only way out of a confined pod, beside DNS until that is turned off", () => {
    const broker = only(objects, "Deployment", "nexusd-broker").spec.template;
    const policy = only(objects, "NetworkPolicy", "nexusd-egress-only") as KubernetesObject & {
      metadata: { namespace?: string };
    };
    expect(policy.metadata.namespace).toBe("team");
    expect(agent.metadata.labels).toMatchObject(policy.spec.podSelector.matchLabels);
    const [proxy, dns, ...others] = policy.spec.egress;
    expect(broker.metadata.labels).toMatchObject(proxy.to[0].podSelector.matchLabels);
    expect(proxy).toMatchObject({
      to: [{ namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "agents" } } }],
      ports: [{ port: 3128 }],
    });
    expect(dns.ports.map(({ port }: { port: number }) => port)).toEqual([53, 53]);
    expect(others).toEqual([]);
    const closed = released("egress-broker", { egress: { dns: false, clusterIP: "10.0.0.77" } }).objects;
    expect(only(closed, "NetworkPolicy", "nexusd-egress-only").spec.egress).toEqual([proxy]);
    expect(only(closed, "Service", "nexusd-egress").spec.clusterIP).toBe("10.0.0.77");
  });

  it("opens the proxy and nothing else, and the hubs open none", () => {
    expect(only(objects, "NetworkPolicy", "nexusd-broker").spec.ingress).toMatchObject([
      { ports: [{ port: 3128 }] },
      { ports: [{ port: 9090 }] },
    ]);
    const [hub] = podOf(objects, "StatefulSet").containers as [Container];
    expect(variablesOf(hub).has("NEXUS_EGRESS_LISTEN")).toBe(false);
    expect(JSON.stringify(only(objects, "NetworkPolicy", "nexusd").spec)).not.toContain("3128");
  });

  it("gives the agent the proxy and the certificates to trust, and no socket", () => {
    const [container] = agent.spec.containers as [Container];
    const proxy = {
      name: "HTTPS_PROXY",
      valueFrom: { secretKeyRef: { name: "nexusd-egress", key: "proxy" } },
    };
    expect(container.env).toContainEqual(proxy);
    expect(container.volumeMounts?.map(({ name }) => name)).toEqual(["nexusd-trust"]);
  });
});
