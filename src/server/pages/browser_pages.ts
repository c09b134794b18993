import { randomBytes } from "node:crypto";
import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import type {
  CaptureError,
  CaptureFlow,
  CaptureForm,
  ConsentDone,
  ConsentFlow,
  FinishOutcome,
  FollowOutcome,
} from "../../domain/consent/consent.js";
import { formTokenField } from "../../domain/profiles/profiles.js";
import { jwksPath } from "../../model/clients/client_key.js";
import type { ListenAddress } from "../../model/listen_address.js";
import { isRedirectPath } from "../../model/providers/redirect_path.js";
import { BoundedMap } from "../../runtime/bounded_map.js";
import { toWireError } from "../../service/pipeline/error_table.js";
import { codes, WireError } from "../../service/pipeline/wire_error.js";
import { BindingCookie, CookieReader } from "../callers/binding_cookie.js";
import type { HttpAnswer } from "../listen/http_listener.js";
import type { Listener, ListenerPlace, OnUnexpected } from "../listen/listener.js";
import { BrowserListener, type BrowserRefusal, type BrowserRequest, sentForm } from "./browser_listener.js";
import { isEmbedded, isOwnLink, isPrefetch, prefersJson, stateOf } from "./browser_request.js";
import { captureFormPage } from "./capture_form.js";
import { agreedPath, declinedPage, declinePath, donePage, stepUpPage } from "./consent_pages.js";
import type { Failure } from "./failures.js";
import type { DescribeProvider } from "./page_words.js";
import {
  failureJson,
  failurePage,
  idleAnswer,
  jsonAnswer,
  noticePage,
  pageStyle,
  safeHeaders,
  stylePath,
} from "./pages.js";

export interface BrowserPagesOptions {
  /** How browsers reach these pages; http or https. */
  readonly publicUrl: URL;
  readonly flow: ConsentFlow;
  readonly capture: CaptureFlow;
  /** The Client ID Metadata Document or the JWK Set at a path; undefined where there is none. */
  readonly publishedDocument?: (path: string) => Promise<object | undefined>;
  /** Where a link below `/c/` leads; undefined where none is made. */
  readonly followLink?: ((code: string) => Promise<FollowOutcome> | undefined) | undefined;
  readonly describe: DescribeProvider;
  readonly nowMs: () => number;
  /** Where another daemon acts: asks that one. Where this one does, it may end `own` in time. Undefined leaves `own` as it is. */
  readonly leaderPage?: LeaderPage | undefined;
}

export type AnswerPage = (visit: BrowserRequest) => Promise<HttpAnswer>;

/** A page of the daemon that leads. @param listener whose page it is; default `browser` */
export type LeaderPage = (
  visit: BrowserRequest,
  own: () => Promise<HttpAnswer>,
  listener?: string,
) => Promise<HttpAnswer>;

/** Paths that act, and so only for a `GET` of the page that a person looks at. */
type Act = (visit: BrowserRequest) => Promise<HttpAnswer>;

const startPath = "/auth/start";
/** The page after a consent that no application waits for: an address of its own, which holds no code and can be loaded again. */
const donePath = "/auth/done";
/** People who look at that page, or load it again; later visitors see less. */
const maxVisits = 1_000;
const capturePath = "/auth/capture";
/** Paths to which forms are sent. */
const formPaths: ReadonlySet<string> = new Set([capturePath, declinePath]);
/** What stands after it is the code of a link in a notification. */
const linkPrefix = "/c/";

/** What a person's browser is answered on its way to a provider and back. It speaks of itself by path, from `/` on. */
export class BrowserPages {
  readonly #options: BrowserPagesOptions;
  readonly #cookie: BindingCookie;
  readonly #acts: ReadonlyMap<string, Act>;
  /** Whose account it is stands in no address, where histories and proxies would keep it. */
  readonly #visits = new BoundedMap<string, ConsentDone>(maxVisits);
  readonly #pages: ReadonlyMap<string, (query: URLSearchParams) => HttpAnswer>;

