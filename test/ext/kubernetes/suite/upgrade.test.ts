import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import type { KubernetesObject, SecretObject } from "../../../../src/ext/kubernetes/api/objects.js";
import type { JsonObject } from "../../../../src/model/json.js";
import { Place, World } from "../../../daemon/harness.js";
import { temporaryFolder } from "../../../temporary_folder.js";
import { applyAll, chart, makeNamespace, rendered } from "./chart.js";
import { clientOf } from "./cluster.js";
import { helmAt } from "./helm.js";

const place = inject("cluster");
const admin = clientOf(place);
const path = "deploy/helm/nexusd";
const folder = temporaryFolder();
const helm = helmAt(place);
const values = join(folder, "values.yaml");
let previous: string;

/** The chart of the newest commit that has another version than this one. */
function previousChart(): string {
  const git = (...args: string[]): string =>
    execFileSync("git", args, { cwd: join(chart, "../../.."), encoding: "utf8" });
  const versionOf = (text: string) => /^version: (.+)$/m.exec(text)?.[1];
  const present = versionOf(readFileSync(join(chart, "Chart.yaml"), "utf8"));
  const commits = git("log", "--format=%H", "--", `${path}/Chart.yaml`).trim().split("\n");
  const commit = commits.find((each) => versionOf(git("show", `${each}:${path}/Chart.yaml`)) !== present);
  if (commit === undefined) throw new Error(`git has no chart of another version than ${present}`);
  const file = join(folder, "previous.tar");
  git("archive", "--output", file, commit, path);
  execFileSync("tar", ["-x", "-f", file, "-C", folder]);
  return join(folder, path);
}

const at = (apiVersion: string, resource: string, namespace: string, name: string) => ({
  ...{ apiVersion, resource, namespace, name },
});
const dataOf = async (namespace: string, name: string) =>
  (await admin.get<SecretObject>(at("v1", "secrets", namespace, name))).data;

beforeAll(() => {
  mkdirSync(folder, { recursive: true });
  previous = previousChart();
});

