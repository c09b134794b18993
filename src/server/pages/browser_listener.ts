import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import type { ListenAddress } from "../../model/listen_address.js";
import { RateLimiter } from "../../service/pipeline/rate_limiter.js";
import { type HttpAnswer, HttpListener, splitTarget } from "../listen/http_listener.js";
import type { Listener, ListenerPlace, OnUnexpected } from "../listen/listener.js";
import { limitsOf } from "../listen/listener_limits.js";
import { addressKey } from "../sockets/socket_guard.js";
import { hostOf, hostsOf, isForm, isOwnForm } from "./browser_request.js";

/** Why a request is answered before any page is looked for. */
export type BrowserRefusal =
  | { readonly kind: "badRequest" }
  /** @param perSecond requests that one address may send */
  | { readonly kind: "tooFast"; readonly perSecond: number }
  /** @param origin of the names that the listener has; undefined where it has none */
  | { readonly kind: "misdirected"; readonly origin: string | undefined };

/** A request whose host was looked at. */
export interface BrowserRequest {
  readonly method: string | undefined;
  /** Path and query as they came. */
  readonly target: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  /** Of a `POST` that may bring a form; empty otherwise. */
  readonly body: Buffer | "too_large";
  /** Address of the socket. What a proxy says of the address behind it is not believed: anybody can say it. */
  readonly origin: string | undefined;
  /** The hub at which it came, where that is another one. */
  readonly via?: readonly string[];
}

/** A request that was sent to one of the listener's own names. */
export interface BrowserVisit extends BrowserRequest {
  readonly request: IncomingMessage;
  /** How browsers reach the listener. */
  readonly url: URL;
}

export interface BrowserListenerOptions extends ListenerPlace {
  readonly listener: string;
  readonly listen: ListenAddress;
  /** Taken where `listen` asks for any free port, so that a bookmark stays good. */
  readonly usualPort?: number;
  /**
   * How browsers reach it, http or https. A proxy may put a path before those of the pages, which is the path of this URL then.
   *
   * @returns undefined where it has no name, so that each request is misdirected
   */
  urlOf(bound: ListenAddress): string | undefined;
  /** Whether a form may be sent to the path; default each. */
  takesForm?(path: string): boolean;
  answer(visit: BrowserVisit): Promise<HttpAnswer>;
  refused(refusal: BrowserRefusal, request: IncomingMessage): HttpAnswer;
  readonly internalError: HttpAnswer;
  readonly onUnexpected: OnUnexpected;
}

/**
 * Pages for the browsers of people: those of a consent, of the console, and of links to approvals. Each has names of its own and answers for
 * no other, which may be anybody's (DNS rebinding), and each address has a rate.
 */
export class BrowserListener implements Listener {
  readonly #options: BrowserListenerOptions;
  readonly #rates: RateLimiter | undefined;
  #http: HttpListener;
  #url: URL | undefined;

  constructor(options: BrowserListenerOptions) {
    this.#options = options;
    const { browserRate } = limitsOf(options.bounds);
    this.#rates = browserRate && new RateLimiter(browserRate);
    this.#http = this.#listenerAt(options.listen);
  }

  get addresses(): readonly ListenAddress[] {
    return this.#http.addresses;
  }

  /** How browsers reach it; undefined before it is open, and where it has no name. */
  get url(): URL | undefined {
    return this.#url;
  }

  async open(): Promise<void> {
    const { urlOf } = this.#options;
    await this.#open();
    const [bound] = this.addresses;
    const url = bound && urlOf(bound);
    this.#url = url === undefined ? undefined : new URL(url);
  }

  async #open(): Promise<void> {
    const { listen, usualPort } = this.#options;
    if (usualPort !== undefined && listen.kind === "tcp" && listen.port === 0) {
      const free = this.#http;
      this.#http = this.#listenerAt({ ...listen, port: usualPort });
      try {
        return await this.#http.open();
      } catch {
        this.#http = free;
      }
    }
    await this.#http.open();
  }

  close(force: AbortSignal): Promise<void> {
    return this.#http.close(force);
  }

  #listenerAt(listen: ListenAddress): HttpListener {
    const { takesForm = () => true } = this.#options;
    const { maxFormBytes } = limitsOf(this.#options.bounds);
    return new HttpListener({
      ...this.#options,
      listen,
      isForBrowsers: true,
      answer: async (request, body) => this.#prefixed(await this.#answer(request, body)),
      maxBodyBytes: ({ method, url }) =>
        method === "POST" && takesForm(splitTarget(url)?.path ?? "") ? maxFormBytes : 0,
    });
  }

  async #answer(request: IncomingMessage, body: BrowserVisit["body"]): Promise<HttpAnswer> {
    const { answer, refused } = this.#options;
    const tooFast = this.#tooFast(request);
    if (tooFast) return tooFast;
    const target = splitTarget(request.url);
    const host = hostOf(request);
    if (!target || host === undefined) return refused({ kind: "badRequest" }, request);
    const url = this.#url;
    if (!url || !hostsOf(url).has(host))
      return refused({ kind: "misdirected", origin: url?.origin }, request);
    const { method, headers, socket } = request;
    const line = { method, target: request.url ?? target.path, ...target };
    return await answer({ request, ...line, headers, url, body, origin: socket.remoteAddress });
  }

  /** Of the address of the socket: what a proxy says of the one behind it anybody could say. */
  #tooFast(request: IncomingMessage): HttpAnswer | undefined {
    const key = addressKey(request.socket.remoteAddress) ?? "unix";
    if (!this.#rates || this.#rates.take(key)) return undefined;
    const { browserRate } = limitsOf(this.#options.bounds);
    const page = this.#options.refused({ kind: "tooFast", perSecond: browserRate?.perSecond ?? 0 }, request);
    const retryAfter = String(Math.ceil(this.#rates.waitMs(key) / 1_000));
    return { ...page, headers: { ...page.headers, "retry-after": retryAfter } };
  }

  /** Pages and redirects within this listener speak of it by path; a proxy may have put a prefix before that. */
  #prefixed(answer: HttpAnswer): HttpAnswer {
    const prefix = this.#url?.pathname.replace(/\/+$/, "");
    if (!prefix) return answer;
    const { location } = answer.headers;
    const isWithin = typeof location === "string" && location.startsWith("/");
    const headers = isWithin ? { ...answer.headers, location: `${prefix}${location}` } : answer.headers;
    return { ...answer, headers, body: answer.body.replace(/ (href|action)="\//g, ` $1="${prefix}/`) };
  }
}

/** The form that a page of the listener at `url` sent, or why it is none. */
export function sentForm(
  headers: IncomingHttpHeaders,
  url: URL,
  body: BrowserVisit["body"],
): URLSearchParams | "no_form" | "foreign" | "too_large" {
  if (!isForm(headers)) return "no_form";
  if (!isOwnForm(headers, url)) return "foreign";
  return body === "too_large" ? body : new URLSearchParams(body.toString("utf8"));
}
