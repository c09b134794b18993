import type { IncomingMessage } from "node:http";
import type { ReadinessChecks } from "../../model/connections/daemon_status.js";
import type { ListenAddress } from "../../model/listen_address.js";
import { type HttpAnswer, HttpListener, splitTarget } from "../listen/http_listener.js";
import type { Listener, ListenerPlace, OnUnexpected } from "../listen/listener.js";

/** Pages by their paths. Callers of this listener are not authenticated: the pages hold no id, no user and no message of a failure. */
export type OpsPages = Readonly<Record<string, (query: URLSearchParams) => Promise<HttpAnswer>>>;

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
export function opsListener(options: OpsListenerOptions): Listener {
  return new HttpListener({
    ...options,
    listener: "ops",
    answer: (request) => answerTo(request, options),
    internalError: { status: 500, headers: plain, body: "internal error\n" },
  });
}

async function answerTo({ method, url }: IncomingMessage, options: OpsListenerOptions): Promise<HttpAnswer> {
  const target = splitTarget(url);
  if (!target) return { status: 400, headers: plain, body: "bad request\n" };
  if (method !== "GET" && method !== "HEAD") {
    return { status: 405, headers: { ...plain, allow: "GET, HEAD" }, body: "method not allowed\n" };
  }
  return read(target.path, target.query, options);
}

async function read(
  path: string,
  query: URLSearchParams,
  { readiness, metrics, pages }: OpsListenerOptions,
): Promise<HttpAnswer> {
  switch (path) {
    case "/livez":
      return { status: 200, headers: plain, body: "ok" };
    case "/readyz": {
      const checks = readiness();
      const ready = Object.values(checks).every((check) => check === true);
      return { status: ready ? 200 : 503, headers: json, body: `${JSON.stringify({ ready, checks })}\n` };
    }
    case "/metrics": {
      const { contentType, body } = await metrics();
      return { status: 200, headers: { "content-type": contentType, "cache-control": "no-store" }, body };
    }
    default:
      return (await pages[path]?.(query)) ?? notFound(pages);
  }
}

function notFound(pages: OpsPages): HttpAnswer {
  const paths = ["/livez", "/readyz", "/metrics", ...Object.keys(pages)];
  const body = `not found: here are ${paths.slice(0, -1).join(", ")} and ${paths.at(-1)}\n`;
  return { status: 404, headers: plain, body };
}
