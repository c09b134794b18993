import { describe, expect, it } from "vitest";
import { injectPod } from "../../../../src/ext/kubernetes/injector/inject_pod.js";
import type { Pod } from "../../../../src/ext/kubernetes/injector/pod.js";
import { forms, type InjectorOptions } from "../../../../src/ext/kubernetes/injector/sidecar.js";
import { readPolicy } from "../../../../src/ext/policy/policy_document.js";
import { aPod, injected as injectedBy, pods } from "./pods.js";

const options: InjectorOptions = {
  injector: "agents-nexusd-injector",
  image: "registry.example.com/nexusd:0.1.0",
  upstream: "https://nexusd.agents.svc",
  upstreamCa: "-----BEGIN CERTIFICATE-----\n",
  audience: "nexusd",
};

const injected = (pod: Pod, given = options): Pod => injectedBy(injectPod, pod, given);

const denied = (pod: Pod, given = options): string | undefined => {
  const injection = injectPod(pod, given);
  return "denied" in injection ? injection.denied : undefined;
};

describe.each(forms)("the form %s", (form) => {
  it.each(Object.entries(pods))("reaches the containers of a pod with %s", (_, { pod, served }) => {
    const asked = pod();
    const annotations = { ...asked.metadata.annotations, "nexusd.dev/form": form };
    const { spec } = injected({ ...asked, metadata: { ...asked.metadata, annotations } });
    const variable = form === "egress" ? "HTTPS_PROXY" : "NEXUS_ADDRESS";
    const all = spec.initContainers ?? [];
    const others = all.filter(({ name }) => name !== "nexusd");
    if (form === "egress") expect(all).toEqual(others);
    else expect(all[0]).toMatchObject({ name: "nexusd", restartPolicy: "Always" });
    expect(others.map(({ name }) => name)).toEqual(asked.spec.initContainers?.map(({ name }) => name) ?? []);
    const finding = [...others, ...spec.containers].filter(({ env = [] }) =>
      env.some(({ name }) => name === variable),
    );
    expect(finding.map(({ name }) => name).sort()).toEqual([...served].sort());
    // Every mount has its volume, once.
    const volumes = (spec.volumes ?? []).map(({ name }) => name);
    expect(new Set(volumes).size).toBe(volumes.length);
    for (const { volumeMounts = [] } of [...(spec.initContainers ?? []), ...spec.containers])
      for (const { name } of volumeMounts) expect(volumes).toContain(name);
  });

  it("changes nothing in a pod that has it", () => {
    const once = injected(aPod({ annotations: { "nexusd.dev/form": form } }));
    expect(injectPod(once, options)).toMatchObject({ patch: [] });
  });
});

describe.each(forms)("the form %s, where a second release has an injector, too", (form) => {
  const second = {
    ...{ ...options, injector: "staging-nexusd-injector", image: "registry.example.com/nexusd:0.2.0" },
    ...{ upstream: "https://nexusd.staging.svc", upstreamCa: "-----BEGIN CERTIFICATE-----\nother" },
  };
  const asked = aPod({ annotations: { "nexusd.dev/form": form } });

  it("is left alone whole by the one that comes later, which says so", () => {
    const once = injected(asked);
    const late = { name: "late", image: "late:1.0.0" };
    for (const pod of [
      once,
      { ...once, spec: { ...once.spec, containers: [...once.spec.containers, late] } },
    ])
      expect(injectPod(pod, second)).toEqual({
        patch: [],
        warnings: [expect.stringMatching(/^agents-nexusd-injector .*injector\.namespaceSelector/)],
      });
    expect(injectPod(once, options)).toMatchObject({ patch: [], warnings: [] });
  });

  it("is injected whole where a template has nothing of an injection but its annotations", () => {
    const { metadata } = injected(asked);
    const copied = { ...asked, metadata };
    expect(injected(copied, second)).toEqual(injected(asked, second));
  });
});

