import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { temporaryFolder } from "../../../temporary_folder.js";
import type { ClusterPlace } from "./cluster.js";

/** helm at the API server of the run. @throws Error with what helm says */
export type Helm = (namespace: string, ...args: string[]) => Promise<{ readonly stdout: string }>;

export function helmAt(place: ClusterPlace): Helm {
  const kubeconfig = kubeconfigOf(place);
  return (namespace, ...args) =>
    promisify(execFile)("helm", [...args, "-n", namespace, "--kubeconfig", kubeconfig]);
}

/** A file with the rights of a cluster's admin. @returns its path */
export function kubeconfigOf(place: ClusterPlace): string {
  const kubeconfig = join(temporaryFolder(), "kubeconfig");
  const server = { server: place.url, "certificate-authority": join(place.folder, "certs/apiserver.crt") };
  const config = {
    ...{ apiVersion: "v1", kind: "Config", "current-context": "it" },
    clusters: [{ name: "it", cluster: server }],
    users: [{ name: "it", user: { token: place.token } }],
    contexts: [{ name: "it", context: { cluster: "it", user: "it" } }],
  };
  writeFileSync(kubeconfig, JSON.stringify(config), { mode: 0o600 });
  return kubeconfig;
}
