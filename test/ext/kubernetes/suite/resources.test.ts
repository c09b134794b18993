import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, inject, it, vi } from "vitest";
import type { KubernetesObject, SecretObject } from "../../../../src/ext/kubernetes/api/objects.js";
import type { CustomObject } from "../../../../src/ext/kubernetes/resources/custom_objects.js";
import { ConnectionStatus } from "../../../../src/gen/nexus/v1/connection_pb.js";
import type { JsonObject } from "../../../../src/model/json.js";
import { Place, World } from "../../../daemon/harness.js";
import { Browser, consent } from "../../../fakes/browser.js";
import { temporaryFolder } from "../../../temporary_folder.js";
import { applyAll, credentialsOf, makeNamespace, release, rendered } from "./chart.js";
import { clientOf, restartApiServer } from "./cluster.js";
import { kubeconfigOf } from "./helm.js";

const place = inject("cluster");
const admin = clientOf(place);
const own = release.namespace;
const group = "nexusd.dev/v1alpha1";
const finalizers = ["nexusd.dev/revoke"];
let world: World;

type Resource = "providers" | "connections" | "accessgrants";
const kinds = { providers: "Provider", connections: "Connection", accessgrants: "AccessGrant" };

const at = (resource: Resource, name: string, namespace: string) => ({
  ...{ apiVersion: group, resource, namespace, name },
});

async function make(resource: Resource, name: string, spec: JsonObject, namespace: string): Promise<void> {
  await admin.apply(at(resource, name, namespace), {
    ...{ apiVersion: group, kind: kinds[resource], metadata: { name, namespace }, spec },
  });
}

async function look(resource: Resource, name: string, namespace: string): Promise<CustomObject | undefined> {
  return await admin.find<CustomObject>(at(resource, name, namespace));
}

async function readyOf(resource: Resource, name: string, namespace: string) {
  const object = await look(resource, name, namespace);
  return object?.status?.conditions?.find(({ type }) => type === "Ready");
}

async function untilReady(resource: Resource, name: string, namespace: string, reason: string) {
  await expect
    .poll(async () => (await readyOf(resource, name, namespace))?.reason, { timeout: 45_000 })
    .toBe(reason);
  return (await look(resource, name, namespace)) as CustomObject;
}

async function makeSecret(name: string, files: Readonly<Record<string, string>>): Promise<void> {
  const data = Object.entries(files).map(([file, text]) => [file, Buffer.from(text).toString("base64")]);
  await admin.apply(
    { apiVersion: "v1", resource: "secrets", namespace: own, name },
    { apiVersion: "v1", kind: "Secret", metadata: { name }, data: Object.fromEntries(data) },
  );
}

/** Reasons and messages of the events of an object. */
async function eventsOf(namespace: string, name: string): Promise<string[]> {
  type Event = KubernetesObject & {
    readonly reason: string;
    readonly message: string;
    readonly involvedObject: { readonly name: string };
  };
  const { items } = await admin.list<Event>({ apiVersion: "v1", resource: "events", namespace });
  return items
    .filter(({ involvedObject }) => involvedObject.name === name)
    .map(({ reason, message }) => `${reason}: ${message}`);
}

/** Name and value of each column that `kubectl get` shows of one object. */
function columnsOf(resource: Resource, name: string, namespace: string): Record<string, string> {
  const cluster = [`--server=${place.url}`, `--token=${place.token}`];
  const trust = `--certificate-authority=${join(place.folder, "certs/apiserver.crt")}`;
  const get = ["get", resource, name, "--namespace", namespace];
  const text = execFileSync("kubectl", [...cluster, trust, ...get], { encoding: "utf8" });
  const [header = "", values = ""] = text.split("\n");
  return Object.fromEntries(
    [...header.matchAll(/\S+ */g)].map(({ 0: column, index }) => [
      column.trim(),
      values.slice(index, index + column.length).trim(),
    ]),
  );
}