describe.each(["single", "fleet"])("a release of the form %s", (form) => {
  const namespace = `upgraded-${form}`;
  const webhook = {
    ...{ apiVersion: "admissionregistration.k8s.io/v1", resource: "mutatingwebhookconfigurations" },
    name: `${namespace}-nexusd-injector`,
  };

  beforeAll(async () => {
    await makeNamespace(admin, namespace);
    const on = { enabled: true };
    const image = { repository: "registry.test.internal/nexusd" };
    writeFileSync(values, JSON.stringify({ form, image, injector: on, resourceController: on }));
    await helm(namespace, "install", "nexusd", previous, "-f", values);
  });

  afterAll(async () => {
    await helm(namespace, "uninstall", "nexusd", "--no-hooks");
  });

  it("keeps its keys, its volumes, its custom resources and a grant over an upgrade from the previous chart", {
    timeout: 120_000,
  }, async () => {
    const secrets = ["nexusd-keys", "nexusd-tls"];
    const before = await Promise.all(secrets.map((name) => dataOf(namespace, name)));
    const keyOf = (data: SecretObject["data"], name = "encryption.key") =>
      Buffer.from(data?.[name] ?? "", "base64").toString();
    const { metadata } = await admin.get(at("v1", "secrets", namespace, "nexusd-keys"));
    expect(metadata.annotations).toMatchObject({ "helm.sh/resource-policy": "keep" });
    expect(Buffer.from(keyOf(before[0]), "base64")).toHaveLength(32);
    expect(keyOf(before[0], "admin.key")).toMatch(/^[0-9a-f]{64}$/);
    const world = await World.make({}, await Place.make({ NEXUS_ENCRYPTION_KEY: keyOf(before[0]) }));
    const connectionId = await world.connect(await world.register());
    await world.stop();
    const set = at("apps/v1", "statefulsets", namespace, "nexusd");
    const { uid } = (await admin.get(set)).metadata;
    const connection = at("nexusd.dev/v1alpha1", "connections", namespace, "kept");
    await admin.apply(connection, {
      ...{ apiVersion: "nexusd.dev/v1alpha1", kind: "Connection", metadata: { name: "kept" } },
      spec: { provider: "op" },
    });
    const caBundle = readFileSync(join(place.folder, "certs/apiserver.crt")).toString("base64");
    const trusting = (await webhooks()).map((each) => ({
      ...each,
      clientConfig: { ...each.clientConfig, caBundle },
    }));
    await admin.patch(webhook, { webhooks: trusting });

    const isDefinition = ({ kind }: KubernetesObject) => kind === "CustomResourceDefinition";
    await applyAll(admin, rendered().objects.filter(isDefinition));
    const upgraded = helm(namespace, "upgrade", "nexusd", chart, "-f", values);
    if (form === "fleet") await finishJob("nexusd-migrate");
    await upgraded;

    expect(await Promise.all(secrets.map((name) => dataOf(namespace, name)))).toEqual(before);
    expect((await admin.get(set)).metadata.uid).toBe(uid);
    expect(await admin.get(connection)).toMatchObject({ spec: { provider: "op", deletionPolicy: "Revoke" } });
    expect((await webhooks()).map(({ clientConfig }) => clientConfig["caBundle"])).toEqual([
      caBundle,
      caBundle,
    ]);
    const { stdout } = await helm(namespace, "list", "-o", "json");
    expect(JSON.parse(stdout)).toMatchObject([{ status: "deployed", revision: "2" }]);
    await world.start();
    const { token } = await world.clients.tokens.getToken({ connectionId });
    expect(token?.credentials["access_token"]).toBeTruthy();
    await world.close();
  });

  it("passes `helm test` when its pod ends well, and fails it when not", async () => {
    for (const phase of ["Succeeded", "Failed"]) {
      const tested = helm(namespace, "test", "nexusd", "--timeout", "30s").then(
        () => "Succeeded",
        () => "Failed",
      );
      // What a kubelet does.
      const pod = at("v1", "pods", namespace, "nexusd-test");
      await expect.poll(async () => await admin.find(pod)).toBeDefined();
      await admin.patch({ ...pod, subresource: "status" }, { status: { phase } });
      expect(await tested).toBe(phase);
    }
    await admin.delete(at("v1", "pods", namespace, "nexusd-test"));
  });

  it("has the same keys after it was uninstalled and installed again", async () => {
    const before = await dataOf(namespace, "nexusd-keys");
    await uninstall();
    expect(await admin.find(at("v1", "secrets", namespace, "nexusd-tls"))).toBeUndefined();
    await helm(namespace, "install", "nexusd", chart, "-f", values);
    expect(await dataOf(namespace, "nexusd-keys")).toEqual(before);
  });

  async function webhooks() {
    type Configuration = KubernetesObject & {
      readonly webhooks: readonly (JsonObject & { readonly clientConfig: JsonObject })[];
    };
    return (await admin.get<Configuration>(webhook)).webhooks;
  }

  /** With the Job that releases the custom resources. */
  async function uninstall(): Promise<void> {
    await Promise.all([helm(namespace, "uninstall", "nexusd"), finishJob("nexusd-uninstall")]);
  }

  /** What the controller of Jobs does when the pod of a Job has ended. */
  async function finishJob(name: string): Promise<void> {
    const job = at("batch/v1", "jobs", namespace, name);
    await expect.poll(async () => await admin.find(job)).toBeDefined();
    const now = new Date().toISOString().replace(/\.\d+/, "");
    const condition = { status: "True", lastTransitionTime: now, lastProbeTime: now };
    const conditions = ["SuccessCriteriaMet", "Complete"].map((type) => ({ ...condition, type }));
    const status = { startTime: now, completionTime: now, succeeded: 1, conditions };
    await admin.patch({ ...job, subresource: "status" }, { status });
  }
});
