import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { connect } from "node:tls";
import { afterAll, beforeAll, describe, expect, inject, it, onTestFinished, vi } from "vitest";
import { KubernetesError } from "../../../../src/ext/kubernetes/api/kubernetes_api.js";
import type { KubernetesObject, SecretObject } from "../../../../src/ext/kubernetes/api/objects.js";
import { Injector } from "../../../../src/ext/kubernetes/injector/injector.js";
import type { Pod } from "../../../../src/ext/kubernetes/injector/pod.js";
import { forms } from "../../../../src/ext/kubernetes/injector/sidecar.js";
import { WebhookCertificate } from "../../../../src/ext/kubernetes/injector/webhook_certificate.js";
import type { JsonObject } from "../../../../src/model/json.js";
import { DaemonProcess } from "../../../daemon/daemon_process.js";
import { ManualClock } from "../../../fakes/manual_clock.js";
import { silentLog } from "../../../silent_log.js";
import { aPod, pods } from "../injector/pods.js";
import { applyAll, asServiceAccount, credentialsOf, makeNamespace, release, rendered } from "./chart.js";
import { clientOf, machineAddress, restartApiServer } from "./cluster.js";

const place = inject("cluster");
const admin = clientOf(place);
const { namespace } = release;
const names = { injector: "nexusd-injector", webhook: "agents-nexusd-injector" };
const dayMs = 86_400_000;
/** Behind, so that a certificate which is renewed is valid for the API server, too. */
const clock = new ManualClock(Date.now() - 61 * dayMs);
const options = {
  injector: names.webhook,
  image: "registry.example.com/nexusd:0.1.0",
  upstream: "https://nexusd.agents.svc",
  upstreamCa: "-----BEGIN CERTIFICATE-----\n",
  audience: "nexusd",
};
let injectors: Injector[] = [];
let port = 0;
let created = 0;

/** As the chart runs it: with the rights of its service account. */
async function openInjector(listenPort: number, of = namespace, given = options): Promise<number> {
  const api = await asServiceAccount(place, of, names.injector);
  const hosts = [`${names.injector}.${of}.svc`];
  const deps = { api, clock, log: silentLog, secret: names.injector, webhook: given.injector, hosts };
  const listen = { host: "0.0.0.0", port: listenPort };
  const certificate = new WebhookCertificate(deps);
  const injector = new Injector({ certificate, listen, options: () => given, clock, log: silentLog });
  injectors.push(injector);
  return await injector.open();
}

/** The objects of an injector that the chart makes, and what the controllers of a cluster would make for its Service. */
async function installInjector(of: string, given: typeof options, values: JsonObject = {}): Promise<number> {
  const { objects } = rendered({ injector: { enabled: true, ...values } }, [], of);
  const own = objects.filter(({ metadata }) => metadata.name.endsWith("-injector"));
  await applyAll(admin, own, of);
  const listening = await openInjector(0, of, given);
  await admin.apply(
    { apiVersion: "discovery.k8s.io/v1", resource: "endpointslices", namespace: of, name: names.injector },
    {
      ...{ apiVersion: "discovery.k8s.io/v1", kind: "EndpointSlice", addressType: "IPv4" },
      metadata: { name: names.injector, labels: { "kubernetes.io/service-name": names.injector } },
      endpoints: [{ addresses: [machineAddress()], conditions: { ready: true } }],
      ports: [{ name: "webhook", port: listening, protocol: "TCP" }],
    },
  );
  return listening;
}

async function closeInjectors(): Promise<void> {
  await Promise.all(injectors.map((each) => each.close()));
  injectors = [];
}

/** What the API server made of a pod. */
async function made(pod: Pod, change: Partial<Pod["metadata"]> = {}, of = namespace): Promise<Pod> {
  const name = `pod-${++created}`;
  const object = { ...pod, metadata: { ...pod.metadata, ...change, name } } as unknown as JsonObject;
  return await admin.create<Pod>({ apiVersion: "v1", resource: "pods", namespace: of }, object);
}

interface WebhookConfiguration extends KubernetesObject {
  readonly webhooks: readonly {
    readonly clientConfig: { readonly caBundle?: string };
    readonly namespaceSelector: { readonly matchExpressions?: readonly object[] };
  }[];
}

async function bundles(name = names.webhook): Promise<string[]> {
  const { webhooks } = await admin.get<WebhookConfiguration>({
    ...{ apiVersion: "admissionregistration.k8s.io/v1", resource: "mutatingwebhookconfigurations" },
    name,
  });
  return webhooks.map(({ clientConfig }) => Buffer.from(clientConfig.caBundle ?? "", "base64").toString());
}

const certificatesIn = (pem: string): number => pem.split("BEGIN CERTIFICATE").length - 1;

beforeAll(async () => {
  await makeNamespace(admin, namespace);
  await makeNamespace(admin, "plain");
  await makeNamespace(admin, "labeled", { "nexusd.dev/inject": "true" });
  port = await installInjector(namespace, options);
  await vi.waitFor(() => made(aPod()), { timeout: 30_000, interval: 200 });
});

