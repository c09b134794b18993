import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { json } from "node:stream/consumers";
import { type Clock, delay } from "../../../runtime/clock.js";
import type { Log } from "../../../runtime/log.js";
import type { ServerCertificate } from "../../../server/tls/authority.js";
import { type Injection, injectPod } from "./inject_pod.js";
import type { Pod } from "./pod.js";
import type { InjectorOptions } from "./sidecar.js";
import type { WebhookCertificate } from "./webhook_certificate.js";

export interface InjectorDeps {
  readonly certificate: WebhookCertificate;
  readonly listen: { readonly host: string; readonly port: number };
  /** Asked for each pod: the CA of the hubs is a file that is replaced. */
  readonly options: () => InjectorOptions;
  readonly clock: Clock;
  readonly log: Log;
}

/** `admission.k8s.io/v1 AdmissionReview`, as far as it is read. */
interface AdmissionReview {
  readonly request?: { readonly uid: string; readonly namespace?: string; readonly object: Pod };
}

/** A pod may have some 1.5 MiB, the limit of etcd, and the review holds it once. */
const maxReviewBytes = 4 * 1024 * 1024;
/** How soon a replica presents what another one has renewed, and `caBundle` is put right. */
const checkMs = 10 * 60_000;
const retryMs = 5_000;

/** The mutating webhook: answers whether a pod is admitted, and what is added to it. */
export class Injector {
  readonly #ended = new AbortController();
  #server: Server | undefined;

  constructor(private readonly deps: InjectorDeps) {}

  /** Listens once there is a certificate that the API server trusts. @returns the port */
  async open(): Promise<number> {
    const { listen, log } = this.deps;
    // The kubelet's probe must not pass before.
    const first = await this.#ensured();
    const server = createServer({ ...first }, (request, response) => this.#serve(request, response));
    this.#server = server;
    server.listen(listen.port, listen.host);
    await once(server, "listening");
    void this.#keep(server, first);
    const { port } = server.address() as AddressInfo;
    log.info({ host: listen.host, port }, "the injector is ready");
    return port;
  }

  async close(): Promise<void> {
    this.#ended.abort();
    const server = this.#server;
    if (!server?.listening) return;
    server.close();
    // The API server keeps its connections; what it asks on them is answered first.
    server.closeIdleConnections();
    await once(server, "close");
  }

  /** Presents a renewed certificate at the check after that which renewed it: the API server trusts it by then. */
  async #keep(server: Server, first: ServerCertificate | undefined): Promise<void> {
    const { signal } = this.#ended;
    let [presented, trusted] = [first, first];
    while (!signal.aborted) {
      await delay(this.deps.clock, checkMs, signal);
      const kept = signal.aborted ? undefined : await this.#ensured();
      if (!kept) return;
      if (kept.cert === trusted?.cert && kept.cert !== presented?.cert) {
        server.setSecureContext(kept);
        presented = kept;
      }
      trusted = kept;
    }
  }

  /** Undefined when the injector is closed before it succeeds. */
  async #ensured(): Promise<ServerCertificate | undefined> {
    const { certificate, log, clock } = this.deps;
    const { signal } = this.#ended;
    while (!signal.aborted) {
      try {
        return await certificate.ensure();
      } catch (error) {
        const reason = (error as Error).message;
        log.error({ reason }, "the certificate of the webhook could not be kept: trying again");
        await delay(clock, retryMs, signal);
      }
    }
    return undefined;
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    const isProbe = request.method === "GET" && ["/readyz", "/livez"].includes(request.url ?? "");
    if (isProbe) {
      response.end("ok");
      return;
    }
    const length = Number(request.headers["content-length"]);
    if (request.method !== "POST" || request.url?.split("?")[0] !== "/inject") {
      refuse(response, 404);
      return;
    }
    if (!(length <= maxReviewBytes)) {
      refuse(response, 413);
      return;
    }
    this.#review(request, response).catch((error: unknown) => {
      this.deps.log.warn({ reason: (error as Error).message }, "an admission review could not be answered");
      refuse(response, 400);
    });
  }

  async #review(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { request: asked } = (await json(request)) as AdmissionReview;
    if (asked === undefined) return refuse(response, 400);
    const injection = injectPod(asked.object, this.deps.options());
    const { name, generateName } = asked.object.metadata;
    const fields = { namespace: asked.namespace, pod: name ?? generateName };
    if ("denied" in injection)
      this.deps.log.info({ ...fields, reason: injection.denied }, "a pod was refused");
    else this.deps.log.debug({ ...fields, changes: injection.patch.length }, "a pod was admitted");
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify(answerOf(asked.uid, injection)));
  }
}

function answerOf(uid: string, injection: Injection) {
  const answer =
    "denied" in injection
      ? { uid, allowed: false, status: { code: 403, reason: "Forbidden", message: injection.denied } }
      : {
          ...{ uid, allowed: true, warnings: injection.warnings, patchType: "JSONPatch" },
          patch: Buffer.from(JSON.stringify(injection.patch)).toString("base64"),
        };
  return { apiVersion: "admission.k8s.io/v1", kind: "AdmissionReview", response: answer };
}

function refuse(response: ServerResponse, status: number): void {
  response.writeHead(status, { connection: "close" }).end();
}
