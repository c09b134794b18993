import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { cpSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";

const source = join(import.meta.dirname, "../../deploy/kubernetes");

/** Those of a pod with its agent. */
export const overlays = ["memory", "volume"] as const;
export type Overlay = (typeof overlays)[number] | "fleet" | "fleet-init" | "spoke" | EgressOverlay;
type EgressOverlay = "egress-sidecar" | "egress-broker";

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

export interface Container {
  readonly name: string;
  readonly image: string;
  readonly restartPolicy?: string;
  readonly command?: readonly string[];
  readonly args?: readonly string[];
  readonly env?: readonly {
    readonly name: string;
    readonly value?: string;
    readonly valueFrom?: { readonly fieldRef: { readonly fieldPath: string } };
  }[];
  readonly envFrom?: readonly {
    readonly configMapRef?: { name: string };
    readonly secretRef?: { name: string };
  }[];
  readonly ports?: readonly { readonly name: string; readonly containerPort: number }[];
  readonly startupProbe?: Probe;
  readonly livenessProbe?: Probe;
  readonly readinessProbe?: Probe;
  readonly resources: Readonly<Record<"requests" | "limits", Readonly<Record<string, string>>>>;
  readonly securityContext: SecurityContext;
  readonly volumeMounts: readonly {
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
      readonly configMap?: { readonly name: string };
    }[];
  };
  readonly configMap?: { readonly name: string; readonly defaultMode?: number };
  readonly persistentVolumeClaim?: { readonly claimName: string };
  readonly hostPath?: unknown;
}

export interface PodSpec {
  readonly securityContext: SecurityContext & { readonly fsGroup: number };
  readonly terminationGracePeriodSeconds: number;
  readonly automountServiceAccountToken: boolean;
  readonly enableServiceLinks: boolean;
  readonly initContainers: readonly Container[];
  readonly containers: readonly Container[];
  readonly volumes: readonly Volume[];
}

/**
 * A copy of deploy/kubernetes in which a user has made the secrets, and written `files` of base/ over ours.
 *
 * @param fleetFiles in the same way of overlays/fleet
 * @param spokeFiles of overlays/spoke
 */
export function filledCopy(
  files: Readonly<Record<string, string>> = {},
  fleetFiles: Readonly<Record<string, string>> = {},
  spokeFiles: Readonly<Record<string, string>> = {},
): string {
  const folder = mkdtempSync(join(tmpdir(), "nexus-kustomize-"));
  cpSync(source, folder, { recursive: true });
  const secrets = {
    "secrets/encryption.key": `${randomBytes(32).toString("base64")}\n`,
    "secrets/admin.key": `${randomBytes(32).toString("hex")}\n`,
    "secrets/client-secrets.env": "GITHUB_CLIENT_SECRET=the-client-secret\n",
  };
  const storeUrl = { "secrets/store.url": "postgres://nexus:the-password@nexusd-db-rw.agents.svc/nexus\n" };
  for (const [path, text] of Object.entries({ ...secrets, ...files }))
    writeFileSync(join(folder, "base", path), text);
  for (const [path, text] of Object.entries({ ...secrets, ...storeUrl, ...fleetFiles }))
    writeFileSync(join(folder, "overlays/fleet", path), text);
  for (const [path, text] of Object.entries({ "ca.crt": "the CA\n", ...spokeFiles }))
    writeFileSync(join(folder, "overlays/spoke", path), text);
  for (const overlay of ["egress-sidecar", "egress-broker/broker"])
    for (const name of ["ca.crt", "ca.key"])
      writeFileSync(join(folder, "overlays", overlay, "secrets", name), `the ${name}\n`);
  return folder;
}

/** @throws Error with what kustomize says */
export function kustomize(
  folder: string,
  overlay: Overlay,
): { readonly text: string; readonly objects: KubernetesObject[] } {
  const text = execFileSync("kustomize", ["build", join(folder, "overlays", overlay)], {
    encoding: "utf8",
    stdio: "pipe",
  });
  const objects = parseAllDocuments(text).map((document) => document.toJS() as KubernetesObject);
  return { text, objects };
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

/** The pod that the one workload of a kind makes; claims of a StatefulSet are volumes of it. */
export function podOf(objects: readonly KubernetesObject[], kind: Workload = "Deployment"): PodSpec {
  const { template, volumeClaimTemplates = [] } = only(objects, kind).spec;
  const claims = volumeClaimTemplates.map(
    ({ metadata: { name } }: KubernetesObject): Volume => ({
      name,
      persistentVolumeClaim: { claimName: name },
    }),
  );
  const { volumes = [] } = template.spec;
  return { initContainers: [], ...template.spec, volumes: [...volumes, ...claims] } as PodSpec;
}