const policy = `bindings:
  - principals: ["jwt:system:serviceaccount:*"]
    role: agent
    user_ids: ["{namespace}/{serviceaccount}"]
`;

beforeAll(async () => {
  for (const name of [own, "team", "exporting"]) await makeNamespace(admin, name);
  const resourceController = {
    enabled: true,
    namespaces: ["team", "exporting"],
    exportNamespaces: ["exporting"],
  };
  const { objects } = rendered({ resourceController });
  const wanted = ["CustomResourceDefinition", "Role", "RoleBinding", "ServiceAccount"];
  await applyAll(
    admin,
    objects.filter(({ kind }) => wanted.includes(kind)),
  );
  await vi.waitFor(() => admin.list({ apiVersion: group, resource: "connections" }), { timeout: 20_000 });
  const policyFile = join(temporaryFolder(), "policy.yaml");
  writeFileSync(policyFile, policy);
  const url = new URL(place.url);
  const settings = {
    NEXUS_POLICY_FILE: policyFile,
    NEXUS_KUBERNETES_NAMESPACES: "team,exporting",
    NEXUS_KUBERNETES_EXPORT_NAMESPACES: "exporting",
    NEXUS_KUBERNETES_CREDENTIALS: await credentialsOf(place, own, release.name),
    KUBERNETES_SERVICE_HOST: url.hostname,
    KUBERNETES_SERVICE_PORT: url.port,
  };
  world = await World.make({}, await Place.make(settings));
  await makeSecret("op", { "client-secret": "the-secret" });
});

afterAll(async () => {
  await world.close();
});

it.each<[string, Resource, JsonObject, string]>([
  ["a provider with its secret in the object", "providers", { clientId: "c", clientSecret: "s" }, "Secret"],
  ["a provider of nothing", "providers", {}, "authType"],
  [
    "a provider with discovery and URLs",
    "providers",
    { clientId: "c", enableDiscovery: true, tokenUrl: "https://x" },
    "exclude",
  ],
  ["a connection without a provider", "connections", {}, "provider"],
  ["a scope with a space", "connections", { provider: "op", scopes: ["a b"] }, "scopes"],
  [
    "a deletion policy that there is not",
    "connections",
    { provider: "op", deletionPolicy: "Keep" },
    "deletionPolicy",
  ],
  ["a grant of everything", "accessgrants", { subjects: [{ namespace: "team" }] }, "users"],
  ["a grant for nobody", "accessgrants", { subjects: [], users: ["*"] }, "subjects"],
])("the API server refuses %s", async (_, resource, spec, word) => {
  const refused = make(resource, "refused", spec, own);
  await expect(refused).rejects.toMatchObject({ status: 422, message: expect.stringContaining(word) });
});

it("the API server refuses to change whose connection it is", async () => {
  await make("connections", "fixed", { provider: "none", user: "a" }, own);
  const changed = make("connections", "fixed", { provider: "none", user: "b" }, own);
  await expect(changed).rejects.toMatchObject({
    status: 422,
    message: expect.stringContaining("user cannot be changed"),
  });
});

it("keeps a provider as its object says, its secret by reference, and says what is wrong with one", async () => {
  const spec = {
    authType: "oauth2",
    clientId: "client",
    issuer: world.provider.issuer,
    enableDiscovery: true,
  };
  await make("providers", "unknown", { ...spec, clientSecretRef: { name: "nowhere" } }, own);
  expect((await untilReady("providers", "unknown", own, "SecretMissing")).metadata.finalizers).toEqual(
    finalizers,
  );
  await make("providers", "wrong", { ...spec, scopes: ["a b"] }, own);
  await untilReady("providers", "wrong", own, "Invalid");

  await make("providers", "kept", { ...spec, scopes: ["openid"], clientSecretRef: { name: "op" } }, own);
  await untilReady("providers", "kept", own, "Applied");
  const kept = () => world.clients.providers.getProvider({ key: { case: "name", value: "kept" } });
  expect((await kept()).provider).toMatchObject({
    clientId: "client",
    scopes: ["openid"],
    clientSecretSet: true,
  });
  await make(
    "providers",
    "kept",
    { ...spec, scopes: ["openid", "email"], clientSecretRef: { name: "op" } },
    own,
  );
  await expect.poll(async () => (await kept()).provider?.scopes).toEqual(["openid", "email"]);

  for (const name of ["unknown", "wrong", "kept"]) await admin.delete(at("providers", name, own));
  await expect.poll(() => look("providers", "kept", own)).toBeUndefined();
  await expect(kept()).rejects.toThrow("not found");
});