  constructor(options: BrowserPagesOptions) {
    this.#options = options;
    this.#cookie = new BindingCookie(options.publicUrl);
    this.#acts = new Map<string, Act>([
      [startPath, (visit) => this.#start(visit)],
      [agreedPath, (visit) => this.#start(visit)],
      [capturePath, (visit) => this.#form(visit)],
    ]);
    this.#pages = new Map<string, (query: URLSearchParams) => HttpAnswer>([
      ["/", () => noticePage("home")],
      [donePath, (query) => donePage(this.#visits.get(query.get("visit") ?? ""), options.describe)],
      [stylePath, styleAnswer],
      ["/favicon.ico", () => ({ status: 204, headers: safeHeaders, body: "" })],
    ]);
  }

  async answer(visit: BrowserRequest): Promise<HttpAnswer> {
    const { method, path, headers } = visit;
    if (method === "POST" && formPaths.has(path)) return this.#ofLeader(visit, () => this.#sent(visit));
    if (method !== "GET" && method !== "HEAD") {
      const allow = formPaths.has(path) ? "GET, HEAD, POST" : "GET, HEAD";
      return noticePage("methodNotAllowed", { headers: { allow } });
    }
    const act = this.#actOf(path);
    if (!act) return this.#page(visit);
    if (isPrefetch(headers)) return noticePage("prefetch");
    if (isEmbedded(headers)) return noticePage("embedded");
    if (method === "HEAD") return idleAnswer();
    return this.#ofLeader(visit, () => act(visit));
  }

  async #ofLeader(visit: BrowserRequest, own: () => Promise<HttpAnswer>): Promise<HttpAnswer> {
    try {
      return await (this.#options.leaderPage?.(visit, own) ?? own());
    } catch (error) {
      const wireError = toWireError(error);
      if (!(wireError instanceof WireError) || wireError.code !== codes.unavailable) throw error;
      return this.failed(visit.headers, { kind: "unavailable" });
    }
  }

  async #page(visit: BrowserRequest): Promise<HttpAnswer> {
    const { path, query } = visit;
    const own = async (): Promise<HttpAnswer> =>
      (await this.#document(path)) ?? this.#pages.get(path)?.(query) ?? noticePage("notFound");
    // The page after a consent is known where that ended.
    return path === donePath ? await this.#ofLeader({ ...visit, method: "GET" }, own) : await own();
  }

  /** Authorization servers fetch it, and cache it as long as the response allows. */
  async #document(path: string): Promise<HttpAnswer | undefined> {
    const document = await this.#options.publishedDocument?.(path);
    if (document === undefined) return undefined;
    const type = path === jwksPath ? { "content-type": "application/jwk-set+json" } : {};
    const answer = jsonAnswer(200, document);
    return { ...answer, headers: { ...answer.headers, ...type, "cache-control": "public, max-age=300" } };
  }

