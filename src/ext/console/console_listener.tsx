import type { IncomingMessage } from "node:http";
import type { Permissions } from "../../model/access/permissions.js";
import { at } from "../../model/access/principal.js";
import type { ListenAddress } from "../../model/listen_address.js";
import type { Clock } from "../../runtime/clock.js";
import { BindingCookie } from "../../server/callers/binding_cookie.js";
import { type Answer, HttpListener, splitTarget } from "../../server/listen/http_listener.js";
import type { Listener, ListenerPlace, OnUnexpected } from "../../server/listen/listener.js";
import { limitsOf } from "../../server/listen/listener_limits.js";
import {
  hostOf,
  hostsOf,
  isEmbedded,
  isForm,
  isOwnFetch,
  isOwnForm,
  isPrefetch,
} from "../../server/pages/browser_request.js";
import type { DescribeProvider } from "../../server/pages/page_words.js";
import { addressKey } from "../../server/sockets/address_key.js";
import type { BoundService } from "../../service/pipeline/bound_service.js";
import { RateLimiter } from "../../service/pipeline/rate_limiter.js";
import { ConsoleCalls } from "./console_calls.js";
import { consoleError, Problem } from "./kit/errors.js";
import * as kit from "./kit/page.js";
import type { PageRequest, ShownSetting } from "./kit/request.js";
import { type Route, routeOf } from "./routes.js";
import { sections } from "./sections.js";
import type { ConsoleSession, ConsoleSessions } from "./sessions/console_sessions.js";
import { codeField, consoleUrl, openPath } from "./sessions/console_url.js";
import * as pages from "./signed_out_pages.js";

export interface ConsoleListenerOptions extends ListenerPlace {
  readonly listen: ListenAddress;
  /** Where browsers reach it; undefined for the bound address. */
  readonly url: string | undefined;
  readonly sessions: ConsoleSessions;
  /** What its pages call. */
  readonly services: readonly BoundService[];
  /** What a principal may, for what is offered. */
  readonly permissionsOf: (principalName: string) => Permissions;
  readonly describe: DescribeProvider;
  readonly settings: () => readonly ShownSetting[];
  readonly clock: Clock;
  readonly onUnexpected: OnUnexpected;
}

const signOutPath = "/sign-out";

/** What a browser shows of itself beside its request. */
interface Guest {
  readonly request: IncomingMessage;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly url: URL;
  readonly cookie: BindingCookie;
  /** The token of its session, whether or not that lives. */
  readonly token: string;
  readonly session: ConsoleSession | undefined;
}

/** The pages of a signed-in person. */
export class ConsoleListener implements Listener {
  readonly #options: ConsoleListenerOptions;
  readonly #http: HttpListener;
  readonly #calls: ConsoleCalls;
  readonly #rates: RateLimiter | undefined;