it("leads a user to consent, shows the account, exports the token where it may, and revokes what is deleted", {
  timeout: 120_000,
}, async () => {
  await world.register("op");
  const spec = { provider: "op", exportTo: { secretName: "op-token" } };
  for (const namespace of ["team", "exporting"]) await make("connections", "mail", spec, namespace);
  for (const namespace of ["team", "exporting"]) {
    const { status } = await untilReady("connections", "mail", namespace, "ConsentRequired");
    expect(status).toMatchObject({ user: `${namespace}/default`, state: "PENDING" });
    const page = await consent(new Browser(), String(status?.["consentUrl"]));
    expect(page.status).toBe(200);
    expect((await untilReady("connections", "mail", namespace, "Connected")).status).toMatchObject({
      ...{ state: "ACTIVE", account: "ada", expiresAt: expect.any(String) },
    });
  }
  expect(columnsOf("connections", "mail", "team")).toMatchObject({
    ...{ NAME: "mail", PROVIDER: "op", STATE: "ACTIVE", ACCOUNT: "ada" },
    ...{ EXPIRES: expect.stringMatching(/^\d{4}-.*Z$/), AGE: expect.stringMatching(/^\d+[smh]/) },
  });
  const exportedOf = async (namespace: string) =>
    (await look("connections", "mail", namespace))?.status?.conditions?.find(
      ({ type }) => type === "Exported",
    );
  expect(await exportedOf("team")).toMatchObject({ status: "False", reason: "NotAllowed" });
  await expect.poll(() => exportedOf("exporting")).toMatchObject({ status: "True" });
  const secret = { apiVersion: "v1", resource: "secrets", name: "op-token" };
  expect(await admin.find({ ...secret, namespace: "team" })).toBeUndefined();
  const { data } = await admin.get<SecretObject>({ ...secret, namespace: "exporting" });
  const name = { providerName: "op", userId: "exporting/default", label: "" };
  const { result } = await world.clients.tokens.acquireToken(name);
  const held = result.case === "token" ? result.value.credentials["access_token"] : undefined;
  expect(Buffer.from(data?.["token"] ?? "", "base64").toString()).toBe(held);

  const reasons = (await eventsOf("team", "mail")).map((text) => text.split(":")[0]);
  expect(reasons).toEqual(expect.arrayContaining(["ConsentRequired", "Connected"]));

  await admin.delete(at("connections", "mail", "exporting"));
  await expect.poll(() => look("connections", "mail", "exporting")).toBeUndefined();
  expect(await admin.find({ ...secret, namespace: "exporting" })).toBeUndefined();
  await expect(world.clients.connections.getConnection({ name })).rejects.toThrow("not found");
});

