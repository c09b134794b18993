import { execFileSync } from "node:child_process";
import { cpSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";
import type { KubernetesApi } from "../../../../src/ext/kubernetes/api/kubernetes_api.js";
import type { ObjectPlace } from "../../../../src/ext/kubernetes/api/object_path.js";
import type { KubernetesObject } from "../../../../src/ext/kubernetes/api/objects.js";
import type { JsonObject } from "../../../../src/model/json.js";
import { temporaryFolder } from "../../../temporary_folder.js";
import { type ClusterPlace, clientOf } from "./cluster.js";

export const chart = join(import.meta.dirname, "../../../../deploy/helm/nexusd");
export const release = { name: "nexusd", namespace: "agents" };

export type Manifest = KubernetesObject & JsonObject & { readonly apiVersion: string; readonly kind: string };

/** What a render without a cluster needs. */
const given = {
  image: { repository: "registry.test.internal/nexusd" },
  keys: { existingSecret: "nexusd-own-keys" },
};

/** What `helm install` would send for these values, hooks and custom resource definitions included. @throws Error with what helm says */
export function rendered(
  values: object = {},
  more: readonly string[] = [],
  namespace = release.namespace,
): { text: string; objects: Manifest[] } {
  const args = [
    "template",
    release.name,
    chart,
    "--namespace",
    namespace,
    "--include-crds",
    "--kube-version",
    "1.36.3",
    "-f",
    "-",
  ];
  const text = execFileSync("helm", [...args, ...more], {
    input: JSON.stringify({ ...given, ...values }),
    encoding: "utf8",
    stdio: "pipe",
  });
  const objects = parseAllDocuments(text).flatMap((document) => (document.toJS() as Manifest | null) ?? []);
  return { text, objects };
}

const plurals: Readonly<Record<string, string>> = {
  Ingress: "ingresses",
  NetworkPolicy: "networkpolicies",
};
const ofCluster = [
  ...["Namespace", "ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition"],
  "MutatingWebhookConfiguration",
];

export function placeOf(
  { apiVersion, kind, metadata: { name, namespace } }: Manifest,
  own = release.namespace,
): ObjectPlace {
  const resource = plurals[kind] ?? `${kind.toLowerCase()}s`;
  if (ofCluster.includes(kind)) return { apiVersion, resource, name };
  return { apiVersion, resource, name, namespace: namespace ?? own };
}

/** A namespace with the service account that a cluster would make in it. */
export async function makeNamespace(
  api: KubernetesApi,
  name: string,
  labels: JsonObject = {},
): Promise<void> {
  const of = { apiVersion: "v1", resource: "namespaces", name };
  await api.apply(of, { apiVersion: "v1", kind: "Namespace", metadata: { name, labels } });
  const account = { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "default" } };
  const place = { apiVersion: "v1", resource: "serviceaccounts", namespace: name, name: "default" };
  await api.apply(place, account);
}

export async function applyAll(
  api: KubernetesApi,
  objects: readonly Manifest[],
  own?: string,
): Promise<void> {
  for (const object of objects) await api.apply(placeOf(object, own), object);
}

/** A client with the rights of a service account, by a token as the kubelet projects it. */
export async function asServiceAccount(
  place: ClusterPlace,
  namespace: string,
  name: string,
): Promise<KubernetesApi> {
  return clientOf(place, await tokenOf(place, namespace, name), namespace);
}

export async function tokenOf(
  place: ClusterPlace,
  namespace: string,
  name: string,
  audiences?: readonly string[],
): Promise<string> {
  type Answer = KubernetesObject & { readonly status: { readonly token: string } };
  const request = {
    ...{ apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest" },
    spec: { ...(audiences && { audiences: [...audiences] }) },
  };
  const of = { apiVersion: "v1", resource: `serviceaccounts/${name}/token`, namespace };
  return (await clientOf(place).create<Answer>(of, request)).status.token;
}

/** A folder with what a pod finds of its service account. */
export async function credentialsOf(place: ClusterPlace, namespace: string, name: string): Promise<string> {
  const folder = temporaryFolder();
  writeFileSync(join(folder, "token"), await tokenOf(place, namespace, name));
  writeFileSync(join(folder, "namespace"), namespace);
  cpSync(join(place.folder, "certs/apiserver.crt"), join(folder, "ca.crt"));
  return folder;
}
