import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";
import { injectPod } from "../../src/ext/kubernetes/injector/inject_pod.js";
import type { Pod as InjectedPod } from "../../src/ext/kubernetes/injector/pod.js";
import type { InjectorOptions } from "../../src/ext/kubernetes/injector/sidecar.js";

const deploy = join(import.meta.dirname, "../../deploy/helm");

export const examples = ["sidecar", "spoke", "fleet", "egress-sidecar", "egress-broker"] as const;
export type Example = (typeof examples)[number];

export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly labels?: Readonly<Record<string, string>> };
  readonly type?: string;
  readonly data?: Readonly<Record<string, string>>;
  // biome-ignore lint/suspicious/noExplicitAny: its schema is checked by another
  readonly spec?: any;
}

export interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string | number };
  readonly periodSeconds: number;
  readonly timeoutSeconds: number;
  readonly failureThreshold: number;
}

export interface SecurityContext {
  readonly runAsNonRoot?: boolean;
  readonly runAsUser?: number;
  readonly runAsGroup?: number;
  readonly readOnlyRootFilesystem?: boolean;
  readonly allowPrivilegeEscalation?: boolean;
  readonly privileged?: boolean;
  readonly capabilities?: { readonly drop?: readonly string[]; readonly add?: readonly string[] };
  readonly seccompProfile?: { readonly type: string };
}

/** A ConfigMap or a Secret. */
export interface SourceRef {
  readonly name: string;
  readonly optional?: boolean;
  readonly items?: readonly { readonly key: string; readonly path: string }[];
}

export interface Container {
  readonly name: string;
  readonly image: string;
  readonly restartPolicy?: string;
  readonly command?: readonly string[];
  readonly args?: readonly string[];
  readonly env?: readonly {
    readonly name: string;
    readonly value?: string;
    readonly valueFrom?: {
      readonly fieldRef?: { readonly fieldPath: string };
      readonly secretKeyRef?: { readonly name: string; readonly key: string };
    };
  }[];
  readonly envFrom?: readonly {
    readonly configMapRef?: SourceRef;
    readonly secretRef?: SourceRef;
  }[];
  readonly ports?: readonly { readonly name: string; readonly containerPort: number }[];
  readonly startupProbe?: Probe;
  readonly livenessProbe?: Probe;
  readonly readinessProbe?: Probe;
  readonly resources: Readonly<Record<"requests" | "limits", Readonly<Record<string, string>>>>;
  readonly securityContext: SecurityContext;
  readonly volumeMounts?: readonly {
    readonly name: string;
    readonly mountPath: string;
    readonly readOnly?: boolean;
  }[];
}

export interface Volume {
  readonly name: string;
  readonly emptyDir?: { readonly medium?: string; readonly sizeLimit?: string };
  readonly secret?: {
    readonly secretName: string;
    readonly defaultMode?: number;
    readonly items?: readonly { readonly key: string; readonly path: string }[];
  };
  readonly projected?: {
    readonly defaultMode?: number;
    readonly sources: readonly {
      readonly serviceAccountToken?: { readonly path: string; readonly audience?: string };
      readonly configMap?: SourceRef;
      readonly secret?: SourceRef;
      readonly downwardAPI?: {
        readonly items: readonly {
          readonly path: string;
          readonly fieldRef: { readonly fieldPath: string };
        }[];
      };
    }[];
  };
  readonly configMap?: { readonly name: string; readonly defaultMode?: number };
  readonly persistentVolumeClaim?: { readonly claimName: string };
  readonly hostPath?: unknown;
}

export interface PodSpec {
  readonly securityContext: SecurityContext & { readonly fsGroup?: number };
  readonly terminationGracePeriodSeconds: number;
  readonly automountServiceAccountToken: boolean;
  readonly enableServiceLinks: boolean;
  readonly initContainers: readonly Container[];
  readonly containers: readonly Container[];
  readonly volumes: readonly Volume[];
}

