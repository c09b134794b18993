import type { IncomingMessage } from "node:http";
import type { Action } from "../../model/access/access_table.js";
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
import { html } from "../../server/pages/html.js";
import type { DescribeProvider } from "../../server/pages/page_words.js";
import { addressKey } from "../../server/sockets/address_key.js";
import type { BoundService } from "../../service/pipeline/bound_service.js";
import { RateLimiter } from "../../service/pipeline/rate_limiter.js";
import { ConsoleCalls } from "./console_calls.js";
import { consoleRooms } from "./console_pages.js";
import { type ConsoleRoute, ConsoleRoutes } from "./console_routes.js";
import { consoleError, errorBox } from "./frame/console_errors.js";
import { formTokenField, formTokenOf, isFormToken, seeOther } from "./frame/console_forms.js";
import { consoleHeaders } from "./frame/console_headers.js";
import { consoleAssets, consolePage } from "./frame/console_layout.js";
import type { ConsoleVisit } from "./frame/console_visit.js";
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
  readonly #routes = new ConsoleRoutes(consoleRooms);
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
    const asset = consoleAssets.get(guest.path);
    if (asset) return asset;
    if (guest.path === "/favicon.ico") return { status: 204, headers: consoleHeaders, body: "" };
    const route = this.#routes.find(guest.path);
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
    const answer = seeOther("/");
    const set = cookie.set(cookieName(url), opened.token.reveal(), maxAgeSeconds);
    return { ...answer, headers: { ...answer.headers, "set-cookie": set } };
  }

  async #look(guest: Guest, route: ConsoleRoute | undefined): Promise<Answer> {
    const { path, session } = guest;
    if (!session) return this.#signedOut(guest);
    if (path === "/") return seeOther(consoleRooms[0]?.path ?? openPath);
    const page = route?.page ?? route?.stream;
    if (!route || !page) return route ? pages.methodNotAllowedPage("POST") : pages.notFoundPage();
    return this.#serve(guest, session, route, (visit) => page(visit));
  }

  /** In this order: whose the request is, how it was sent, and whether a page of this session sent it. */
  async #post(guest: Guest, body: Buffer | "too_large"): Promise<Answer> {
    const { request, path, session, token, url } = guest;
    const route = this.#routes.find(path);
    if (path !== signOutPath && !route) return pages.notFoundPage();
    if (path !== signOutPath && !route?.action) return pages.methodNotAllowedPage("GET, HEAD");
    if (!session) return this.#signedOut(guest);
    if (!isForm(request.headers) || !isOwnForm(request.headers, url)) return pages.foreignRequestPage();
    if (body === "too_large") return pages.tooLargePage();
    const form = new URLSearchParams(body.toString("utf8"));
    if (!isFormToken(form.get(formTokenField) ?? "", formTokenOf(token))) return pages.foreignRequestPage();
    if (path === signOutPath) return this.#signOut(guest, session);
    const action = route?.action;
    if (!route || !action) return pages.notFoundPage();
    return this.#serve(guest, session, route, (visit) => action(visit, form));
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
    { room, params }: ConsoleRoute,
    serve: (visit: ConsoleVisit) => Answer | Promise<Answer>,
  ): Promise<Answer> {
    const { socket } = guest.request;
    const left = new AbortController();
    const leave = (): void => left.abort();
    socket.once("close", leave);
    const visit = this.#visit(guest, session, params, left.signal);
    try {
      return await serve(visit);
    } catch (error) {
      if (left.signal.aborted && error === left.signal.reason) return emptyAnswer();
      // What no table foresees is thrown on.
      const refused = consoleError(error);
      const { status } = refused;
      if (status === 401) return this.#signedOut(guest);
      const content = html`${errorBox(refused)}
<p><a href="${room}">Go back</a></p>`;
      return consolePage(visit, { title: "Not possible", room, content, status });
    } finally {
      socket.off("close", leave);
    }
  }

  #visit(
    guest: Guest,
    session: ConsoleSession,
    params: ConsoleRoute["params"],
    signal: AbortSignal,
  ): ConsoleVisit {
    const { request, path, query, token } = guest;
    const { clock, sessions, describe, permissionsOf } = this.#options;
    const principal = at(session.principal, request.socket.remoteAddress);
    const may = (action: Action): boolean => permissionsOf(principal.name).permissionFor(action) !== "denied";
    const rooms = consoleRooms.filter(({ action }) => action === undefined || may(action));
    return {
      ...{ path, params, query, session, rooms, may, describe },
      formToken: formTokenOf(token),
      call: this.#calls.callFor(principal, signal),
      open: this.#calls.openFor(principal, (end) => sessions.hold(session, end)),
      nowMs: clock.nowMs(),
      clock,
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
  return { status: 200, headers: consoleHeaders, body: "" };
}
