import type { IncomingMessage } from "node:http";
import type { Server as TlsServer } from "node:tls";
import { defaultLimits } from "../../../model/model.js";
import { type Clock, delay, type Log, setDeadline } from "../../../runtime/runtime.js";
import {
  type HttpAnswer,
  HttpListener,
  ListenerTls,
  readPair,
  type ServerCertificate,
  type TlsPair,
} from "../../../server/kit.js";
import { injectPod, type PodInjection } from "./inject_pod.js";
import type { Pod } from "./pod.js";
import type { InjectorOptions } from "./sidecar.js";
import type { WebhookCertificate } from "./webhook_certificate.js";

export interface InjectorDeps {
  readonly certificate: Pick<WebhookCertificate, "ensure" | "watch">;
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

/** 3 MiB, what an API server takes of a request. A pod may have some 1.5 MiB, the limit of etcd, and the review holds it once. */
const maxReviewBytes = 3 * 1024 * 1024;
/** A pod of 1.5 MiB has 65 000 variables at most; each object takes 60 bytes of the heap, whatever its text. */
const maxReviewObjects = 100_000;
/**
 * 8 MiB: API servers show no credential, so that every pod of the cluster may send reviews. One is sent within milliseconds, and usually
 * has 20 KiB.
 */
const maxHeldBytes = 8 * 1024 * 1024;
/** API servers are few, and each keeps 25 idle connections at most, for 90 s. */
const limits = { ...defaultLimits, maxConnections: 256, streamReadTimeoutMs: 5_000 };
const keepAliveTimeoutMs = 120_000;
/** As long as an API server waits for an answer. */
const closingMs = 5_000;
/** How soon a replica presents what another one has renewed, and `caBundle` is put right. */
const checkMs = 10 * 60_000;
const retryMs = 5_000;
/** Who changes it all the time is answered once a second. */
const mendMs = 1_000;

/** The mutating webhook: answers whether a pod is admitted, and what is added to it. */
export class Injector {
  readonly #ended = new AbortController();
  #listener: HttpListener | undefined;
  #watch: { stop(): Promise<void> } | undefined;

  constructor(private readonly deps: InjectorDeps) {}

  /** Listens once there is a certificate that the API server trusts. @returns the port; 0 where it was closed before */
  async open(): Promise<number> {
    const { listen, log, clock } = this.deps;
    // The kubelet's probe must not pass before.
    const first = await this.#ensured();
    if (!first) return 0;
    const keeper = new PresentedPair(first);
    const listener = new HttpListener({
      ...{ listener: "injector", listen: { kind: "tcp", ...listen }, setting: "--listen" },
      tls: new ListenerTls({ listener: "injector", keeper, clientAuth: "none", log }),
      bounds: {
        limits,
        clock,
        onFull: () => log.debug({}, "the injector closed a connection: it has too many"),
      },
      ...{ maxHeldBytes, keepAliveTimeoutMs },
      maxBodyBytes: (request) => (isReview(request) ? maxReviewBytes : 0),
      answer: async (request, body) => this.#answer(request, body),
      internalError: refusal(500),
      onUnexpected: (error) =>
        log.error({ reason: (error as Error).message }, "an admission review could not be answered"),
    });
    this.#listener = listener;
    await listener.open();
    void this.#keep(keeper, first);
    this.#mend();
    const [bound] = listener.addresses;
    const port = bound?.kind === "tcp" ? bound.port : 0;
    log.info({ host: listen.host, port }, "the injector is ready");
    return port;
  }

  /** What the API server has asked is answered first. */
  async close(): Promise<void> {
    this.#ended.abort();
    const force = new AbortController();
    const timer = setDeadline(this.deps.clock, closingMs, () => force.abort());
    await Promise.all([this.#watch?.stop(), this.#listener?.close(force.signal)]);
    timer.cancel();
  }

  /** Has the API server trust the certificate again where somebody has changed that, as a deployment which applies the chart without `caBundle`. */
  #mend(): void {
    const { certificate, clock } = this.deps;
    let isDue = false;
    this.#watch = certificate.watch(() => {
      if (isDue) return;
      isDue = true;
      clock.setTimer(mendMs, () => {
        isDue = false;
        void this.#ensured();
      });
    });
  }