it("keeps a grant that two Connections have until the second one is deleted", {
  timeout: 120_000,
}, async () => {
  const spec = { provider: "op", label: "both" };
  const name = { providerName: "op", userId: "team/default", label: "both" };
  for (const each of ["one", "two"]) await make("connections", each, spec, "team");
  const { status } = await untilReady("connections", "one", "team", "ConsentRequired");
  await consent(new Browser(), String(status?.["consentUrl"]));
  for (const each of ["one", "two"]) await untilReady("connections", each, "team", "Connected");
  expect(columnsOf("connections", "one", "team")).toMatchObject({ READY: "True", REASON: "Connected" });
  const stateOf = async () => (await world.clients.connections.getConnection({ name })).connection?.status;

  await admin.delete(at("connections", "one", "team"));
  await expect.poll(() => look("connections", "one", "team")).toBeUndefined();
  expect(await stateOf()).toBe(ConnectionStatus.ACTIVE);
  expect(await eventsOf("team", "one")).toContainEqual(
    "Kept: the grant stays: the Connection team/two has it, too",
  );
  // One that may not use the connection does not hold the grant.
  await make("connections", "stranger", { ...spec, user: "team/default" }, "exporting");
  await untilReady("connections", "stranger", "exporting", "Denied");
  // Nor one that came while nexusd was away and goes with it; one that stays does.
  await world.stop();
  await make("connections", "three", spec, "team");
  await admin.delete(at("connections", "two", "team"));
  await world.start();
  await expect.poll(() => look("connections", "two", "team")).toBeUndefined();
  expect(await stateOf()).toBe(ConnectionStatus.ACTIVE);
  await admin.delete(at("connections", "three", "team"));
  await expect.poll(() => look("connections", "three", "team")).toBeUndefined();
  await expect(stateOf()).rejects.toThrow("not found");
  await admin.delete(at("connections", "stranger", "exporting"));
});

it("holds a deleted provider until its connections are ended and their grants revoked at the provider", {
  timeout: 120_000,
}, async () => {
  await world.register("leaving");
  const { clientId, clientSecret } = world.provider.clients.post;
  await makeSecret("leaving", { "client-secret": clientSecret });
  const { issuer } = world.provider;
  const spec = { authType: "oauth2", clientId, issuer, enableDiscovery: true, scopes: ["openid", "email"] };
  await make("providers", "leaving", { ...spec, clientSecretRef: { name: "leaving" } }, own);
  await untilReady("providers", "leaving", own, "Applied");
  await make("connections", "leaving", { provider: "leaving" }, "team");
  const { status } = await untilReady("connections", "leaving", "team", "ConsentRequired");
  await consent(new Browser(), String(status?.["consentUrl"]));
  await untilReady("connections", "leaving", "team", "Connected");
  const name = { providerName: "leaving", userId: "team/default", label: "" };
  const { result } = await world.clients.tokens.acquireToken(name);
  const token = result.case === "token" ? result.value.credentials["access_token"] : "";
  const isLiving = async () =>
    (await fetch(world.provider.userinfoEndpoint, { headers: { authorization: `Bearer ${token}` } })).status;
  expect(await isLiving()).toBe(200);

  await world.provider.setOutage("503");
  await admin.delete(at("providers", "leaving", own));
  const held = await untilReady("providers", "leaving", own, "Revoking");
  expect(held.metadata.finalizers).toEqual(finalizers);
  const profile = () => world.clients.providers.getProvider({ key: { case: "name", value: "leaving" } });
  await expect(profile()).resolves.toBeDefined();
  await expect
    .poll(async () => (await world.clients.connections.getConnection({ name })).connection?.status)
    .toBe(ConnectionStatus.REVOKED);
  await world.provider.setOutage("none");
  world.clock.advance(120_000);
  await expect.poll(() => look("providers", "leaving", own)).toBeUndefined();
  await expect(profile()).rejects.toThrow("not found");
  expect(await isLiving()).toBe(401);
  expect(await eventsOf(own, "leaving")).toContainEqual(
    expect.stringContaining("Deleted: the profile is deleted; 1 grants were revoked at the provider"),
  );
  await admin.delete(at("connections", "leaving", "team"));
  await expect.poll(() => look("connections", "leaving", "team")).toBeUndefined();
});

