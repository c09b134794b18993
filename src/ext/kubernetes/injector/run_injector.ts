import { readFileSync } from "node:fs";
import { CommandFailure, type Shell, usageFailure } from "../../../cli/kit.js";
import { createLogger } from "../../../core/core.js";
import { exitCodes } from "../../../core/registry.js";
import { KubernetesApi } from "../api/kubernetes_api.js";
import { Injector } from "./injector.js";
import type { InjectorOptions } from "./sidecar.js";
import { WebhookCertificate } from "./webhook_certificate.js";

export interface InjectorFlags extends Pick<InjectorOptions, "image" | "audience"> {
  readonly upstream?: string;
  readonly upstreamCaFile?: string;
  readonly listen: { readonly host: string; readonly port: number };
  readonly service: string;
  readonly secret: string;
  readonly webhook: string;
}

/** Serves the webhook until a signal ends it. */
export async function runInjector(shell: Shell, flags: InjectorFlags): Promise<void> {
  const { clock, env, stdout } = shell;
  const { image, audience, listen, service, secret, webhook, upstreamCaFile: caFile } = flags;
  const { upstream } = flags;
  if (upstream !== undefined && !(URL.canParse(upstream) && new URL(upstream).protocol === "https:"))
    throw usageFailure("--upstream must be an https URL, such as https://nexusd.agents.svc");
  const api = inCluster(env, shell);
  const log = createLogger({ level: "info", format: stdout.isTTY ? "pretty" : "json", isTTY: stdout.isTTY });
  const options = (): InjectorOptions => ({
    ...{ injector: webhook, image, audience, upstream },
    upstreamCa: caFile === undefined ? undefined : readFileSync(caFile, "utf8"),
  });
  options();
  const { namespace } = api;
  const hosts = [`${service}.${namespace}.svc`, `${service}.${namespace}.svc.cluster.local`];
  const certificate = new WebhookCertificate({ api, clock, log, secret, webhook, hosts });
  const injector = new Injector({ certificate, listen, options, clock, log });
  const ended = new Promise<void>((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => resolve());
  });
  await Promise.race([injector.open(), ended]);
  await ended;
  await injector.close();
  api.close();
}

function inCluster(env: NodeJS.ProcessEnv, { clock }: Shell): KubernetesApi {
  try {
    return KubernetesApi.inCluster(env, clock);
  } catch (error) {
    throw new CommandFailure(exitCodes.failed, (error as Error).message, error);
  }
}