/** What a render without a cluster needs. */
const given = {
  image: { repository: "registry.test.internal/nexusd" },
  keys: { existingSecret: "nexusd-own-keys" },
};

/** What `helm install` makes of the values of an example, with those of a test over them. @throws Error with what helm says */
export function released(
  example: Example,
  values: object = {},
): { readonly text: string; readonly objects: KubernetesObject[] } {
  const files = ["-f", join(deploy, "examples", example, "values.yaml"), "-f", "-"];
  const text = execFileSync(
    "helm",
    ["template", "nexusd", join(deploy, "nexusd"), "-n", "agents", "--kube-version", "1.36.3", ...files],
    { input: JSON.stringify({ ...given, ...values }), encoding: "utf8", stdio: "pipe" },
  );
  return { text, objects: documents(text) };
}

/**
 * The agent of an example as a cluster has it: its pod changed by the injector of the release.
 *
 * @param more annotations of the pod; one that is empty is taken away
 */
export function agentOf(
  example: Exclude<Example, "fleet">,
  release: readonly KubernetesObject[],
  more: Readonly<Record<string, string>> = {},
): KubernetesObject[] {
  const objects = documents(readFileSync(join(deploy, "examples", example, "agent.yaml"), "utf8"));
  const { template } = only(objects, "Deployment").spec;
  const given = Object.entries({ ...template.metadata.annotations, ...more });
  template.metadata.annotations = Object.fromEntries(given.filter(([, text]) => text !== ""));
  const injection = injectPod(template as InjectedPod, injectorOf(release));
  if ("denied" in injection) throw new Error(injection.denied);
  for (const { path, value } of injection.patch) {
    const [, of = "", member = ""] = path.split("/");
    template[of][member] = value;
  }
  return objects;
}

/** What the injector of a release runs with. */
function injectorOf(release: readonly KubernetesObject[]): InjectorOptions {
  const [container] = podOf(release, "Deployment", "nexusd-injector").containers;
  const flag = (name: string) =>
    container?.args?.find((text) => text.startsWith(`--${name}=`))?.slice(name.length + 3);
  const upstream = flag("upstream");
  const ca = upstream && only(release, "Secret", "nexusd-tls").data?.["ca.crt"];
  return {
    ...{ injector: flag("webhook") ?? "", image: flag("image") ?? "", upstream, audience: "nexusd" },
    upstreamCa: ca && Buffer.from(ca, "base64").toString(),
  };
}

function documents(text: string): KubernetesObject[] {
  return parseAllDocuments(text).flatMap((document) => (document.toJS() as KubernetesObject | null) ?? []);
}

export function secretOf(name: string, files: Readonly<Record<string, string>>): KubernetesObject {
  const data = Object.entries(files).map(([file, text]) => [file, Buffer.from(text).toString("base64")]);
  return { apiVersion: "v1", kind: "Secret", metadata: { name }, data: Object.fromEntries(data) };
}

export function only(objects: readonly KubernetesObject[], kind: string, name?: string): KubernetesObject {
  const found = objects.filter(
    (one) => one.kind === kind && (name === undefined || one.metadata.name === name),
  );
  const [first] = found;
  if (!first || found.length !== 1)
    throw new Error(`${found.length} objects are ${kind} ${name ?? ""}, not one`);
  return first;
}

export type Workload = "Deployment" | "StatefulSet" | "Job";

/** The pod that a workload makes; claims of a StatefulSet are volumes of it. */
export function podOf(
  objects: readonly KubernetesObject[],
  kind: Workload = "Deployment",
  name?: string,
): PodSpec {
  const { template, volumeClaimTemplates = [] } = only(objects, kind, name).spec;
  const claims = volumeClaimTemplates.map(
    ({ metadata: { name } }: KubernetesObject): Volume => ({
      name,
      persistentVolumeClaim: { claimName: name },
    }),
  );
  const { volumes = [] } = template.spec;
  return { initContainers: [], ...template.spec, volumes: [...volumes, ...claims] } as PodSpec;
}
