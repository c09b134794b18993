import type { injectPod } from "../../../../src/ext/kubernetes/injector/inject_pod.js";
import type { Pod } from "../../../../src/ext/kubernetes/injector/pod.js";
import type { InjectorOptions } from "../../../../src/ext/kubernetes/injector/sidecar.js";

export type Inject = typeof injectPod;

const image = "registry.example.com/agent:1.0.0";
const agent = { name: "agent", image };

/** A pod that asks for nexusd. */
export function aPod(
  change: { annotations?: Record<string, string>; spec?: Record<string, unknown> } = {},
): Pod {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: "pod",
      labels: { "nexusd.dev/inject": "true" },
      ...(change.annotations && { annotations: change.annotations }),
    },
    spec: { containers: [agent], ...change.spec } as Pod["spec"],
  };
}

/** Kinds of pods that clusters have, each with the containers that are to find nexusd. */
export const pods: Readonly<Record<string, { readonly pod: () => Pod; readonly served: readonly string[] }>> =
  {
    "one container": { pod: () => aPod(), served: ["agent"] },
    "init containers": {
      pod: () => aPod({ spec: { initContainers: [{ name: "prepare", image }] } }),
      served: ["agent"],
    },
    "an init container that calls nexusd": {
      pod: () =>
        aPod({
          annotations: { "nexusd.dev/containers": "prepare, agent" },
          spec: { initContainers: [{ name: "prepare", image }] },
        }),
      served: ["prepare", "agent"],
    },
    "another native sidecar": {
      pod: () => aPod({ spec: { initContainers: [{ name: "mesh", image, restartPolicy: "Always" }] } }),
      served: ["agent"],
    },
    "another sidecar": {
      pod: () =>
        aPod({
          annotations: { "nexusd.dev/containers": "agent" },
          spec: { containers: [agent, { name: "logs", image }] },
        }),
      served: ["agent"],
    },
    "a volume for nexusd and settings": {
      pod: () =>
        aPod({
          annotations: { "nexusd.dev/volume": "store", "nexusd.dev/settings": "mine" },
          spec: { volumes: [{ name: "store", emptyDir: {} }] },
        }),
      served: ["agent"],
    },
    "a Job's pod": { pod: () => aPod({ spec: { restartPolicy: "Never" } }), served: ["agent"] },
    "volumes and variables of its own": {
      pod: () =>
        aPod({
          spec: {
            containers: [
              {
                ...agent,
                env: [{ name: "NAME", value: "mine" }],
                volumeMounts: [{ name: "scratch", mountPath: "/scratch" }],
              },
            ],
            volumes: [{ name: "scratch", emptyDir: {} }],
          },
        }),
      served: ["agent"],
    },
  };

/** The pod as the API server makes it of the patch. */
export function injected(inject: Inject, pod: Pod, given: InjectorOptions): Pod {
  const injection = inject(pod, given);
  if ("denied" in injection) throw new Error(injection.denied);
  const copy = structuredClone(pod) as unknown as Record<string, Record<string, unknown>>;
  for (const { path, value } of injection.patch) {
    const [, of = "", member = ""] = path.split("/");
    (copy[of] as Record<string, unknown>)[member] = value;
  }
  return copy as unknown as Pod;
}
