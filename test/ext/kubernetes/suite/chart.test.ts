import { execFileSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { beforeAll, describe, expect, inject, it } from "vitest";
import { parse } from "yaml";
import type { KubernetesObject as Described } from "../../../deploy/manifests.js";
import { restrictedViolations } from "../../../deploy/pod_security.js";
import { schemaFaults } from "../../../deploy/schemas.js";
import { applyAll, chart, type Manifest, makeNamespace, placeOf, release, rendered } from "./chart.js";
import { clientOf } from "./cluster.js";

const admin = clientOf(inject("cluster"));
const all = {
  injector: { enabled: true },
  egress: { enabled: true, caSecret: "egress-ca" },
  resourceController: { enabled: true },
};
const forms: Readonly<Record<string, object>> = {
  "a single daemon": {},
  "a fleet": { form: "fleet", fleet: { databaseCaSecret: "nexusd-db-ca" } },
  "the injector": { injector: { enabled: true } },
  "the injector alone": { form: "injector" },
  "an egress proxy at the hubs": { egress: { enabled: true } },
  REST: { rest: { enabled: true } },
  "an egress broker": {
    // The API server gives no Service one of the first 16 addresses by itself.
    egress: { enabled: true, at: "broker", namespaces: ["team"], dns: false, clusterIP: "10.0.0.10" },
  },
  "custom resources": {
    resourceController: { enabled: true, namespaces: ["team"], exportNamespaces: ["team"] },
  },
  "all of it": {
    form: "fleet",
    ...all,
    providers: [{ name: "github", template: "github" }],
    clientSecrets: "c",
  },
};

type Files = Readonly<Record<string, string>>;

interface PodTemplate {
  readonly metadata: { readonly labels: Readonly<Record<string, string>> };
  readonly spec: Parameters<typeof restrictedViolations>[0] & {
    readonly topologySpreadConstraints?: readonly {
      readonly labelSelector: { readonly matchLabels: object };
    }[];
  };
}

/** The pods that the objects make, hooks too. */
function podsOf(objects: readonly Manifest[]): PodTemplate[] {
  return objects.flatMap((object) => {
    const spec = object["spec"] as { readonly template?: PodTemplate } | undefined;
    if (object.kind === "Pod") return [object as unknown as PodTemplate];
    return spec?.template ? [spec.template] : [];
  });
}

beforeAll(() => makeNamespace(admin, release.namespace));

it("passes helm lint, and has a schema that refuses what would not work", () => {
  execFileSync(
    "helm",
    ["lint", "--strict", chart, "--set", "image.repository=registry.test.internal/nexusd"],
    { stdio: "pipe" },
  );
  const refused: readonly [object, string][] = [
    [{ form: "cluster" }, "form"],
    [{ publicUrl: "http://nexus.example.com" }, "publicUrl"],
    [{ injector: { enable: true } }, "enable"],
    [{ settings: { LOG_LEVEL: "debug" } }, "LOG_LEVEL"],
    [{ settings: { NEXUS_LOG_LEVLE: "debug" } }, "NEXUS_LOG_LEVLE"],
    [{ providers: [{ name: "github", clientid: "c" }] }, "clientid"],
    [{ providers: [{ template: "github" }] }, "name"],
    [{ image: {} }, "image.repository"],
    [{ image: { repository: "registry.example.com/nexusd" } }, "image.repository"],
    [{ image: { repository: "r/nexusd", digest: "sha256:0" } }, "digest"],
    [{ keys: { existingSecret: "" } }, "keys.existingSecret: nothing is seen of the cluster"],
    [{ extraVolumeMounts: [{ name: "ca" }] }, "mountPath"],
    [{ injector: { enabled: true, namespaceSelector: { team: "a" } } }, "namespaceSelector"],
    [{ form: "fleet", fleet: { replicas: 1 } }, "replicas"],
    [{ form: "fleet", egress: { enabled: true } }, "egress.caSecret"],
    [{ form: "injector", egress: { enabled: true } }, "egress.enabled"],
    [{ egress: { enabled: true, at: "agent" } }, "at"],
  ];
  for (const [values, word] of refused) expect(() => rendered(values), word).toThrow(word);
});

describe.each(Object.entries(forms))("the chart with %s", (name, values) => {
  const namespace = name.replaceAll(" ", "-").toLowerCase();
  const { text, objects } = rendered(values, [], namespace);
  const builtIn = objects.filter(({ kind }) => kind !== "CustomResourceDefinition");

  it.each(["1.30", "1.33", "1.37"])("fits the schemas of Kubernetes %s", (version) => {
    const judged = text
      .split(/^---$/m)
      .filter((document) => !document.includes("kind: CustomResourceDefinition"))
      .join("---\n");
    expect(schemaFaults(judged, builtIn as unknown as Described[], version)).toEqual([]);
  });

  it("is taken by the API server, which knows every field", async () => {
    for (const each of ["team", namespace]) await makeNamespace(admin, each);
    await applyAll(admin, objects, namespace);
    // Nothing answers it, and it would be asked about the pods of other tests.
    for (const each of objects.filter(({ kind }) => kind === "MutatingWebhookConfiguration"))
      await admin.delete(placeOf(each));
  });

  it("runs every pod under the Pod Security Standard `restricted`, read-only, within limits, and not injected", () => {
    for (const { metadata, spec } of podsOf(builtIn)) {
      expect(restrictedViolations({ ...spec, initContainers: [], volumes: spec.volumes ?? [] })).toEqual([]);
      expect(metadata.labels["nexusd.dev/inject"]).toBe("false");
      for (const { securityContext, resources } of spec.containers) {
        expect(securityContext.readOnlyRootFilesystem).toBe(true);
        for (const of of ["requests", "limits"] as const)
          expect(Object.keys(resources[of]).sort()).toEqual(["cpu", "ephemeral-storage", "memory"]);
      }
      for (const { labelSelector } of spec.topologySpreadConstraints ?? [])
        expect(metadata.labels).toMatchObject(labelSelector.matchLabels);
    }
  });

  it("selects by Services, policies and budgets the pods that it makes", () => {
    const labels = podsOf(builtIn).map(({ metadata }) => metadata.labels);
    const isSelected = (selector: object) =>
      labels.some((own) => Object.entries(selector).every(([name, value]) => own[name] === value));
    for (const { kind, spec } of builtIn as unknown as Described[]) {
      if (kind === "Service") expect(isSelected(spec.selector)).toBe(true);
      if (kind === "PodDisruptionBudget") expect(isSelected(spec.selector.matchLabels)).toBe(true);
    }
  });
});

it("uses the keys of a Secret that the values name, and makes none", () => {
  const { text } = rendered({ keys: { existingSecret: "mine" } });
  expect(text).not.toContain("nexusd-keys");
  expect(text).toContain("secretName: mine");
});

it("runs the image of a digest, what the values add to the hubs, and the broker within limits of its own", () => {
  const digest = `sha256:${"0".repeat(64)}`;
  const annotations = { "iam.example.com/role": "nexusd" };
  const limits = { cpu: "1", memory: "96Mi", "ephemeral-storage": "32Mi" };
  const { objects } = rendered({
    image: { repository: "registry.test.internal/nexusd", tag: "0.1.0", digest },
    extraEnv: [{ name: "NODE_EXTRA_CA_CERTS", value: "/etc/corporate/ca.crt" }],
    extraVolumes: [{ name: "corporate", configMap: { name: "corporate-ca" } }],
    extraVolumeMounts: [{ name: "corporate", mountPath: "/etc/corporate", readOnly: true }],
    serviceAccount: { annotations },
    egress: { enabled: true, at: "broker", resources: { limits, requests: limits } },
  });
  const specOf = (kind: string) => {
    const found = objects.find((object) => object.kind === kind)?.["spec"];
    return (found as unknown as { template: PodTemplate }).template.spec;
  };
  const [hub] = specOf("StatefulSet").containers;
  expect(hub).toMatchObject({
    image: `registry.test.internal/nexusd:0.1.0@${digest}`,
    env: expect.arrayContaining([{ name: "NODE_EXTRA_CA_CERTS", value: "/etc/corporate/ca.crt" }]),
    volumeMounts: expect.arrayContaining([
      { name: "corporate", mountPath: "/etc/corporate", readOnly: true },
    ]),
  });
  expect(specOf("StatefulSet").volumes).toContainEqual({
    ...{ name: "corporate", configMap: { name: "corporate-ca" } },
  });
  expect(specOf("Deployment").containers[0]?.resources).toEqual({ limits, requests: limits });
  const accounts = objects.filter(({ kind }) => kind === "ServiceAccount");
  expect(accounts.map(({ metadata }) => metadata.annotations)).toEqual([annotations, annotations]);
});

it("serves REST to other pods by TLS where the values say so", () => {
  const { objects } = rendered({ rest: { enabled: true } });
  const set = objects.find(({ kind }) => kind === "StatefulSet") as unknown as {
    spec: { template: { spec: { containers: { env: { name: string; value?: string }[] }[] } } };
  };
  const { env = [] } = set.spec.template.spec.containers[0] ?? {};
  expect(env).toContainEqual({ name: "NEXUS_HTTP_LISTEN", value: "0.0.0.0:8090" });
  expect(env).toContainEqual({ name: "NEXUS_TLS_LISTENERS", value: "grpc,egress,http" });
  const specOf = (kind: string) =>
    JSON.stringify(objects.find((each) => each.kind === kind && each.metadata.name === "nexusd")?.["spec"]);
  for (const kind of ["Service", "NetworkPolicy"]) {
    expect(specOf(kind)).toContain('"port":8090');
  }
  expect(rendered().text).not.toContain("0.0.0.0:8090");
});

it("names the namespace of everything that has one", () => {
  const ofCluster = ["ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition"];
  const webhook = "MutatingWebhookConfiguration";
  for (const values of Object.values(forms))
    for (const { kind, metadata } of rendered(values, [], "elsewhere").objects)
      expect([kind, metadata.name, metadata.namespace]).toEqual([
        ...[kind, metadata.name],
        [...ofCluster, webhook].includes(kind) ? undefined : expect.stringMatching(/^(elsewhere|team)$/),
      ]);
});

it("makes the store of a fleet at the installation, and its tables new before an upgrade", () => {
  const jobOf = (more: string[]) =>
    rendered({ form: "fleet" }, more).objects.find(({ kind }) => kind === "Job");
  expect(jobOf([])?.metadata.name).toBe("nexusd-init");
  expect(jobOf(["--is-upgrade"])?.metadata).toMatchObject({
    ...{ name: "nexusd-migrate", annotations: { "helm.sh/hook": "pre-upgrade" } },
  });
});

it("gives the broker the connections of the users that the values name, a certificate of its own, and no key of the store", () => {
  const users = ["team/*"];
  const { objects } = rendered({ egress: { enabled: true, at: "broker", users } });
  const named = (kind: string, name: string) =>
    objects.find((object) => object.kind === kind && object.metadata.name === name);
  const filesOf = (kind: string, name: string): Files => ({
    ...(named(kind, name)?.["data"] as Files | undefined),
  });
  const { bindings } = parse(filesOf("ConfigMap", "nexusd-files")["policy.yaml"] ?? "");
  expect(bindings[0]).toEqual({
    principals: ["jwt:system:serviceaccount:agents:nexusd-broker"],
    role: "agent",
    user_ids: users,
  });
  expect(bindings).toHaveLength(2);
  const broker = JSON.stringify(named("Deployment", "nexusd-broker"));
  expect(broker).not.toContain("nexusd-keys");
  expect(broker).not.toContain("envFrom");
  const pem = filesOf("Secret", "nexusd-egress-tls")["tls.crt"] ?? "";
  const certificate = new X509Certificate(Buffer.from(pem, "base64"));
  expect(certificate.checkHost("nexusd-egress.agents.svc")).toBeDefined();
  expect(certificate.checkHost("nexusd.agents.svc")).toBeUndefined();
});

it("is what the API server refuses with a slip in it", async () => {
  await makeNamespace(admin, "slip");
  const service = rendered().objects.find(({ kind }) => kind === "Service") as Manifest;
  const slip: object = { ...service, spec: { ...(service["spec"] as object), selektor: {} } };
  await expect(applyAll(admin, [slip as Manifest], "slip")).rejects.toThrow("field not declared in schema");
});

it("gives what it runs no right that it does not need", async () => {
  await applyAll(
    admin,
    rendered(all).objects.filter(({ kind }) => /Role|ServiceAccount/.test(kind)),
  );
  const rules = rendered(all).objects.filter(({ kind }) => kind === "Role" || kind === "ClusterRole");
  const verbs = rules.flatMap((role) => (role["rules"] as { verbs: string[]; resources: string[] }[]).flat());
  for (const { verbs: may, resources } of verbs) {
    expect(may).not.toContain("*");
    expect(resources).not.toContain("*");
    if (resources.includes("secrets")) expect(may).not.toContain("list");
  }
});