it("lets a deleted provider with deletionPolicy Retain go, and says how many connections keep their token", async () => {
  const connectionId = await world.connect(await world.register("retained"));
  const { clientId, clientSecret } = world.provider.clients.post;
  await makeSecret("retained", { "client-secret": clientSecret });
  const { issuer } = world.provider;
  const spec = { authType: "oauth2", clientId, issuer, enableDiscovery: true, scopes: ["openid", "email"] };
  const secret = { clientSecretRef: { name: "retained" }, deletionPolicy: "Retain" };
  await make("providers", "retained", { ...spec, ...secret }, own);
  await untilReady("providers", "retained", own, "Applied");
  await admin.delete(at("providers", "retained", own));
  await expect.poll(() => look("providers", "retained", own)).toBeUndefined();
  expect((await world.clients.connections.getConnection({ connectionId })).connection?.status).toBe(
    ConnectionStatus.ACTIVE,
  );
  expect(await eventsOf(own, "retained")).toContainEqual(
    expect.stringContaining("and 1 connections keep their token"),
  );
});

it("grants a service account what an AccessGrant says, for as long as it is there", async () => {
  const spec = { provider: "op", user: "shared" };
  await make("connections", "shared", spec, "team");
  await untilReady("connections", "shared", "team", "Denied");
  const subjects = [{ namespace: "team", serviceAccountName: "default" }];
  await make("accessgrants", "shared", { subjects, users: ["shared"], providers: ["op"] }, own);
  expect((await untilReady("accessgrants", "shared", own, "InForce")).status?.conditions).toHaveLength(1);
  expect(columnsOf("accessgrants", "shared", own)).toMatchObject({
    ...{ READY: "True", REASON: "InForce", PROVIDERS: '["op"]', USERS: '["shared"]' },
  });
  await untilReady("connections", "shared", "team", "ConsentRequired");
  const ruleOf = async () => {
    const principal = "jwt:system:serviceaccount:team:default";
    return (await world.clients.access.explainAccess({ principal, action: "token.read" })).rule;
  };
  expect(await ruleOf()).toContain("the AccessGrant shared");
  await make("accessgrants", "taken", { subjects, users: ["*"] }, own);
  await untilReady("accessgrants", "taken", own, "Conflict");
  expect((await look("accessgrants", "shared", own))?.metadata.finalizers).toEqual(finalizers);
  // What was deleted while nexusd was away stays until no hub grants by it.
  await world.stop();
  for (const name of ["taken", "shared"]) await admin.delete(at("accessgrants", name, own));
  expect((await look("accessgrants", "shared", own))?.metadata.deletionTimestamp).toBeDefined();
  await world.start();
  for (const name of ["taken", "shared"])
    await expect.poll(() => look("accessgrants", name, own)).toBeUndefined();
  expect(await ruleOf()).toContain("the policy file");
  expect(await eventsOf(own, "shared")).toContainEqual("Ended: it binds nobody any more");
  // The service account may not revoke it any more, and the object is not held for that.
  await admin.delete(at("connections", "shared", "team"));
  await expect.poll(() => look("connections", "shared", "team")).toBeUndefined();
});

it("gives each service account a label of its own where a grant's template says so", async () => {
  const subjects = [{ namespace: "team" }];
  const users = ["{namespace}"];
  await make("accessgrants", "labels", { subjects, users, labels: ["{serviceaccount}"] }, own);
  await untilReady("accessgrants", "labels", own, "InForce");
  const spec = { provider: "op", user: "team" };
  await make("connections", "own-label", { ...spec, label: "default" }, "team");
  await make("connections", "other-label", { ...spec, label: "crawler" }, "team");
  await untilReady("connections", "own-label", "team", "ConsentRequired");
  await untilReady("connections", "other-label", "team", "Denied");
  for (const name of ["own-label", "other-label"]) await admin.delete(at("connections", name, "team"));
  await expect.poll(() => look("connections", "own-label", "team")).toBeUndefined();
  await admin.delete(at("accessgrants", "labels", own));
  await expect.poll(() => look("accessgrants", "labels", own)).toBeUndefined();
});

