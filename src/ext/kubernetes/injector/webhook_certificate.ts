import { X509Certificate } from "node:crypto";
import type { JsonObject } from "../../../model/model.js";
import type { Clock, Log } from "../../../runtime/runtime.js";
import { type ServerCertificate, serverCertificate } from "../../../server/kit.js";
import { Informer } from "../api/informer.js";
import { type KubernetesApi, KubernetesError } from "../api/kubernetes_api.js";
import type { KubernetesObject, SecretObject } from "../api/objects.js";

export interface WebhookCertificateDeps {
  readonly api: KubernetesApi;
  readonly clock: Clock;
  readonly log: Log;
  /** The Secret that all replicas share; it is there, and may be empty. */
  readonly secret: string;
  /** The MutatingWebhookConfiguration whose `caBundle` is kept. */
  readonly webhook: string;
  /** Names by which the API server calls: `nexusd-injector.NAMESPACE.svc`. */
  readonly hosts: readonly string[];
}

const dayMs = 24 * 60 * 60_000;
const lifetimeDays = 90;
/** Early enough for a cluster whose injector is away for a month. */
const renewBeforeMs = 30 * dayMs;

const admission = "admissionregistration.k8s.io/v1";
const webhookConfigurations = "mutatingwebhookconfigurations";

/** What the Secret holds. The certificate before is trusted until every replica presents the new one. */
const files = { cert: "tls.crt", key: "tls.key", previous: "previous.crt" } as const;

/**
 * The certificate of the webhook: signed by itself, in a Secret that the replicas share, renewed a month before it expires. The API
 * server trusts it by the `caBundle` of the webhook's configuration, which is put right whenever it differs.
 */
export class WebhookCertificate {
  constructor(private readonly deps: WebhookCertificateDeps) {}

  /**
   * Makes a certificate where there is none that lasts, and has the API server trust it.
   *
   * @throws KubernetesError
   */
  async ensure(): Promise<ServerCertificate> {
    const kept = await this.#kept();
    await this.#trust([kept.cert, kept.previous]);
    return kept;
  }

  /** @param onChange notified when the API server's configuration of the webhook is another one, as after somebody emptied its `caBundle` */
  watch(onChange: () => void): { stop(): Promise<void> } {
    const { api, clock, log, webhook } = this.deps;
    const place = { apiVersion: admission, resource: webhookConfigurations, only: webhook };
    const informer = new Informer<WebhookConfiguration>({
      ...{ api, place, clock, log, random: Math.random },
      onChange,
    });
    informer.start();
    return informer;
  }

  async #kept(): Promise<ServerCertificate & { readonly previous: string }> {
    const { api, secret, log, clock, hosts } = this.deps;
    const place = { apiVersion: "v1", resource: "secrets", namespace: api.namespace, name: secret };
    for (;;) {
      const { metadata, data = {} } = await api.get<SecretObject>(place);
      const [cert = "", key = "", previous = ""] = Object.values(files).map((file) => decoded(data[file]));
      if (key !== "" && lasts(cert, hosts, clock.nowMs() + renewBeforeMs)) return { cert, key, previous };
      const made = await serverCertificate({
        name: "nexusd injector",
        hosts,
        days: lifetimeDays,
        nowMs: clock.nowMs(),
      });
      const { resourceVersion = "" } = metadata;
      const renewed = { ...made, previous: cert };
      const content = Object.entries(files).map(([part, file]) => [
        file,
        encoded(renewed[part as keyof typeof files]),
      ]);
      try {
        await api.patch(place, {
          metadata: { resourceVersion },
          data: Object.fromEntries(content) as JsonObject,
        });
        log.info({ secret, hosts }, "made a certificate for the webhook");
        return renewed;
      } catch (error) {
        // Another replica was first.
        if (!(error instanceof KubernetesError) || error.status !== 409) throw error;
      }
    }
  }

  async #trust(certificates: readonly string[]): Promise<void> {
    const { api, webhook, log } = this.deps;
    const caBundle = encoded(certificates.filter((pem) => pem !== "").join(""));
    const place = { apiVersion: admission, resource: webhookConfigurations, name: webhook };
    const { webhooks, metadata } = await api.get<WebhookConfiguration>(place);
    if (webhooks.every(({ clientConfig }) => clientConfig["caBundle"] === caBundle)) return;
    const trusting = webhooks.map((each) => ({ ...each, clientConfig: { ...each.clientConfig, caBundle } }));
    const { resourceVersion = "" } = metadata;
    await api.patch(place, { metadata: { resourceVersion }, webhooks: trusting });
    log.info({ webhook }, "the API server trusts the certificate of the webhook");
  }
}

interface WebhookConfiguration extends KubernetesObject {
  readonly webhooks: readonly (JsonObject & { readonly clientConfig: JsonObject })[];
}

function lasts(pem: string, hosts: readonly string[], untilMs: number): boolean {
  if (pem === "") return false;
  const certificate = new X509Certificate(pem);
  const isNamed = hosts.every((host) => certificate.checkHost(host) !== undefined);
  return isNamed && Date.parse(certificate.validTo) > untilMs;
}

function encoded(text: string): string {
  return Buffer.from(text).toString("base64");
}

function decoded(text = ""): string {
  return Buffer.from(text, "base64").toString("utf8");
}
