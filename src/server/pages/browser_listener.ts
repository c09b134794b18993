import type { IncomingMessage } from "node:http";
import type { ListenAddress } from "../../model/listen_address.js";
import { RateLimiter } from "../../service/pipeline/rate_limiter.js";
import { type HttpAnswer, HttpListener, splitTarget } from "../listen/http_listener.js";
import type { Listener, ListenerPlace, OnUnexpected } from "../listen/listener.js";
import { limitsOf } from "../listen/listener_limits.js";
import { addressKey } from "../sockets/socket_guard.js";
import { type BrowserPages, type BrowserRequest, formPaths } from "./browser_pages.js";
import { hostOf, hostsOf } from "./browser_request.js";
import { noticePage } from "./pages.js";

export interface BrowserListenerOptions extends ListenerPlace {
  readonly listen: ListenAddress;
  /** How browsers reach this listener; http or https, without a path of its own. */
  readonly publicUrl: URL;
  readonly pages: BrowserPages;
  readonly onUnexpected: OnUnexpected;
}

/** A person's browser on its way to a provider and back. */
export function browserListener(options: BrowserListenerOptions): Listener {
  const { maxFormBytes } = limitsOf(options.bounds);
  const browsers = new Browsers(options);
  return new HttpListener({
    ...options,
    listener: "browser",
    isForBrowsers: true,
    answer: (request, body) => browsers.answer(request, body),
    maxBodyBytes: ({ method, url }) =>
      method === "POST" && formPaths.has(splitTarget(url)?.path ?? "") ? maxFormBytes : 0,
    internalError: noticePage("internalError"),
  });
}

/** What a browser is answered, unless it asks too fast or for another host. */
class Browsers {
  readonly #hosts: ReadonlySet<string>;
  readonly #rates: RateLimiter | undefined;

  constructor(private readonly options: BrowserListenerOptions) {
    const { browserRate } = limitsOf(options.bounds);
    this.#rates = browserRate && new RateLimiter(browserRate);
    this.#hosts = hostsOf(options.publicUrl);
  }

  async answer(request: IncomingMessage, body: BrowserRequest["body"]): Promise<HttpAnswer> {
    return this.#tooFast(request) ?? this.#prefixed(await this.#answer(request, body));
  }

  /** Of the address of the socket: what a proxy says of the one behind it anybody could say. */
  #tooFast({ socket, headers }: IncomingMessage): HttpAnswer | undefined {
    const key = addressKey(socket.remoteAddress) ?? "unix";
    if (!this.#rates || this.#rates.take(key)) return undefined;
    const limit = limitsOf(this.options.bounds).browserRate?.perSecond ?? 0;
    const page = this.options.pages.failed(headers, { kind: "rate_limited", perSecond: limit });
    const retryAfter = String(Math.ceil(this.#rates.waitMs(key) / 1_000));
    return { ...page, headers: { ...page.headers, "retry-after": retryAfter } };
  }

  async #answer(request: IncomingMessage, body: BrowserRequest["body"]): Promise<HttpAnswer> {
    const { method, url: target, headers, socket } = request;
    const split = splitTarget(target);
    const host = hostOf(request);
    if (!split || target === undefined || host === undefined) return noticePage("badRequest");
    if (!this.#hosts.has(host)) {
      return noticePage("misdirected", {
        more: `Its address begins with ${this.options.publicUrl.origin}.`,
      });
    }
    const origin = socket.remoteAddress;
    return await this.options.pages.answer({ method, target, ...split, headers, body, origin });
  }

  /** Pages and redirects within this listener speak of it by path; a proxy may have put a prefix before that. */
  #prefixed(answer: HttpAnswer): HttpAnswer {
    const prefix = this.options.publicUrl.pathname.replace(/\/+$/, "");
    if (prefix === "") return answer;
    const { location } = answer.headers;
    const isWithin = typeof location === "string" && location.startsWith("/");
    const headers = isWithin ? { ...answer.headers, location: `${prefix}${location}` } : answer.headers;
    return { ...answer, headers, body: answer.body.replace(/ (href|action)="\//g, ` $1="${prefix}/`) };
  }
}
