import type { IncomingMessage } from "node:http";
import type { ReadinessChecks } from "../../model/connections/daemon_status.js";
import type { ListenAddress } from "../../model/listen_address.js";
import { type Answer, HttpListener, splitTarget } from "../listen/http_listener.js";
import type { Listener, ListenerPlace, OnUnexpected } from "../listen/listener.js";

/** Pages by their paths. Anyone who opens this listener is nobody: they hold no id, no user and no message of a failure. */
export type OpsPages = Readonly<Record<string, (query: URLSearchParams) => Promise<Answer>>>;

export interface OpsListenerOptions extends ListenerPlace {
  readonly listen: ListenAddress;
  /** By name, `true` for a check that passes; anything else is what is wrong. Ready is when all pass. */
  readiness(): ReadinessChecks;
  metrics(): Promise<{ readonly contentType: string; readonly body: string }>;
  /** Of extensions, by path. */
  readonly pages: OpsPages;
  readonly onUnexpected: OnUnexpected;
}

const plain = { "content-type": "text/plain; charset=utf-8", "cache-control": "no-store" };
const json = { "content-type": "application/json", "cache-control": "no-store" };

/** Probes and scrapers: `/livez`, `/readyz`, `/metrics`; and the pages of extensions. */
export class OpsListener implements Listener {
  readonly #options: OpsListenerOptions;
  readonly #http: HttpListener;

  constructor(options: OpsListenerOptions) {
    this.#options = options;
    this.#http = new HttpListener({
      ...options,
      listener: "ops",
      answer: (request) => this.#answer(request),
      internalError: { status: 500, headers: plain, body: "internal error\n" },
    });
  }

  get addresses(): readonly ListenAddress[] {
    return this.#http.addresses;
  }

  open(): Promise<void> {
    return this.#http.open();
  }

  close(force: AbortSignal): Promise<void> {
    return this.#http.close(force);
  }

  async #answer({ method, url }: IncomingMessage): Promise<Answer> {
    const target = splitTarget(url);
    if (!target) return { status: 400, headers: plain, body: "bad request\n" };
    if (method !== "GET" && method !== "HEAD") {
      return { status: 405, headers: { ...plain, allow: "GET, HEAD" }, body: "method not allowed\n" };
    }
    return this.#read(target.path, target.query);
  }

  async #read(path: string, query: URLSearchParams): Promise<Answer> {
    switch (path) {
      case "/livez":
        return { status: 200, headers: plain, body: "ok" };
      case "/readyz": {
        const checks = this.#options.readiness();
        const ready = Object.values(checks).every((check) => check === true);
        return { status: ready ? 200 : 503, headers: json, body: `${JSON.stringify({ ready, checks })}\n` };
      }
      case "/metrics": {
        const { contentType, body } = await this.#options.metrics();
        return { status: 200, headers: { "content-type": contentType, "cache-control": "no-store" }, body };
      }
      default:
        return (await this.#options.pages[path]?.(query)) ?? this.#notFound();
    }
  }

  #notFound(): Answer {
    const paths = ["/livez", "/readyz", "/metrics", ...Object.keys(this.#options.pages)];
    const body = `not found: here are ${paths.slice(0, -1).join(", ")} and ${paths.at(-1)}\n`;
    return { status: 404, headers: plain, body };
  }
}