  /** Presents a renewed certificate at the check after that which renewed it: the API server trusts it by then. */
  async #keep(keeper: PresentedPair, first: ServerCertificate): Promise<void> {
    const { signal } = this.#ended;
    let [presented, trusted] = [first, first];
    while (!signal.aborted) {
      await delay(this.deps.clock, checkMs, signal);
      const kept = signal.aborted ? undefined : await this.#ensured();
      if (!kept) return;
      if (kept.cert === trusted.cert && kept.cert !== presented.cert) {
        keeper.present(kept);
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

  #answer(request: IncomingMessage, body: Buffer | "too_large"): HttpAnswer {
    if (request.method === "GET" && ["/readyz", "/livez"].includes(request.url ?? ""))
      return { status: 200, headers: {}, body: "ok" };
    if (!isReview(request)) return refusal(404);
    if (body === "too_large" || hasMoreObjects(body, maxReviewObjects)) return refusal(413);
    try {
      return this.#review(JSON.parse(body.toString("utf8")) as AdmissionReview);
    } catch (error) {
      this.deps.log.warn({ reason: (error as Error).message }, "an admission review could not be answered");
      return refusal(400);
    }
  }

  #review({ request: admission }: AdmissionReview): HttpAnswer {
    if (admission === undefined) return refusal(400);
    const injection = injectPod(admission.object, this.deps.options());
    const { name, generateName } = admission.object.metadata;
    const fields = { namespace: admission.namespace, pod: name ?? generateName };
    if ("denied" in injection)
      this.deps.log.info({ ...fields, reason: injection.denied }, "a pod was refused");
    else this.deps.log.debug({ ...fields, changes: injection.patch.length }, "a pod was admitted");
    const headers = { "content-type": "application/json" };
    return { status: 200, headers, body: JSON.stringify(answerOf(admission.uid, injection)) };
  }
}

/** The certificate that new connections get. */
class PresentedPair {
  readonly #servers = new Set<TlsServer>();
  #pair: TlsPair;

  constructor(first: ServerCertificate) {
    this.#pair = pairOf(first);
  }

  get pair(): TlsPair {
    return this.#pair;
  }

  renew(server: TlsServer): void {
    this.#servers.add(server);
  }

  present(certificate: ServerCertificate): void {
    this.#pair = pairOf(certificate);
    for (const server of this.#servers) server.setSecureContext(this.#pair.context);
  }
}

function pairOf({ cert, key }: ServerCertificate): TlsPair {
  return readPair({ certificate: Buffer.from(cert), key: Buffer.from(key), clientCa: undefined });
}

function isReview({ method, url }: IncomingMessage): boolean {
  return method === "POST" && url?.split("?")[0] === "/inject";
}

/** Also counts brackets within texts: these are few in a pod. */
function hasMoreObjects(body: Buffer, max: number): boolean {
  let count = 0;
  for (const byte of body) if ((byte === 0x7b || byte === 0x5b) && ++count > max) return true;
  return false;
}

function answerOf(uid: string, injection: PodInjection) {
  const answer =
    "denied" in injection
      ? { uid, allowed: false, status: { code: 403, reason: "Forbidden", message: injection.denied } }
      : {
          ...{ uid, allowed: true, warnings: injection.warnings, patchType: "JSONPatch" },
          patch: Buffer.from(JSON.stringify(injection.patch)).toString("base64"),
        };
  return { apiVersion: "admission.k8s.io/v1", kind: "AdmissionReview", response: answer };
}

function refusal(status: number): HttpAnswer {
  return { status, headers: { connection: "close" }, body: "" };
}
