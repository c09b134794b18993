import { existsSync, readFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { KubernetesApi } from "../../../../src/ext/kubernetes/api/kubernetes_api.js";
import { SystemClock } from "../../../../src/runtime/clock.js";
import { Secret } from "../../../../src/runtime/secret.js";

/** How a test reaches the API server that the run has. */
export interface ClusterPlace {
  readonly url: string;
  readonly token: string;
  /** Holds `apiserver.pid`, and the logs of both. */
  readonly folder: string;
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

export async function isReady(place: ClusterPlace): Promise<void> {
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