afterAll(closeInjectors);

describe.each(forms)("the form %s", (form) => {
  it.each(Object.entries(pods))(
    "is admitted in a pod with %s, ahead of its containers",
    async (_, { pod }) => {
      const annotations = { ...pod().metadata.annotations, "nexusd.dev/form": form };
      const { spec, metadata } = await made(pod(), { annotations });
      const all = spec.initContainers ?? [];
      if (form === "egress") expect(all.map(({ name }) => name)).not.toContain("nexusd");
      else expect(all[0]).toMatchObject({ name: "nexusd", restartPolicy: "Always" });
      expect(metadata.annotations).toMatchObject({ "nexusd.dev/injected": form });
    },
  );
});

it("asks about the pods of a labeled namespace, but for one that says no", async () => {
  const unlabeled = { labels: {} };
  const { spec } = await made(aPod(), unlabeled, "labeled");
  expect(spec.initContainers).toHaveLength(1);
  const opted = await made(aPod(), { labels: { "nexusd.dev/inject": "false" } }, "labeled");
  expect(opted.spec.initContainers).toBeUndefined();
});

it("leaves every other pod as it is", async () => {
  const { spec, metadata } = await made(aPod(), { labels: { app: "other" } }, "plain");
  expect(spec.initContainers).toBeUndefined();
  expect(metadata.annotations).toBeUndefined();
});

describe("beside a second release with an injector", () => {
  const staging = {
    ...{ ...options, injector: "staging-nexusd-injector", image: "registry.example.com/nexusd:0.2.0" },
    upstream: "https://nexusd.staging.svc",
  };
  const webhookOf = (name: string) => ({
    ...{ apiVersion: "admissionregistration.k8s.io/v1", resource: "mutatingwebhookconfigurations", name },
  });
  /** Which of the two made the sidecar, and whether nothing of it is the other one's. */
  async function injectorOf(of: string): Promise<string> {
    const { spec, metadata } = await made(aPod(), {}, of);
    const [sidecar] = spec.initContainers ?? [];
    const text = JSON.stringify({ sidecar, metadata });
    const [own, other] = text.includes(staging.image) ? [staging, options] : [options, staging];
    expect(text).toContain(own.upstream);
    for (const strange of [other.upstream, other.image, other.injector]) expect(text).not.toContain(strange);
    expect(spec.initContainers).toHaveLength(1);
    return own.injector;
  }

  beforeAll(async () => {
    await makeNamespace(admin, "staging");
    await installInjector("staging", staging);
  });

  afterAll(() => admin.delete(webhookOf(staging.injector)));

  it("injects each pod once and whole", async () => {
    await vi.waitFor(async () => expect((await bundles(staging.injector)).join("")).toContain("BEGIN"));
    for (const of of [namespace, "plain", "staging"]) expect(await injectorOf(of)).toBe(options.injector);
  });

  it("keeps to the namespaces that its release selects", async () => {
    const select = async (of: string, operator: string) => {
      const matchExpressions = [{ key: "kubernetes.io/metadata.name", operator, values: ["staging"] }];
      const { objects } = rendered(
        { injector: { enabled: true, namespaceSelector: { matchExpressions } } },
        [],
        of,
      );
      await applyAll(
        admin,
        objects.filter(({ kind }) => kind === "MutatingWebhookConfiguration"),
      );
    };
    await select(namespace, "NotIn");
    await select("staging", "In");
    await expect.poll(() => injectorOf("staging")).toBe(staging.injector);
    expect(await injectorOf(namespace)).toBe(options.injector);
    expect(await injectorOf("plain")).toBe(options.injector);
    const { webhooks } = await admin.get<WebhookConfiguration>(webhookOf(staging.injector));
    const labeled = { key: "nexusd.dev/inject", operator: "In", values: ["true"] };
    expect(webhooks.map(({ namespaceSelector }) => namespaceSelector.matchExpressions?.at(-1))).toEqual([
      ...[expect.objectContaining({ key: "kubernetes.io/metadata.name" }), labeled],
    ]);
  });
});

it("refuses host networking with a reason that the user reads", async () => {
  const pod = made(aPod({ spec: { hostNetwork: true } }));
  await expect(pod).rejects.toMatchObject({ status: 403, message: expect.stringContaining("hostNetwork") });
});

it("refuses labeled pods alone while no injector answers, and admits them again afterwards", async () => {
  await closeInjectors();
  await expect(made(aPod())).rejects.toBeInstanceOf(KubernetesError);
  expect((await made(aPod(), { labels: {} }, "plain")).spec.initContainers).toBeUndefined();
  await openInjector(port);
  expect((await made(aPod())).spec.initContainers).toHaveLength(1);
});