it("reaches a container that another webhook added after it", () => {
  const { spec, ...once } = injected(aPod());
  const more = {
    ...once,
    spec: { ...spec, containers: [...spec.containers, { name: "late", image: "late:1.0.0" }] },
  };
  expect(injected(more).spec.containers[1]).toMatchObject({ env: [{ name: "NEXUS_ADDRESS" }] });
});

it("leads an egress pod to the proxy that a Secret names, and gives it no socket", () => {
  const annotations = { "nexusd.dev/form": "egress", "nexusd.dev/egress-secret": "mine" };
  const { spec } = injected(aPod({ annotations }));
  const [agent] = spec.containers;
  expect(agent?.volumeMounts).toEqual([
    { name: "nexusd-trust", mountPath: "/etc/nexus-egress", readOnly: true },
  ]);
  const valueFrom = { secretKeyRef: { name: "mine", key: "proxy" } };
  expect(agent?.env).toContainEqual({ name: "HTTPS_PROXY", valueFrom });
  expect(spec.volumes).toMatchObject([{ secret: { secretName: "mine" } }]);
  expect(agent?.env?.map(({ name }) => name)).not.toContain("NEXUS_ADDRESS");
});

it("keeps the store of a sidecar on the pod's volume, and reads its settings, as variables and files", () => {
  const annotations = {
    "nexusd.dev/form": "sidecar",
    "nexusd.dev/volume": "store",
    "nexusd.dev/settings": "mine",
  };
  const own = [{ name: "store", persistentVolumeClaim: { claimName: "store" } }];
  const { spec } = injected(aPod({ annotations, spec: { volumes: own } }));
  const [nexusd] = spec.initContainers ?? [];
  expect(spec.volumes?.map(({ name }) => name)).toEqual([
    ...["store", "nexusd-settings", "nexusd-socket", "nexusd-place"],
  ]);
  expect(nexusd?.volumeMounts).toContainEqual({ name: "store", mountPath: "/data" });
  expect(nexusd?.volumeMounts).toContainEqual({
    ...{ name: "nexusd-settings", mountPath: "/etc/nexus/settings", readOnly: true },
  });
  expect(nexusd).toMatchObject({
    envFrom: [{ configMapRef: { name: "mine" } }, { secretRef: { name: "mine" } }],
  });
  expect(nexusd?.env).toContainEqual({ name: "NEXUS_BROWSER_LISTEN", value: "0.0.0.0:15080" });
  expect(nexusd?.env).toContainEqual({ name: "NEXUS_INSECURE", value: "browser,ops" });
});

it("restricts the sidecar to the user and the providers that the pod names", () => {
  const annotations = { "nexusd.dev/user": "ada", "nexusd.dev/provider": "github, slack" };
  const text = injected(aPod({ annotations })).metadata.annotations?.["nexusd.dev/policy"] ?? "";
  expect(readPolicy(text).bindings).toMatchObject([
    {
      principals: ["uid:*"],
      role: "agent",
      restriction: { userIds: ["ada"], providers: ["github", "slack"] },
    },
  ]);
});

it("warns of a container that sets a variable itself, and leaves it", () => {
  const pod = aPod({
    spec: {
      containers: [{ name: "agent", image: "agent:1.0.0", env: [{ name: "NEXUS_ADDRESS", value: "other" }] }],
    },
  });
  expect(injectPod(pod, options)).toMatchObject({ warnings: [expect.stringContaining("NEXUS_ADDRESS")] });
  expect(injected(pod).spec.containers[0]?.env).toEqual([{ name: "NEXUS_ADDRESS", value: "other" }]);
});

it("warns of a container that mounts the store of nexusd", () => {
  const containers = [
    { name: "agent", image: "a:1", volumeMounts: [{ name: "store", mountPath: "/store" }] },
  ];
  const spec = { containers, volumes: [{ name: "store", emptyDir: {} }] };
  const pod = aPod({ annotations: { "nexusd.dev/volume": "store" }, spec });
  expect(injectPod(pod, options)).toMatchObject({
    warnings: [expect.stringContaining("the store of nexusd")],
  });
});

