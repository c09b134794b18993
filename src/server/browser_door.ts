import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import type { ConsentFlow } from "../domain/consent.js";
import type { ListenAddress } from "../model/listen_address.js";
import { BindingCookie } from "./binding_cookie.js";
import type { Door, DoorPlace, OnUnexpected } from "./door.js";
import { type Answer, HttpListener, splitTarget } from "./http_listener.js";
import { pageStyle } from "./page_style.js";
import {
  badRequestPage,
  donePage,
  failurePage,
  homePage,
  idleAnswer,
  internalErrorPage,
  methodNotAllowedPage,
  misdirectedPage,
  notFoundPage,
  prefetchPage,
  safeHeaders,
  stylePath,
} from "./pages.js";

export interface BrowserDoorOptions extends DoorPlace {
  readonly listen: ListenAddress;
  /** How browsers reach this door; http or https, without a path of its own. */
  readonly publicUrl: URL;
  readonly flow: ConsentFlow;
  readonly onUnexpected: OnUnexpected;
}

interface Visit {
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  /** Address of the socket. What a proxy says of the address behind it is not believed: anybody can say it. */
  readonly origin: string | undefined;
}

/** Paths that act, and so only for a `GET` of the page that a person looks at. */
type Act = (visit: Visit) => Promise<Answer>;

const startPath = "/auth/start";
const callbackPath = "/auth/callback";

/** A person's browser on its way to a provider and back. */
export class BrowserDoor implements Door {
  readonly #options: BrowserDoorOptions;
  readonly #http: HttpListener;
  readonly #cookie: BindingCookie;
  readonly #hosts: ReadonlySet<string>;
  readonly #acts: ReadonlyMap<string, Act>;
  readonly #pages: ReadonlyMap<string, () => Answer>;

  constructor(options: BrowserDoorOptions) {
    this.#options = options;
    this.#cookie = new BindingCookie(options.publicUrl);
    this.#hosts = hostsOf(options.publicUrl);
    this.#acts = new Map<string, Act>([
      [startPath, (visit) => this.#start(visit)],
      [callbackPath, (visit) => this.#finish(visit)],
    ]);
    this.#pages = new Map([
      ["/", homePage],
      [stylePath, styleAnswer],
      ["/favicon.ico", () => ({ status: 204, headers: safeHeaders, body: "" })],
    ]);
    this.#http = new HttpListener({
      ...options,
      door: "browser",
      answer: (request) => this.#answer(request),
      internalError: internalErrorPage(),
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

  async #answer({ method, url, headers, socket }: IncomingMessage): Promise<Answer> {
    const target = splitTarget(url);
    if (!target || headers.host === undefined) return badRequestPage();
    if (!this.#hosts.has(headers.host.toLowerCase())) return misdirectedPage(this.#options.publicUrl.origin);
    if (method !== "GET" && method !== "HEAD") return methodNotAllowedPage();
    const act = this.#acts.get(target.path);
    if (!act) return (this.#pages.get(target.path) ?? notFoundPage)();
    if (isPrefetch(headers)) return prefetchPage();
    if (method === "HEAD") return idleAnswer();
    return act({ query: target.query, headers, origin: socket.remoteAddress });
  }

  async #start({ query }: Visit): Promise<Answer> {
    const states = query.getAll("state");
    const state = states[0];
    if (states.length !== 1 || !state) {
      const message = "The link is not complete.";
      return failurePage({ kind: "failure", status: 400, reason: "state_missing", message });
    }
    const outcome = await this.#options.flow.start(state);
    if (outcome.kind === "failure") return failurePage(outcome);
    const { name, value, maxAgeSeconds } = outcome.binding;
    return redirect(302, outcome.location, [this.#cookie.set(name, value, maxAgeSeconds)]);
  }

  async #finish({ query, headers, origin }: Visit): Promise<Answer> {
    const used = new Set<string>();
    const readCookie = (name: string): string | undefined => {
      const value = this.#cookie.read(headers.cookie, name);
      if (value !== undefined) used.add(name);
      return value;
    };
    const outcome = await this.#options.flow.finish(query, readCookie, origin);
    const cleared = [...used].map((name) => this.#cookie.clear(name));
    switch (outcome.kind) {
      case "return":
        return redirect(303, outcome.location, cleared);
      case "done":
        return withCookies(donePage(outcome.providerName), cleared);
      case "failure":
        return withCookies(failurePage(outcome), cleared);
    }
  }
}

/** Every spelling of the authority of the public URL; on a loopback host, the other loopback names as well. */
function hostsOf(publicUrl: URL): ReadonlySet<string> {
  const loopback = ["localhost", "127.0.0.1", "[::1]"];
  const names = loopback.includes(publicUrl.hostname) ? loopback : [publicUrl.hostname];
  const port = publicUrl.port === "" ? (publicUrl.protocol === "https:" ? "443" : "80") : publicUrl.port;
  const withPort = names.map((name) => `${name}:${port}`);
  return new Set(publicUrl.port === "" ? [...names, ...withPort] : withPort);
}

/** A page fetched ahead of the person's wish (Fetch Standard, `Sec-Purpose`; the other two are its forerunners). */
function isPrefetch(headers: IncomingHttpHeaders): boolean {
  return ["sec-purpose", "purpose", "x-moz"].some((name) =>
    /^\s*(prefetch|prerender)\b/i.test(String(headers[name] ?? "")),
  );
}

function redirect(status: 302 | 303, location: string, cookies: readonly string[]): Answer {
  return withCookies({ status, headers: { ...safeHeaders, location }, body: "" }, cookies);
}

function withCookies(answer: Answer, cookies: readonly string[]): Answer {
  return cookies.length === 0 ? answer : { ...answer, headers: { ...answer.headers, "set-cookie": cookies } };
}

function styleAnswer(): Answer {
  const headers = {
    ...safeHeaders,
    "content-type": "text/css; charset=utf-8",
    "cache-control": "max-age=300",
  };
  return { status: 200, headers, body: pageStyle };
}
