import { beforeAll, expect, inject, it, vi } from "vitest";
import { run } from "../../../../src/cli/program.js";
import type { CustomObject } from "../../../../src/ext/kubernetes/resources/custom_objects.js";
import type { JsonObject } from "../../../../src/model/json.js";
import { SystemClock } from "../../../../src/runtime/clock.js";
import { fakeShell } from "../../../cli/fake_shell.js";
import { applyAll, credentialsOf, makeNamespace, rendered } from "./chart.js";
import { clientOf } from "./cluster.js";

const place = inject("cluster");
const admin = clientOf(place);
const [own, team] = ["leaving", "left-behind"];
const apiVersion = "nexusd.dev/v1alpha1";
const ours = "nexusd.dev/revoke";
const others = "example.com/keep";
const values = { resourceController: { enabled: true, namespaces: [team] } };
const { objects } = rendered(values, [], own);
const hooks = objects.filter(({ metadata }) => metadata.annotations?.["helm.sh/hook"] === "post-delete");

const at = (resource: string, name: string, namespace: string) => ({ apiVersion, resource, namespace, name });

async function make(resource: string, kind: string, namespace: string, name: string, spec: JsonObject) {
  const metadata = { name, namespace, finalizers: [ours, others] };
  await admin.apply(at(resource, name, namespace), { apiVersion, kind, metadata, spec });
}

async function finalizersOf(resource: string, name: string, namespace: string) {
  const found = await admin.find<CustomObject>(at(resource, name, namespace));
  return found && (found.metadata.finalizers ?? []);
}

/** As the Job runs it. */
async function released() {
  const job = hooks.find(({ kind }) => kind === "Job") as unknown as {
    spec: { template: { spec: { serviceAccountName: string; containers: { args: string[] }[] } } };
  };
  const { serviceAccountName, containers } = job.spec.template.spec;
  const url = new URL(place.url);
  const env = { KUBERNETES_SERVICE_HOST: url.hostname, KUBERNETES_SERVICE_PORT: url.port };
  const shell = { ...fakeShell({ env }), clock: new SystemClock() };
  const credentials = await credentialsOf(place, own, serviceAccountName);
  const code = await run([...(containers[0]?.args ?? []), "--credentials", credentials], shell as never);
  return { code, out: shell.out(), err: shell.err() };
}

beforeAll(async () => {
  for (const name of [own, team]) await makeNamespace(admin, name);
  await applyAll(
    admin,
    [...objects.filter(({ kind }) => kind === "CustomResourceDefinition"), ...hooks],
    own,
  );
  await vi.waitFor(() => admin.list({ apiVersion, resource: "connections" }), { timeout: 20_000 });
});

it("makes a Job with the rights to release after all else is deleted, and takes all of it away again", () => {
  expect(hooks.map(({ kind, metadata }) => `${kind} ${metadata.namespace}`).sort()).toEqual([
    `Job ${own}`,
    `Role ${own}`,
    `Role ${team}`,
    `RoleBinding ${own}`,
    `RoleBinding ${team}`,
    `ServiceAccount ${own}`,
  ]);
  const policy = "before-hook-creation,hook-succeeded";
  for (const { metadata } of hooks) expect(metadata.annotations?.["helm.sh/hook-delete-policy"]).toBe(policy);
  for (const form of [{ form: "injector", ...values }, {}])
    expect(rendered(form, [], own).text).not.toContain("post-delete");
});

it("releases what is being deleted and what is not, and leaves finalizers of others", async () => {
  const spec = { provider: "github", serviceAccountName: "agent" };
  await make("connections", "Connection", team, "kept", spec);
  await make("connections", "Connection", team, "going", spec);
  await make("connections", "Connection", own, "beside", spec);
  await make("providers", "Provider", own, "github", { authType: "api_key" });
  await make("accessgrants", "AccessGrant", own, "grant", { subjects: [{ namespace: team }], users: ["*"] });
  await admin.patch(at("connections", "going", team), { metadata: { finalizers: [ours] } });
  await admin.delete(at("connections", "going", team));
  expect(await finalizersOf("connections", "going", team)).toEqual([ours]);

  expect(await released()).toEqual({ code: 0, out: "5 custom resources released\n", err: "" });
  expect(await finalizersOf("connections", "going", team)).toBeUndefined();
  for (const [resource, name, namespace] of [
    ["connections", "kept", team],
    ["connections", "beside", own],
    ["providers", "github", own],
    ["accessgrants", "grant", own],
  ] as const)
    expect([name, await finalizersOf(resource, name, namespace)]).toEqual([name, [others]]);
  expect(await released()).toMatchObject({ code: 0, out: "0 custom resources released\n" });
});

it("fails, so that the Job is tried again, where it may not", async () => {
  const role = hooks.find(({ kind, metadata }) => kind === "RoleBinding" && metadata.namespace === team);
  await admin.delete({
    ...{ apiVersion: "rbac.authorization.k8s.io/v1", resource: "rolebindings" },
    ...{ namespace: team, name: role?.metadata.name ?? "" },
  });
  const failed = vi.waitFor(async () => {
    const { code, err } = await released();
    expect([code, err]).toEqual([1, expect.stringContaining("Forbidden")]);
  }, 20_000);
  await failed;
});
