import type { IncomingMessage } from "node:http";
import { at, type Permissions, type Principal } from "../../model/access/access.js";
import type { ListenAddress } from "../../model/model.js";
import type { Clock } from "../../runtime/runtime.js";
import { BindingCookie, type HttpAnswer, type Listener, type ListenerPlace, type OnUnexpected } from "../../server/kit.js";
import { BrowserListener, type BrowserRefusal, type BrowserVisit, type DescribeProvider, isEmbedded, isOwnFetch, isPrefetch, sentForm } from "../../server/pages/kit.js";
import { type BoundService, callerOf } from "../../service/service.js";
import type { ConsoleSignIn, OpenedVisit } from "./issuer_sign_in.js";
import { consoleError, Problem } from "./kit/forms.js";
import * as kit from "./kit/page.js";
import { pathWith } from "./kit/parts.js";
import type { ConsolePage, FormAction, PageRequest, Section, SettingView } from "./kit/request.js";
import { type PageRoute, routerOf, sections } from "./sections.js";
import type { ConsoleSession, ConsoleSessions } from "./sessions/console_sessions.js";
import { codeField, consoleUrl, cookieName, openPath } from "./sessions/console_url.js";
import { newLink, noticePage, toConsole } from "./signed_out_pages.js";

export interface ConsoleListenerOptions extends ListenerPlace {
  readonly listen: ListenAddress;
  /** Where browsers reach it; undefined for the bound address. */
  readonly url: string | undefined;
  /** Taken where any free port is, so that a bookmark stays good. */
  readonly usualPort: number;
  readonly sessions: ConsoleSessions;
  /** Undefined where no issuer signs people in. */
  readonly signIn?: ConsoleSignIn | undefined;
  /** What its pages call. */
  readonly services: readonly BoundService[];
  /** What a principal may, for what is offered. */
  readonly permissionsOf: (principalName: string) => Permissions;
  readonly describe: DescribeProvider;
  readonly settings: () => readonly SettingView[];
  readonly clock: Clock;
  readonly onUnexpected: OnUnexpected;
}

const signOutPath = "/sign-out";
/** How long a page waits for the counts of its navigation at most. */
const waitingMs = 1_000;
const none = () => Promise.resolve(0);

/** What a browser shows of itself beside its request. */
interface Guest extends BrowserVisit {
  readonly cookie: BindingCookie;
  /** The token of its session, whether or not that lives. */
  readonly token: string;
  readonly session: ConsoleSession | undefined;
}

/** The pages of a signed-in person. */
export class ConsoleListener implements Listener {
  readonly #options: ConsoleListenerOptions;
  readonly #browsers: BrowserListener;
  readonly #sections: readonly Section[];
  readonly #pageAt: (path: string) => PageRoute<ConsolePage> | undefined;
  readonly #actionAt: (path: string) => PageRoute<FormAction> | undefined;
  readonly #callerFor: ReturnType<typeof callerOf>;