it.each([
  ["hostNetwork", aPod({ spec: { hostNetwork: true } }), "hostNetwork"],
  [
    "a form that there is not",
    aPod({ annotations: { "nexusd.dev/form": "daemon" } }),
    "spoke, sidecar, egress",
  ],
  [
    "a container that is called like it",
    aPod({ spec: { containers: [{ name: "nexusd", image: "x:1" }] } }),
    "rename",
  ],
  ["a volume that there is not", aPod({ annotations: { "nexusd.dev/volume": "store" } }), "no volume"],
  ["a container that there is not", aPod({ annotations: { "nexusd.dev/containers": "agnet" } }), "agnet"],
])("refuses %s with a reason", (_, pod, reason) => {
  expect(denied(pod)).toContain(reason);
});

it.each([
  ["nexusd.dev/users", "ada", "did you mean nexusd.dev/user?"],
  ["nexusd.dev/providers", "github", "did you mean nexusd.dev/provider?"],
  ["nexusd.dev/container", "agent", "did you mean nexusd.dev/containers?"],
  ["nexusd.dev/User", "ada", "did you mean nexusd.dev/user?"],
  ["nexusd.dev/", "ada", "nexusd.dev/form"],
  [`nexusd.dev/${"x".repeat(63)}`, "ada", "these are: nexusd.dev/form, nexusd.dev/user,"],
  ["nexusd.dev/user", "", "empty"],
  ["nexusd.dev/provider", " , ", "empty"],
])("refuses the annotation %s: %j, which would narrow nothing", (name, value, reason) => {
  expect(denied(aPod({ annotations: { [name]: value } }))).toContain(reason);
});

it("refuses an annotation that stands among the labels, and leaves those of others alone", () => {
  const labeled = (name: string): Pod => {
    const pod = aPod({ annotations: { "example.com/users": "ada", "nexusd.example.com/users": "ada" } });
    return { ...pod, metadata: { ...pod.metadata, labels: { [name]: "ada" } } };
  };
  expect(denied(labeled("nexusd.dev/user"))).toContain("is an annotation");
  expect(denied(labeled("nexusd.dev/confined"))).toBeUndefined();
});

const likeNexusd = { securityContext: { runAsUser: 64_532 } };
const another = { securityContext: { runAsUser: 1_000 } };

it.each<[string, Record<string, unknown>, string]>([
  ["the pod", likeNexusd, "this pod"],
  ["its container", { containers: [{ ...likeNexusd, name: "agent", image: "a:1" }] }, "the container agent"],
  [
    "an init container",
    { initContainers: [{ ...likeNexusd, name: "prepare", image: "a:1" }] },
    "the container prepare",
  ],
  [
    "the pod, though its container does not",
    { ...likeNexusd, containers: [{ ...another, name: "agent", image: "a:1" }] },
    "this pod",
  ],
])("refuses a pod with a socket where %s runs as the user of nexusd, who is admin there", (_, spec, who) => {
  for (const form of ["spoke", "sidecar"])
    expect(denied(aPod({ annotations: { "nexusd.dev/form": form }, spec }))).toMatch(
      new RegExp(`^${who} runs as the user 64532.*runAsUser`),
    );
  expect(denied(aPod({ annotations: { "nexusd.dev/form": "egress" }, spec }))).toBeUndefined();
});

it("takes a pod whose agent runs as another user, also when it is asked for again", () => {
  const once = injected(aPod({ spec: another }));
  expect(denied(once)).toBeUndefined();
});

it("refuses a spoke where it knows no hubs, and not a sidecar", () => {
  const alone = { ...options, upstream: undefined };
  expect(denied(aPod(), alone)).toContain("--upstream");
  expect(denied(aPod({ annotations: { "nexusd.dev/form": "sidecar" } }), alone)).toBeUndefined();
});
