import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createWriteStream, existsSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { KubernetesApi } from "../../../../src/ext/kubernetes/api/kubernetes_api.js";
import { SystemClock } from "../../../../src/runtime/clock.js";
import { Secret } from "../../../../src/runtime/secret.js";
import { openssl } from "./openssl.js";

/** How a test reaches the API server that the run has. */
export interface ClusterPlace {
  readonly url: string;
  readonly token: string;
  /** Holds `apiserver.pid`, and the logs of both. */
  readonly folder: string;
}

/** A real kube-apiserver on a real etcd, without a kubelet, a scheduler and controllers. */
export class Cluster {
  readonly #children = new Map<string, ChildProcess>();
  #isClosing = false;

  private constructor(readonly place: ClusterPlace) {}

  static async start(): Promise<Cluster> {
    const folder = mkdtempSync(join(tmpdir(), "nexus-cluster-"));
    const [etcd, peer, port] = [await freePort(), await freePort(), await freePort()];
    const token = randomBytes(16).toString("hex");
    writeFileSync(join(folder, "tokens.csv"), `${token},admin,1,"system:masters"\n`);
    openssl("genrsa", "-out", join(folder, "sa.key"), "2048");
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

/** A client with the rights of a cluster's admin, or with another token. */
export function clientOf(
  { url, token, folder }: ClusterPlace,
  as = token,
  namespace = "default",
): KubernetesApi {
  const ca = join(folder, "certs/apiserver.crt");
  const credentials = { token: () => new Secret(as), ca: () => readFileSync(ca, "utf8") };
  return new KubernetesApi({ url, namespace, clock: new SystemClock(), ...credentials });
}

/** Kills the API server, and resolves when it answers again. */
export async function restartApiServer(place: ClusterPlace): Promise<void> {
  process.kill(Number(readFileSync(join(place.folder, "kube-apiserver.pid"), "utf8")), "SIGKILL");
  await isReady(place);
}

/** Not loopback, which endpoints of a Service may not be. */
export function machineAddress(): string {
  const all = Object.values(networkInterfaces()).flatMap((addresses = []) => addresses);
  const found = all.find(({ family, internal }) => family === "IPv4" && !internal);
  if (!found) throw new Error("this machine has no address but loopback");
  return found.address;
}

async function isReady(place: ClusterPlace): Promise<void> {
  for (let tries = 0; tries < 1_200; tries++) {
    const answer = existsSync(join(place.folder, "certs/apiserver.crt"))
      ? await clientOf(place)
          .text("/readyz")
          .catch(() => undefined)
      : undefined;
    if (answer === "ok") return;
    await sleep(200);
  }
  const log = readFileSync(join(place.folder, "kube-apiserver.log"), "utf8");
  throw new Error(`the API server does not get ready: ${log.slice(-2_000)}`);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}