  constructor(options: ConsoleListenerOptions) {
    this.#options = options;
    this.#callerFor = callerOf(options.services);
    const served = options.services.map(({ descriptor }) => descriptor);
    this.#sections = sections.filter(({ service }) => service === undefined || served.includes(service));
    this.#pageAt = routerOf(this.#sections, ({ pages }) => pages);
    this.#actionAt = routerOf(this.#sections, ({ actions = {} }) => actions);
    const { url, tls } = options;
    this.#browsers = new BrowserListener({
      ...options,
      listener: "console",
      urlOf: (bound) => url ?? consoleUrl(bound, tls !== undefined),
      answer: (visit) => this.#answer(visit),
      refused: refusalPage,
      internalError: noticePage("internalError"),
    });
  }

  get addresses(): readonly ListenAddress[] {
    return this.#browsers.addresses;
  }

  /** An origin; undefined before it is open, and for a Unix socket that no setting gives a URL. */
  get url(): string | undefined {
    return this.#browsers.url?.origin;
  }

  async open(): Promise<void> {
    await this.#browsers.open();
  }

  close(force: AbortSignal): Promise<void> {
    return this.#browsers.close(force);
  }

  async #answer(visit: BrowserVisit): Promise<HttpAnswer> {
    const { method, headers } = visit.request;
    const guest = await this.#withRole(this.#guest(visit));
    const isLooking = method === "GET" || method === "HEAD";
    if (!isLooking)
      return method === "POST" ? this.#post(guest) : noticePage("methodNotAllowed", undefined, { allow: "GET, HEAD, POST" });
    const asset = kit.consoleAssets.get(guest.path);
    if (asset) return asset;
    if (guest.path === "/favicon.ico") return { status: 204, headers: kit.consoleHeaders, body: "" };
    const page = this.#pageAt(guest.path);
    if (isPrefetch(headers)) return noticePage("notYet");
    // The script asks for pages again.
    const isFetchedPage = page !== undefined && isOwnFetch(headers);
    if (!isFetchedPage && isEmbedded(headers)) return noticePage("badRequest");
    if (guest.path === openPath) return method === "HEAD" ? emptyAnswer() : await this.#signIn(guest);
    const { signIn } = this.#options;
    if (signIn?.isAt(guest.path)) return method === "HEAD" ? emptyAnswer() : await this.#signInAt(signIn, guest);
    return this.#look(guest, page);
  }

  #guest(visit: BrowserVisit): Guest {
    const { request, url } = visit;
    const cookie = new BindingCookie(url, "Strict");
    const token = cookie.read(request.headers.cookie, sessionCookie(url)) ?? "";
    return { ...visit, cookie, token, session: this.#options.sessions.find(token) };
  }

  /** A session ends with the role of its principal: what the policy gives to nobody any more is not looked at. */
  async #withRole(guest: Guest): Promise<Guest> {
    const { session, request } = guest;
    if (!session || this.#mayOf(session)("console.open")) return guest;
    await this.#options.sessions.end(session, request.socket.remoteAddress);
    return { ...guest, session: undefined };
  }

  async #signIn(guest: Guest): Promise<HttpAnswer> {
    const { request, query, session } = guest;
    if (isForeignLink(request)) return noticePage("foreignLink");
    const { sessions } = this.#options;
    const origin = request.socket.remoteAddress;
    const opened = await sessions.open(query.get(codeField) ?? "", origin, session);
    if (!opened) return noticePage("usedLink", session ? <>This browser is signed in: {toConsole}.</> : newLink);
    if (session) await sessions.end(session, origin);
    const { expiresAtMs } = opened.session;
    return this.#withSession(guest, { token: opened.token.reveal(), expiresAtMs, answer: kit.seeOther("/") });
  }

  async #signInAt(signIn: ConsoleSignIn, guest: Guest): Promise<HttpAnswer> {
    // A page of another site signs nobody in: it may lead back from an issuer, and no further.
    if (isForeignLink(guest.request) && !guest.path.endsWith("/callback")) return this.#signedOut(guest);
    const { session, request } = guest;
    const answer = await signIn.answer(guest, (path) => this.#pageAt(path) !== undefined);
    if (!("token" in answer)) return answer;
    // Its cookie is replaced: nobody could sign out of it.
    if (session) await this.#options.sessions.end(session, request.socket.remoteAddress);
    return this.#withSession(guest, answer);
  }

  #withSession({ cookie, url }: Guest, { token, expiresAtMs, answer }: OpenedVisit): HttpAnswer {
    const maxAgeSeconds = (expiresAtMs - this.#options.clock.nowMs()) / 1_000;
    const set = cookie.set(sessionCookie(url), token, maxAgeSeconds);
    const others = answer.headers["set-cookie"] ?? [];
    return { ...answer, headers: { ...answer.headers, "set-cookie": [set, ...[others].flat()] } };
  }

  async #look(guest: Guest, page: PageRoute<ConsolePage> | undefined): Promise<HttpAnswer> {
    const { path, session } = guest;
    if (!session) return this.#signedOut(guest);
    if (path === "/") return kit.seeOther(this.#sectionsOf(session)[0]?.path ?? openPath);
    if (page) return this.#serve(guest, session, page, page.serve);
    return this.#actionAt(path) ? noticePage("methodNotAllowed", undefined, { allow: "POST" }) : noticePage("notFound");
  }

  /** In this order: whose the request is, how it was sent, and whether a page of this session sent it. */
  async #post(guest: Guest): Promise<HttpAnswer> {
    const { request, path, session, token, url, body } = guest;
    const action = this.#actionAt(path);
    if (!action && path !== signOutPath)
      return this.#pageAt(path) ? noticePage("methodNotAllowed", undefined, { allow: "GET, HEAD" }) : noticePage("notFound");
    if (!session) return this.#signedOut(guest);
    const form = sentForm(request.headers, url, body);
    if (form === "no_form" || form === "foreign") return noticePage("foreignRequest");
    if (form === "too_large") return noticePage("tooLarge");
    if (!kit.isFormToken(form.get(kit.formTokenField) ?? "", kit.formTokenOf(token)))
      return noticePage("foreignRequest");
    if (!action) return this.#signOut(guest, session);
    return this.#serve(guest, session, action, (pageRequest) => action.serve(pageRequest, form));
  }

  async #signOut(guest: Guest, session: ConsoleSession): Promise<HttpAnswer> {
    const { sessions, signIn } = this.#options;
    await sessions.end(session, guest.request.socket.remoteAddress);
    const isFromIssuer = signIn && session.principal.kind === "jwt";
    const more = isFromIssuer && <>You may still be signed in at {signIn.titles}.</>;
    return cleared(guest, noticePage("signOutDone", more || undefined));
  }

  #signedOut(guest: Guest): HttpAnswer {
    const { request, path, query } = guest;
    // Browsers do not say who they are where a page of another site leads to: of that page they do.
    const here = pathWith(path, Object.fromEntries(query));
    const again = isForeignLink(request) && <>If it is signed in, <a href={here}>open the page again</a>. </>;
    const { signIn } = this.#options;
    const more = again || signIn ? <>{again}{signIn?.buttons(this.#pageAt(path) ? here : "/")}</> : undefined;
    const page = noticePage(signIn ? "signIn" : "signedOut", more);
    // A session that lives stays: a page of this site, yet of another origin, may lead here.
    return guest.token === "" || guest.session ? page : cleared(guest, page);
  }

  async #serve(
    guest: Guest,
    session: ConsoleSession,
    { section, params }: Omit<PageRoute<unknown>, "serve">,
    serve: (request: PageRequest) => HttpAnswer | Promise<HttpAnswer>,
  ): Promise<HttpAnswer> {
    const { socket } = guest.request;
    const left = new AbortController();
    const leave = (): void => left.abort();
    socket.once("close", leave);
    const request = await this.#pageRequest(guest, session, params, left.signal);
    try {
      return await serve(request);
    } catch (error) {
      if (left.signal.aborted && error === left.signal.reason) return emptyAnswer();
      // What no table foresees is thrown on.
      const { status, message } = consoleError(error);
      if (status === 401) return this.#signedOut({ ...guest, session: undefined });
      const content = <><Problem message={message} /><p><a href={section}>Go back</a></p></>;
      return kit.consolePage(request, { title: "Not possible", section, content, status });
    } finally {
      socket.off("close", leave);
    }
  }

  #mayOf({ principal }: ConsoleSession): PageRequest["may"] {
    return (action) => this.#options.permissionsOf(principal.name).permissionFor(action) !== "denied";
  }

  /** Those that the session's principal may see. */
  #sectionsOf(session: ConsoleSession) {
    const may = this.#mayOf(session);
    return this.#sections.filter(({ action }) => action === undefined || may(action));
  }

  /** A page does not fail for its navigation, and does not wait for a hub that is away. */
  async #waiting(sections: readonly Section[], context: { readonly principal: Principal; readonly signal: AbortSignal }) {
    const signal = AbortSignal.any([context.signal, AbortSignal.timeout(waitingMs)]);
    const call = this.#callerFor({ ...context, signal });
    const counts = sections.map(async ({ path, waiting = none }) => [path, await waiting(call).catch(() => 0)] as const);
    return new Map(await Promise.all(counts));
  }

  async #pageRequest(
    guest: Guest,
    session: ConsoleSession,
    params: PageRequest["params"],
    signal: AbortSignal,
  ): Promise<PageRequest> {
    const { request, query, token } = guest;
    const { clock, describe, settings, services } = this.#options;
    const principal = at(session.principal, request.socket.remoteAddress);
    const sections = this.#sectionsOf(session);
    return {
      ...{ params, query, session, describe, settings, nowMs: clock.nowMs() },
      may: this.#mayOf(session),
      serves: (service) => services.some(({ descriptor }) => descriptor === service),
      ...{ sections, waiting: await this.#waiting(sections, { principal, signal }) },
      formToken: kit.formTokenOf(token),
      theme: kit.themeOf(request.headers.cookie),
      call: this.#callerFor({ principal, signal }),
    };
  }
}

function refusalPage(refusal: BrowserRefusal): HttpAnswer {
  switch (refusal.kind) {
    case "tooFast":
      return noticePage("tooFast", `At most ${refusal.perSecond} per second are answered.`);
    case "misdirected":
      return noticePage("misdirected", refusal.origin && `Its address begins with ${refusal.origin}.`);
    case "badRequest":
      return noticePage("badRequest");
  }
}

/** A page of another site led here. */
function isForeignLink({ method, headers }: IncomingMessage): boolean {
  return method === "GET" && ["cross-site", "same-site"].includes(String(headers["sec-fetch-site"]));
}

function sessionCookie(url: URL): string {
  return cookieName("console", url);
}

function cleared({ cookie, url }: Guest, answer: HttpAnswer): HttpAnswer {
  return { ...answer, headers: { ...answer.headers, "set-cookie": cookie.clear(sessionCookie(url)) } };
}

function emptyAnswer(): HttpAnswer {
  return { status: 200, headers: kit.consoleHeaders, body: "" };
}
