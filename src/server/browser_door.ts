import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import type { CaptureFlow, ConsentFlow, FinishOutcome } from "../domain/consent.js";
import type { ListenAddress } from "../model/listen_address.js";
import { RateLimiter } from "../service/rate_limiter.js";
import { addressKey } from "./address_limits.js";
import { BindingCookie } from "./binding_cookie.js";
import { captureFormPage } from "./capture_form.js";
import type { Door, DoorPlace, OnUnexpected } from "./door.js";
import { limitsOf } from "./door_limits.js";
import { type Answer, HttpListener, splitTarget } from "./http_listener.js";
import { pageStyle } from "./page_style.js";
import {
  badRequestPage,
  donePage,
  failurePage,
  formRefusedPage,
  formTooLargePage,
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
  readonly capture: CaptureFlow;
  readonly onUnexpected: OnUnexpected;
}

interface Visit {
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer | "too_large";
  /** Address of the socket. What a proxy says of the address behind it is not believed: anybody can say it. */
  readonly origin: string | undefined;
}

/** Paths that act, and so only for a `GET` of the page that a person looks at. */
type Act = (visit: Visit) => Promise<Answer>;

const startPath = "/auth/start";
const callbackPath = "/auth/callback";
const capturePath = "/auth/capture";

/** A person's browser on its way to a provider and back. */
export class BrowserDoor implements Door {
  readonly #options: BrowserDoorOptions;
  readonly #http: HttpListener;
  readonly #cookie: BindingCookie;
  readonly #hosts: ReadonlySet<string>;
  readonly #acts: ReadonlyMap<string, Act>;
  readonly #pages: ReadonlyMap<string, () => Answer>;
  readonly #rates: RateLimiter | undefined;

  constructor(options: BrowserDoorOptions) {
    this.#options = options;
    const limits = limitsOf(options.bounds);
    this.#rates = limits.browserRate && new RateLimiter(limits.browserRate);
    this.#cookie = new BindingCookie(options.publicUrl);
    this.#hosts = hostsOf(options.publicUrl);
    this.#acts = new Map<string, Act>([
      [startPath, (visit) => this.#start(visit)],
      [callbackPath, (visit) => this.#finish(visit)],
      [capturePath, (visit) => this.#form(visit)],
    ]);
    this.#pages = new Map([
      ["/", homePage],
      [stylePath, styleAnswer],
      ["/favicon.ico", () => ({ status: 204, headers: safeHeaders, body: "" })],
    ]);
    this.#http = new HttpListener({
      ...options,
      door: "browser",
      answer: async (request, body) => this.#tooFast(request) ?? (await this.#answer(request, body)),
      maxBodyBytes: ({ method, url }) =>
        method === "POST" && splitTarget(url)?.path === capturePath ? limits.maxFormBytes : 0,
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