  constructor(options: ConsoleListenerOptions) {
    this.#options = options;
    const limits = limitsOf(options.bounds);
    this.#rates = limits.browserRate && new RateLimiter(limits.browserRate);
    this.#calls = new ConsoleCalls(options.services);
    this.#http = new HttpListener({
      ...options,
      listener: "console",
      answer: (request, body) => this.#answer(request, body),
      maxBodyBytes: ({ method }) => (method === "POST" ? limits.maxFormBytes : 0),
      internalError: pages.internalErrorPage(),
    });
  }

  get addresses(): readonly ListenAddress[] {
    return this.#http.addresses;
  }

  /** An origin; undefined before it is open, and for a Unix socket that no setting gives a URL. */
  get url(): string | undefined {
    const { url, tls } = this.#options;
    return url ?? consoleUrl(this.addresses[0], tls !== undefined);
  }

  open(): Promise<void> {
    return this.#http.open();
  }

  close(force: AbortSignal): Promise<void> {
    return this.#http.close(force);
  }

  async #answer(request: IncomingMessage, body: Buffer | "too_large"): Promise<Answer> {
    const { method, headers } = request;
    const tooFast = this.#tooFast(request);
    if (tooFast) return tooFast;
    const target = splitTarget(request.url);
    const host = hostOf(request);
    if (!target || host === undefined) return pages.badRequestPage();
    // Another name that leads here may be anybody's (DNS rebinding).
    if (this.url === undefined || !hostsOf(new URL(this.url)).has(host))
      return pages.misdirectedPage(this.url);
    const guest = this.#guest(request, target);
    const isLooking = method === "GET" || method === "HEAD";
    if (!isLooking)
      return method === "POST" ? this.#post(guest, body) : pages.methodNotAllowedPage("GET, HEAD, POST");
    const asset = kit.consoleAssets.get(guest.path);
    if (asset) return asset;
    if (guest.path === "/favicon.ico") return { status: 204, headers: kit.consoleHeaders, body: "" };
    const route = routeOf(sections, guest.path);
    if (isPrefetch(headers)) return pages.notYetPage();
    // The script asks for pages again, and for what is live.
    const isAsked = (route?.stream ?? route?.page) !== undefined && isOwnFetch(headers);
    if (!isAsked && isEmbedded(headers)) return pages.badRequestPage();
    if (guest.path === openPath) return method === "HEAD" ? emptyAnswer() : await this.#signIn(guest);
    return this.#look(guest, route);
  }

  #guest(request: IncomingMessage, target: { path: string; query: URLSearchParams }): Guest {
    const url = new URL(this.url ?? "http://localhost");
    const cookie = new BindingCookie(url, "Strict");
    // Cookies of one host are shared by its ports, and so by the daemons of one machine.
    const token = cookie.read(request.headers.cookie, cookieName(url)) ?? "";
    return { ...target, request, url, cookie, token, session: this.#options.sessions.find(token) };
  }

  #tooFast({ socket }: IncomingMessage): Answer | undefined {
    const key = addressKey(socket.remoteAddress) ?? "unix";
    if (!this.#rates || this.#rates.take(key)) return undefined;
    const page = pages.tooFastPage(limitsOf(this.#options.bounds).browserRate?.perSecond ?? 0);
    const retryAfter = String(Math.ceil(this.#rates.waitMs(key) / 1_000));
    return { ...page, headers: { ...page.headers, "retry-after": retryAfter } };
  }

  async #signIn({ request, query, url, cookie, session }: Guest): Promise<Answer> {
    const site = request.headers["sec-fetch-site"];
    if (site === "cross-site" || site === "same-site") return pages.foreignLinkPage();
    const { sessions, clock } = this.#options;
    const origin = request.socket.remoteAddress;
    const opened = await sessions.open(query.get(codeField) ?? "", origin, session);
    if (!opened) return pages.usedLinkPage(session !== undefined);
    if (session) await sessions.end(session, origin);
    const maxAgeSeconds = (opened.session.expiresAtMs - clock.nowMs()) / 1_000;
    const answer = kit.seeOther("/");
    const set = cookie.set(cookieName(url), opened.token.reveal(), maxAgeSeconds);
    return { ...answer, headers: { ...answer.headers, "set-cookie": set } };
  }

  async #look(guest: Guest, route: Route | undefined): Promise<Answer> {
    const { path, session } = guest;
    if (!session) return this.#signedOut(guest);
    if (path === "/") return kit.seeOther(this.#sectionsOf(session)[0]?.path ?? openPath);
    const page = route?.page ?? route?.stream;
    if (!route || !page) return route ? pages.methodNotAllowedPage("POST") : pages.notFoundPage();
    return this.#serve(guest, session, route, page);
  }

  /** In this order: whose the request is, how it was sent, and whether a page of this session sent it. */
  async #post(guest: Guest, body: Buffer | "too_large"): Promise<Answer> {
    const { request, path, session, token, url } = guest;
    const route = routeOf(sections, path);
    if (path !== signOutPath && !route) return pages.notFoundPage();
    if (path !== signOutPath && !route?.action) return pages.methodNotAllowedPage("GET, HEAD");
    if (!session) return this.#signedOut(guest);
    if (!isForm(request.headers) || !isOwnForm(request.headers, url)) return pages.foreignRequestPage();
    if (body === "too_large") return pages.tooLargePage();
    const form = new URLSearchParams(body.toString("utf8"));
    if (!kit.isFormToken(form.get(kit.formTokenField) ?? "", kit.formTokenOf(token)))
      return pages.foreignRequestPage();
    if (path === signOutPath) return this.#signOut(guest, session);
    const action = route?.action;
    if (!route || !action) return pages.notFoundPage();
    return this.#serve(guest, session, route, (asked) => action(asked, form));
  }

  async #signOut(guest: Guest, session: ConsoleSession): Promise<Answer> {
    await this.#options.sessions.end(session, guest.request.socket.remoteAddress);
    return cleared(guest, pages.goodbyePage());
  }

  #signedOut(guest: Guest): Answer {
    return guest.token === "" ? pages.signedOutPage() : cleared(guest, pages.signedOutPage());
  }

  async #serve(
    guest: Guest,
    session: ConsoleSession,
    { section, params }: Route,
    serve: (request: PageRequest) => Answer | Promise<Answer>,
  ): Promise<Answer> {
    const { socket } = guest.request;
    const left = new AbortController();
    const leave = (): void => left.abort();
    socket.once("close", leave);
    const request = this.#pageRequest(guest, session, params, left.signal);
    try {
      return await serve(request);
    } catch (error) {
      if (left.signal.aborted && error === left.signal.reason) return emptyAnswer();
      // What no table foresees is thrown on.
      const { status, message } = consoleError(error);
      if (status === 401) return this.#signedOut(guest);
      const content = <><Problem message={message} /><p><a href={section}>Go back</a></p></>;
      return kit.consolePage(request, { title: "Not possible", section, content, status });
    } finally {
      socket.off("close", leave);
    }
  }

  /** Those that the session's principal may see. */
  #sectionsOf({ principal }: ConsoleSession) {
    const permissions = this.#options.permissionsOf(principal.name);
    return sections.filter(
      ({ action }) => action === undefined || permissions.permissionFor(action) !== "denied",
    );
  }

  #pageRequest(
    guest: Guest,
    session: ConsoleSession,
    params: Route["params"],
    signal: AbortSignal,
  ): PageRequest {
    const { request, query, token } = guest;
    const { clock, sessions, describe, settings, permissionsOf } = this.#options;
    const principal = at(session.principal, request.socket.remoteAddress);
    return {
      ...{ params, query, session, describe, settings, clock, nowMs: clock.nowMs() },
      may: (action) => permissionsOf(principal.name).permissionFor(action) !== "denied",
      sections: this.#sectionsOf(session),
      formToken: kit.formTokenOf(token),
      call: this.#calls.callFor(principal, signal),
      open: this.#calls.openFor(principal, (end) => sessions.hold(session, end)),
    };
  }
}

function cookieName({ port }: URL): string {
  return port === "" ? "console" : `console-${port}`;
}

function cleared({ cookie, url }: Guest, answer: Answer): Answer {
  return { ...answer, headers: { ...answer.headers, "set-cookie": cookie.clear(cookieName(url)) } };
}

function emptyAnswer(): Answer {
  return { status: 200, headers: kit.consoleHeaders, body: "" };
}