it("lets objects go whose nexusd is gone, by the commands of the document", async () => {
  const page = readFileSync(join(import.meta.dirname, "../../../../docs/kubernetes.md"), "utf8");
  const [commands = ""] = /^for kind in connections[\s\S]*?^done$/m.exec(page) ?? [];
  // No daemon reconciles this namespace.
  await makeNamespace(admin, "abandoned");
  await make("connections", "held", { provider: "op" }, "abandoned");
  await admin.patch(at("connections", "held", "abandoned"), { metadata: { finalizers } });
  await admin.delete(at("connections", "held", "abandoned"));
  expect((await look("connections", "held", "abandoned"))?.metadata.deletionTimestamp).toBeDefined();
  execFileSync("bash", ["-euc", commands], {
    env: { ...process.env, KUBECONFIG: kubeconfigOf(place) },
    stdio: "pipe",
  });
  expect(await look("connections", "held", "abandoned")).toBeUndefined();
});

it("goes on where it was when the API server and the daemon are killed in the middle", {
  timeout: 180_000,
}, async () => {
  const names = Array.from({ length: 40 }, (_, index) => `many-${index}`);
  const specOf = (label: string) => ({ provider: "op", label });
  await Promise.all(names.slice(0, 20).map((name) => make("connections", name, specOf(name), "team")));
  await restartApiServer(place);
  await Promise.all(names.slice(20).map((name) => make("connections", name, specOf(name), "team")));
  await world.stop();
  await world.start();
  const reasons = async () => {
    const { items } = await admin.list<CustomObject>({
      apiVersion: group,
      resource: "connections",
      namespace: "team",
    });
    const many = items.filter(({ metadata }) => names.includes(metadata.name));
    return many.filter(({ status }) => status?.conditions?.[0]?.reason === "ConsentRequired").length;
  };
  await expect.poll(reasons, { timeout: 90_000 }).toBe(names.length);
  const { connections } = await world.clients.connections.listConnections({
    userId: "team/default",
    pageSize: 1000,
  });
  const labels = connections.map(({ label }) => label).filter((label) => names.includes(label));
  // Each once, whatever was done twice.
  expect(labels.sort()).toEqual([...names].sort());
  await Promise.all(names.map((name) => admin.delete(at("connections", name, "team"))));
  await expect.poll(async () => await reasons(), { timeout: 60_000 }).toBe(0);
});

it("keeps 1 000 Connections", { timeout: 400_000 }, async () => {
  const count = 1_000;
  const subjects = [{ namespace: "exporting", serviceAccountName: "default" }];
  await make("accessgrants", "thousand", { subjects, users: ["*"] }, own);
  await untilReady("accessgrants", "thousand", own, "InForce");
  const before = process.memoryUsage().rss;
  const startedAt = performance.now();
  for (let from = 0; from < count; from += 50)
    await Promise.all(
      Array.from({ length: 50 }, (_, index) =>
        make(
          "connections",
          `user-${from + index}`,
          { provider: "op", user: `user-${from + index}` },
          "exporting",
        ),
      ),
    );
  const createdAt = performance.now();
  const done = async () => {
    const { items } = await admin.list<CustomObject>({
      apiVersion: group,
      resource: "connections",
      namespace: "exporting",
    });
    return items.filter(({ status }) => status?.conditions?.[0]?.reason === "ConsentRequired").length;
  };
  await expect.poll(done, { timeout: 300_000, interval: 500 }).toBe(count);
  const seconds = (at: number) => ((at - startedAt) / 1_000).toFixed(1);
  const grownMiB = (process.memoryUsage().rss - before) / 1024 ** 2;
  console.log(
    `1 000 Connections: created in ${seconds(createdAt)} s, all with a link after ${seconds(performance.now())} s, ${grownMiB.toFixed(0)} MiB more (with the test)`,
  );
  expect(grownMiB).toBeLessThan(256);
});