  #actOf(path: string): Act | undefined {
    if (path.startsWith(linkPrefix)) return (visit) => this.#follow(visit);
    return isRedirectPath(path) ? (visit) => this.#finish(visit) : this.#acts.get(path);
  }

  async #start({ path, query, headers }: BrowserRequest): Promise<HttpAnswer> {
    const state = stateOf(query);
    if (state === undefined) return this.failed(headers, { kind: "incomplete_link" });
    const isAgreed = path === agreedPath && isOwnLink(headers);
    const outcome = await this.#options.flow.start(
      state,
      // The cookie came with the page.
      ({ name, value }) =>
        prefersJson(headers) || (isAgreed && this.#cookie.read(headers.cookie, name) === value),
    );
    if (!("binding" in outcome)) return this.failed(headers, outcome);
    if (outcome.kind === "capture" && prefersJson(headers)) return this.#schema(state);
    const { name, value, maxAgeSeconds } = outcome.binding;
    const cookies = [this.#cookie.set(name, value, maxAgeSeconds)];
    if (outcome.kind === "capture") return redirect(303, captureTarget(state), cookies);
    if (outcome.kind === "redirect") return redirect(302, outcome.location, cookies);
    return withCookies(stepUpPage(outcome.stepUp, state, this.#options.describe), cookies);
  }

  /** The link of a notification. */
  async #follow({ path, headers }: BrowserRequest): Promise<HttpAnswer> {
    const outcome = await this.#options.followLink?.(path.slice(linkPrefix.length));
    if (outcome === undefined) return this.failed(headers, { kind: "unknown_request" });
    return outcome.kind === "consent" ? redirect(303, outcome.authUrl, []) : this.failed(headers, outcome);
  }

  async #finish({ path, query, headers, origin, via }: BrowserRequest): Promise<HttpAnswer> {
    const cookies = new CookieReader(this.#cookie, headers.cookie);
    const outcome = await this.#options.flow.finish(query, cookies.read, { origin, via }, path);
    return this.#finished(outcome, cookies, headers);
  }

  async #form({ query, headers }: BrowserRequest): Promise<HttpAnswer> {
    const state = stateOf(query);
    if (state === undefined) return this.failed(headers, { kind: "incomplete_link" });
    if (prefersJson(headers)) return this.#schema(state);
    const { read } = new CookieReader(this.#cookie, headers.cookie);
    const outcome = await this.#options.capture.form(state, read);
    if (outcome.kind !== "form") return this.failed(headers, outcome);
    return this.#formPage(outcome.form, undefined, state);
  }

  /** For a program that shows a form of its own, as `/auth/capture-schema` of the other listener. */
  #schema(state: string): HttpAnswer {
    const outcome = this.#options.capture.schema(state);
    if (outcome.kind !== "schema") return failureJson(outcome, this.#options.describe);
    return jsonAnswer(200, { provider_name: outcome.providerName, schema: outcome.schema });
  }

  async #sent({ path, query, headers, body, origin, via }: BrowserRequest): Promise<HttpAnswer> {
    const { flow, capture } = this.#options;
    const state = stateOf(query);
    if (state === undefined) return this.failed(headers, { kind: "incomplete_link" });
    const values = sentForm(headers, this.#options.publicUrl, body);
    if (values === "no_form") return noticePage("formRefused", { status: 415 });
    if (values === "foreign") return noticePage("formRefused");
    if (values === "too_large") return noticePage("formTooLarge");
    const cookies = new CookieReader(this.#cookie, headers.cookie);
    const formToken = values.get(formTokenField) ?? "";
    const from = { origin, via };
    const outcome =
      path === declinePath
        ? await flow.decline(state, formToken, cookies.read, from)
        : await capture.submit(state, values, formToken, cookies.read, from);
    if (outcome.kind === "form") return this.#formPage(outcome.form, outcome.error, state);
    return this.#finished(outcome, cookies, headers);
  }

  #doneLocation(done: ConsentDone): string {
    const visit = randomBytes(16).toString("base64url");
    this.#visits.set(visit, done);
    return `${donePath}?${new URLSearchParams({ visit })}`;
  }

  #formPage(form: CaptureForm, error: CaptureError | undefined, state: string): HttpAnswer {
    return captureFormPage(form, error, captureTarget(state), this.#options.describe);
  }

  /** As a page, or as JSON for a client that asks for it. */
  failed(headers: IncomingHttpHeaders, failure: Failure): HttpAnswer {
    const { describe, nowMs } = this.#options;
    return prefersJson(headers) ? failureJson(failure, describe) : failurePage(failure, describe, nowMs());
  }

  #finished(outcome: FinishOutcome, cookies: CookieReader, headers: IncomingHttpHeaders): HttpAnswer {
    const cleared = cookies.clear();
    switch (outcome.kind) {
      case "return":
        return redirect(303, outcome.location, cleared);
      case "done":
        return redirect(303, this.#doneLocation(outcome), cleared);
      case "declined":
        return withCookies(declinedPage(this.#options.describe(outcome).displayName), cleared);
      default:
        return withCookies(this.failed(headers, outcome), cleared);
    }
  }
}

function captureTarget(state: string): string {
  return `${capturePath}?${new URLSearchParams({ state })}`;
}

function redirect(status: 302 | 303, location: string, cookies: readonly string[]): HttpAnswer {
  return withCookies({ status, headers: { ...safeHeaders, location }, body: "" }, cookies);
}

function withCookies(answer: HttpAnswer, cookies: readonly string[]): HttpAnswer {
  return cookies.length === 0 ? answer : { ...answer, headers: { ...answer.headers, "set-cookie": cookies } };
}

function styleAnswer(): HttpAnswer {
  const headers = {
    ...safeHeaders,
    "content-type": "text/css; charset=utf-8",
    "cache-control": "max-age=300",
  };
  return { status: 200, headers, body: pageStyle };
}

export interface ConsentListenerOptions extends ListenerPlace {
  readonly listen: ListenAddress;
  /** How browsers reach this listener; http or https. */
  readonly publicUrl: URL;
  readonly pages: BrowserPages;
  readonly onUnexpected: OnUnexpected;
}

/** A person's browser on its way to a provider and back. */
export function consentListener(options: ConsentListenerOptions): Listener {
  const { pages, publicUrl } = options;
  return new BrowserListener({
    ...options,
    listener: "browser",
    urlOf: () => publicUrl.href,
    takesForm: (path) => formPaths.has(path),
    answer: (visit) => pages.answer(visit),
    refused: (refusal, request) => refusalPage(pages, refusal, request),
    internalError: noticePage("internalError"),
  });
}

function refusalPage(pages: BrowserPages, refusal: BrowserRefusal, { headers }: IncomingMessage): HttpAnswer {
  switch (refusal.kind) {
    case "tooFast":
      return pages.failed(headers, { kind: "rate_limited", perSecond: refusal.perSecond });
    case "misdirected":
      return noticePage("misdirected", { more: `Its address begins with ${refusal.origin}.` });
    case "badRequest":
      return noticePage("badRequest");
  }
}