it("goes on when the API server is killed and comes back", { timeout: 120_000 }, async () => {
  await restartApiServer(place);
  const again = () =>
    made(aPod()).then(
      ({ spec }) => spec.initContainers?.length,
      () => 0,
    );
  await expect.poll(again, { timeout: 30_000 }).toBe(1);
});

it("renews its certificate a month before it expires, and both are trusted until every replica has it", async () => {
  const [before = ""] = await bundles();
  expect(certificatesIn(before)).toBe(1);
  clock.advance(61 * dayMs);
  await expect.poll(async () => (await bundles()).map(certificatesIn)).toEqual([2, 2]);
  const [after = ""] = await bundles();
  expect(after).toContain(before);
  const presented = async (): Promise<string> => {
    const socket = connect({ host: machineAddress(), port, rejectUnauthorized: false });
    await once(socket, "secureConnect");
    const { raw } = socket.getPeerX509Certificate() ?? {};
    socket.destroy();
    return new X509Certificate(raw ?? "").fingerprint256;
  };
  const fingerprints = (pem: string): string[] =>
    pem.split(/(?=-----BEGIN)/).map((each) => new X509Certificate(each).fingerprint256);
  expect(fingerprints(before)).toContain(await presented());
  // Each time: the injector may still read the answer of the API server, and set its next check afterwards.
  const atTheNextCheck = async () => {
    clock.advance(11 * 60_000);
    return await presented();
  };
  await expect.poll(atTheNextCheck).not.toBe(fingerprints(before)[0]);
  expect(fingerprints(after)).toContain(await presented());
  expect((await made(aPod())).spec.initContainers).toHaveLength(1);
});

it("has the API server trust its certificate again when its caBundle was emptied", async () => {
  const before = await bundles();
  const webhook = {
    ...{ apiVersion: "admissionregistration.k8s.io/v1", resource: "mutatingwebhookconfigurations" },
    name: names.webhook,
  };
  const { webhooks } = await admin.get<WebhookConfiguration>(webhook);
  const emptied = webhooks.map((each) => ({
    ...each,
    clientConfig: { ...each.clientConfig, caBundle: null },
  }));
  await admin.patch(webhook, { webhooks: emptied as unknown as JsonObject[] });
  expect(await bundles()).toEqual(["", ""]);
  const mended = async () => {
    // Seconds, where the next check by itself is ten minutes away.
    clock.advance(1_000);
    return await bundles();
  };
  await expect.poll(mended).toEqual(before);
  await expect.poll(async () => (await made(aPod())).spec.initContainers?.length).toBe(1);
});

it("shares its certificate with a replica that starts later", async () => {
  const secret = { apiVersion: "v1", resource: "secrets", namespace, name: names.injector };
  const { data } = await admin.get<SecretObject>(secret);
  await openInjector(0);
  expect((await admin.get<SecretObject>(secret)).data).toEqual(data);
});

it("reads no other Secret of its namespace", async () => {
  const api = await asServiceAccount(place, namespace, names.injector);
  const secrets = api.list({ apiVersion: "v1", resource: "secrets", namespace });
  await expect(secrets).rejects.toMatchObject({ status: 403 });
});

it("admits every pod again after its process was killed in the middle of an apply", {
  timeout: 60_000,
}, async () => {
  await closeInjectors();
  const account = "/run/secrets/kubernetes.io/serviceaccount";
  const credentials = await credentialsOf(place, namespace, names.injector);
  const pod = ["--dev-bind", "/", "/", "--tmpfs", "/run", "--ro-bind", credentials, account];
  const { hostname, port: apiPort } = new URL(place.url);
  const environment = { KUBERNETES_SERVICE_HOST: hostname, KUBERNETES_SERVICE_PORT: apiPort };
  const flags = [
    `--listen=0.0.0.0:${port}`,
    `--image=${options.image}`,
    `--service=${names.injector}`,
    `--upstream=${options.upstream}`,
  ];
  const args = ["injector", ...flags, `--secret=${names.injector}`, `--webhook=${names.webhook}`];
  const start = () => new DaemonProcess(environment, args, ["bwrap", ...pod, "--die-with-parent", "--"]);
  const first = start();
  onTestFinished(() => first.kill("SIGKILL").then());
  await first.wrote(/"the injector is ready"/);
  const [before] = await bundles();
  const many = Array.from({ length: 40 }, () =>
    made(aPod()).then(
      ({ spec }) => spec.initContainers?.length,
      () => "refused",
    ),
  );
  expect(await Promise.race(many)).toBe(1);
  await first.kill("SIGKILL");
  // Injected or refused, and never a labeled pod without the daemon.
  expect(new Set([1, "refused", ...(await Promise.all(many))])).toEqual(new Set([1, "refused"]));
  const second = start();
  onTestFinished(() => second.kill("SIGKILL").then());
  await second.wrote(/"the injector is ready"/);
  expect((await made(aPod())).spec.initContainers).toHaveLength(1);
  expect((await bundles())[0]).toBe(before);
});