  /** Of the address of the socket: what a proxy says of the one behind it anybody could say. */
  #tooFast({ socket }: IncomingMessage): Answer | undefined {
    const key = addressKey(socket.remoteAddress) ?? "unix";
    if (!this.#rates || this.#rates.take(key)) return undefined;
    const limit = limitsOf(this.#options.bounds).browserRate?.perSecond ?? 0;
    const page = failurePage({
      kind: "failure",
      status: 429,
      reason: "rate_limited",
      message: `Too many requests from your address: at most ${limit} per second.`,
    });
    const retryAfter = String(Math.ceil(this.#rates.waitMs(key) / 1_000));
    return { ...page, headers: { ...page.headers, "retry-after": retryAfter } };
  }

  async #answer({ method, url, headers, socket }: IncomingMessage, body: Visit["body"]): Promise<Answer> {
    const target = splitTarget(url);
    if (!target || headers.host === undefined) return badRequestPage();
    if (!this.#hosts.has(headers.host.toLowerCase())) return misdirectedPage(this.#options.publicUrl.origin);
    const visit: Visit = { query: target.query, headers, body, origin: socket.remoteAddress };
    const isForm = target.path === capturePath;
    if (isForm && method === "POST") return this.#submit(visit);
    if (method !== "GET" && method !== "HEAD") {
      return isForm ? methodNotAllowedPage("GET, HEAD, POST") : methodNotAllowedPage();
    }
    const act = this.#acts.get(target.path);
    if (!act) return (this.#pages.get(target.path) ?? notFoundPage)();
    if (isPrefetch(headers)) return prefetchPage();
    if (method === "HEAD") return idleAnswer();
    return act(visit);
  }

  async #start({ query }: Visit): Promise<Answer> {
    const state = stateOf(query);
    if (state === undefined) return incompletePage();
    const outcome = await this.#options.flow.start(state);
    if (outcome.kind === "failure") return failurePage(outcome);
    const { name, value, maxAgeSeconds } = outcome.binding;
    const cookies = [this.#cookie.set(name, value, maxAgeSeconds)];
    if (outcome.kind === "capture") return redirect(303, captureTarget(state), cookies);
    return redirect(302, outcome.location, cookies);
  }

  async #finish({ query, headers, origin }: Visit): Promise<Answer> {
    const cookies = new CookieReader(this.#cookie, headers.cookie);
    return finished(await this.#options.flow.finish(query, cookies.read, origin), cookies);
  }

  async #form({ query, headers }: Visit): Promise<Answer> {
    const state = stateOf(query);
    if (state === undefined) return incompletePage();
    const { read } = new CookieReader(this.#cookie, headers.cookie);
    const outcome = await this.#options.capture.form(state, read);
    if (outcome.kind === "failure") return failurePage(outcome);
    return captureFormPage(200, outcome.form, captureTarget(state));
  }

  async #submit({ query, headers, body, origin }: Visit): Promise<Answer> {
    const state = stateOf(query);
    if (state === undefined) return incompletePage();
    if (!this.#isOwnForm(headers)) return formRefusedPage();
    if (body === "too_large") return formTooLargePage();
    const cookies = new CookieReader(this.#cookie, headers.cookie);
    const values = new URLSearchParams(body.toString("utf8"));
    const outcome = await this.#options.capture.submit(state, values, cookies.read, origin);
    if (outcome.kind === "form") return captureFormPage(outcome.status, outcome.form, captureTarget(state));
    return finished(outcome, cookies);
  }

  /** A form of a page of this door, as far as the browser says (Fetch, section 3.2; Fetch Metadata, section 2.4). */
  #isOwnForm(headers: IncomingHttpHeaders): boolean {
    const type = (headers["content-type"] ?? "").split(";")[0]?.trim().toLowerCase();
    if (type !== "application/x-www-form-urlencoded") return false;
    const site = headers["sec-fetch-site"];
    if (site !== undefined && site !== "same-origin" && site !== "none") return false;
    const { origin } = headers;
    if (origin === undefined) return true;
    const own = `${this.#options.publicUrl.protocol}//${headers.host}`;
    return URL.canParse(own) && origin === new URL(own).origin;
  }
}

/** Reads cookies and remembers which it found. */
class CookieReader {
  readonly #cookie: BindingCookie;
  readonly #header: string | undefined;
  readonly #found = new Set<string>();

  constructor(cookie: BindingCookie, header: string | undefined) {
    this.#cookie = cookie;
    this.#header = header;
  }

  readonly read = (name: string): string | undefined => {
    const value = this.#cookie.read(this.#header, name);
    if (value !== undefined) this.#found.add(name);
    return value;
  };

  /** Takes back what was read. */
  clear(): string[] {
    return [...this.#found].map((name) => this.#cookie.clear(name));
  }
}

function finished(outcome: FinishOutcome, cookies: CookieReader): Answer {
  const cleared = cookies.clear();
  switch (outcome.kind) {
    case "return":
      return redirect(303, outcome.location, cleared);
    case "done":
      return withCookies(donePage(outcome.providerName), cleared);
    case "failure":
      return withCookies(failurePage(outcome), cleared);
  }
}

function stateOf(query: URLSearchParams): string | undefined {
  const [state, ...others] = query.getAll("state");
  return others.length === 0 && state ? state : undefined;
}

function captureTarget(state: string): string {
  return `${capturePath}?${new URLSearchParams({ state })}`;
}

function incompletePage(): Answer {
  const message = "The link is not complete.";
  return failurePage({ kind: "failure", status: 400, reason: "state_missing", message });
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
