import type { TestProject } from "vitest/node";
import { pathOf } from "../../../needs.js";
import { Cluster, type ClusterPlace } from "./cluster.js";

const programs = {
  "kube-apiserver": "test/ext/kubernetes/suite/build_apiserver.sh FOLDER, then FOLDER on the PATH",
  etcd: "apt-get install etcd-server",
  helm: "go install helm.sh/helm/v3/cmd/helm@v3.22.0",
  "kubernetes-validate": "pip install kubernetes-validate==1.37.0",
  openssl: "apt-get install openssl",
};

declare module "vitest" {
  interface ProvidedContext {
    cluster: ClusterPlace;
  }
}

/** One cluster for the run. */
export async function setup({ provide }: TestProject): Promise<() => Promise<void>> {
  const missing = Object.entries(programs).filter(([name]) => pathOf(name) === undefined);
  if (missing.length > 0)
    throw new Error(`missing: ${missing.map(([name, origin]) => `${name} (${origin})`).join("; ")}`);
  const cluster = await Cluster.start();
  provide("cluster", cluster.place);
  return () => cluster.close();
}
