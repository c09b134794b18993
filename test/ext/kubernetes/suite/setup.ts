import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createWriteStream, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { freePort } from "../../../free_port.js";
import { pathOf } from "../../../needs.js";
import { type ClusterPlace, isReady, machineAddress } from "./cluster.js";

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

/** A real kube-apiserver on a real etcd, without a kubelet, a scheduler and controllers. */
class Cluster {
  readonly #children = new Map<string, ChildProcess>();
  #isClosing = false;

  private constructor(readonly place: ClusterPlace) {}

  static async start(): Promise<Cluster> {
    const folder = mkdtempSync(join(tmpdir(), "nexus-cluster-"));
    const [etcd, peer, port] = [await freePort(), await freePort(), await freePort()];
    const token = randomBytes(16).toString("hex");
    writeFileSync(join(folder, "tokens.csv"), `${token},admin,1,"system:masters"\n`);
    execFileSync("openssl", ["genrsa", "-out", join(folder, "sa.key"), "2048"], { stdio: "pipe" });
    const cluster = new Cluster({ url: `https://127.0.0.1:${port}`, token, folder });
    const store = `http://127.0.0.1:${etcd}`;
    const peers = `http://127.0.0.1:${peer}`;
    cluster.#keep("etcd", [
      ...["--data-dir", join(folder, "etcd"), "--unsafe-no-fsync"],
      ...["--listen-client-urls", store, "--advertise-client-urls", store, "--listen-peer-urls", peers],
      ...["--initial-advertise-peer-urls", peers, "--initial-cluster", `default=${peers}`],
    ]);
    cluster.#keep("kube-apiserver", [
      ...[`--etcd-servers=${store}`, `--secure-port=${port}`, "--bind-address=127.0.0.1"],
      ...["--advertise-address", machineAddress(), `--cert-dir=${join(folder, "certs")}`],
      ...[
        "--service-account-issuer=https://kubernetes.default.svc",
        "--service-cluster-ip-range=10.0.0.0/24",
      ],
      ...[`--service-account-key-file=${join(folder, "sa.key")}`],
      ...[`--service-account-signing-key-file=${join(folder, "sa.key")}`],
      ...[`--token-auth-file=${join(folder, "tokens.csv")}`, "--authorization-mode=RBAC"],
      // Webhooks are called at the endpoints of their Service: no proxy of a node stands behind a cluster IP here.
      "--enable-aggregator-routing=true",
    ]);
    await isReady(cluster.place);
    return cluster;
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    for (const child of this.#children.values()) child.kill("SIGKILL");
    await Promise.all([...this.#children.values()].map((child) => child.exitCode ?? once(child, "exit")));
  }

  /** Starts a program, and again whenever a test has killed it. */
  #keep(program: string, args: readonly string[]): void {
    const { folder } = this.place;
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
    this.#children.set(program, child);
    const log = createWriteStream(join(folder, `${program}.log`), { flags: "a" });
    child.stdout.pipe(log);
    child.stderr.pipe(log);
    writeFileSync(join(folder, `${program}.pid`), String(child.pid));
    child.once("exit", () => {
      if (!this.#isClosing) this.#keep(program, args);
    });
  }
}
