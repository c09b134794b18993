import type { IncomingMessage } from "node:http";
import {
  type SignedIn,
  type SignIn,
  type SignInClient,
  type SignInFailure,
  type SignInFailureReason,
  StartRefused,
} from "../../core/registry.js";
import type { Access } from "../../domain/access/access.js";
import { BindingCookie, type HttpAnswer } from "../../server/kit.js";
import { hostOf, type View } from "../../server/pages/kit.js";
import { seeOther } from "./kit/page.js";
import { pathWith } from "./kit/parts.js";
import type { ConsoleSessions } from "./sessions/console_sessions.js";
import { cookieName } from "./sessions/console_url.js";
import { type NoticeName, noticePage, signedInPage } from "./signed_out_pages.js";

/** A request of a browser, at the public URL of the console. */
export interface SignInVisit {
  readonly request: IncomingMessage;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly url: URL;
}

/** A session that was opened, as its cookie will be set. */
export interface OpenedVisit {
  readonly token: string;
  readonly expiresAtMs: number;
  readonly answer: HttpAnswer;
}

export interface ConsoleSignInDeps {
  readonly signIn: SignIn;
  readonly sessions: Pick<ConsoleSessions, "openFor">;
  /** Whether the policy lets a principal do anything here. */
  readonly mayOpen: (principalName: string) => boolean;
  /** Of people who were turned away. */
  readonly audit: Pick<Access["deniedAccess"], "record">;
}

const signInPath = "/sign-in";
const toField = "to";
/** The longest page of the console with its filters is some 300 characters. */
const maxReturnTo = 500;

const notices: Readonly<Record<Exclude<SignInFailureReason, "no_claims">, NoticeName>> = {
  over: "signInOver",
  declined: "signInDeclined",
  rejected: "signInRejected",
  unavailable: "signInUnavailable",
  busy: "tooFast",
};

/** Sign-in at the issuers of the operator: the buttons, and the two addresses of each issuer. */
export class ConsoleSignIn {
  constructor(private readonly deps: ConsoleSignInDeps) {}

  /** A link for each issuer. @param returnTo page of the console that they come back to */
  buttons(returnTo = "/"): View {
    const to = returnTo === "/" ? "" : returnTo;
    return (
      <span class="actions">
        {this.deps.signIn.clients.map(({ name, title }) => (
          <a class="button" href={pathWith(`${signInPath}/${name}`, { [toField]: to })}>
            Sign in with {title}
          </a>
        ))}
      </span>
    );
  }

  /** What people call the issuers. */
  get titles(): string {
    return this.deps.signIn.clients.map(({ title }) => title).join(" or ");
  }

  /** Whether an address is one of a sign-in: all below it are not of pages. */
  isAt(path: string): boolean {
    return path.startsWith(`${signInPath}/`);
  }

  /** @param isPage whether the console has a page there */
  async answer(visit: SignInVisit, isPage: (path: string) => boolean): Promise<HttpAnswer | OpenedVisit> {
    const [, , name = "", last, ...rest] = visit.path.split("/");
    const client = this.deps.signIn.clients.find((each) => each.name === name);
    if (!client || rest.length > 0) return noticePage("notFound");
    if (last === undefined) return await this.#begin(client, visit, isPage);
    return last === "callback" ? await this.#finish(client, visit) : noticePage("notFound");
  }

  async #begin(client: SignInClient, visit: SignInVisit, isPage: (path: string) => boolean): Promise<HttpAnswer> {
    const { request, path, query, url } = visit;
    const returnTo = ownPage(query.get(toField) ?? "", url, isPage);
    // The issuer leads back to the public URL, whose cookies the other loopback names do not share.
    if (!isAtOwnName(request, url)) return seeOther(`${url.origin}${pathWith(path, { [toField]: returnTo })}`);
    const begun = await this.deps.signIn.begin(client, { redirectUri: redirectUriOf(client, url), returnTo });
    if (begun.kind === "failed") return await this.#refused(client, begun, visit);
    const set = bindingCookie(url).set(bindingName(url), begun.binding, begun.bindingLifeMs / 1_000);
    return withCookies(seeOther(begun.url), set);
  }

  async #finish(client: SignInClient, visit: SignInVisit): Promise<HttpAnswer | OpenedVisit> {
    const { request, query, url } = visit;
    const cookie = bindingCookie(url);
    const binding = cookie.read(request.headers.cookie, bindingName(url));
    const response = { redirectUri: redirectUriOf(client, url), query, binding };
    const finished = await this.deps.signIn.finish(client, response);
    const opened =
      finished.kind === "failed"
        ? await this.#refused(client, finished, visit)
        : await this.#open(client, finished, visit);
    const clear = cookie.clear(bindingName(url));
    if ("token" in opened) return { ...opened, answer: withCookies(opened.answer, clear) };
    return withCookies(opened, clear);
  }

  async #open(
    client: SignInClient,
    { principal, returnTo }: SignedIn,
    visit: SignInVisit,
  ): Promise<HttpAnswer | OpenedVisit> {
    const { sessions, mayOpen } = this.deps;
    const origin = visit.request.socket.remoteAddress;
    if (!mayOpen(principal.name)) {
      await this.#record(client, `${principal.name} has no role`, origin);
      return noticePage("noRole", <>You are <code>{principal.name}</code> here.</>);
    }
    const opened = await sessions.openFor(principal, client.issuer, origin);
    if (!opened) return noticePage("signInOver", this.buttons(returnTo));
    const { token, session } = opened;
    return { token: token.reveal(), expiresAtMs: session.expiresAtMs, answer: signedInPage(returnTo) };
  }

  async #refused(client: SignInClient, { why, subject }: SignInFailure, { request }: SignInVisit): Promise<HttpAnswer> {
    if (why !== "busy") await this.#record(client, why, request.socket.remoteAddress);
    if (why !== "no_claims") return noticePage(notices[why], this.buttons());
    const who = subject !== undefined && <> as <bdi><code>{subject}</code></bdi></>;
    return noticePage("noClaims", <>{client.title} knows you{who}.</>);
  }

  /** Counted by the minute: strangers cause them. */
  #record({ name }: SignInClient, reason: string, origin: string | undefined): Promise<void> {
    const event = { type: "console.sign_in_refused", principal: "browser", origin, reason: `${name}: ${reason}` } as const;
    return this.deps.audit.record(`console.sign_in_refused ${event.reason}`, () => event);
  }
}

/** @throws StartRefused where issuers would not know where to lead browsers back to */
export function consoleSignIn({
  url,
  ...deps
}: ConsoleSignInDeps & { readonly url: string | undefined }): ConsoleSignIn {
  if (url !== undefined) return new ConsoleSignIn(deps);
  const [{ name }] = deps.signIn.clients as [SignInClient];
  throw new StartRefused(
    `NEXUS_CONSOLE_URL must be set, because the issuer ${name} has sign_in: it leads browsers back to <URL>${signInPath}/${name}/callback`,
  );
}

/** As the operator registers it at the issuer. */
function redirectUriOf({ name }: SignInClient, { origin }: URL): string {
  return `${origin}${signInPath}/${name}/callback`;
}

/** The page of this console that a text names; the first one for anything else, so that no link of ours leads elsewhere. */
function ownPage(text: string, url: URL, isPage: (path: string) => boolean): string {
  if (text.length > maxReturnTo || !URL.canParse(text, url.href)) return "/";
  const { origin, pathname, search } = new URL(text, url);
  return origin === url.origin && isPage(pathname) ? `${pathname}${search}` : "/";
}

function isAtOwnName(request: IncomingMessage, { protocol, host }: URL): boolean {
  const own = `${protocol}//${hostOf(request)}`;
  return URL.canParse(own) && new URL(own).host === host;
}

/** Sent when the issuer leads the browser back, which is another site. */
function bindingCookie(url: URL): BindingCookie {
  return new BindingCookie(url, "Lax");
}

function bindingName(url: URL): string {
  return cookieName("sign-in", url);
}

function withCookies(answer: HttpAnswer, ...set: readonly string[]): HttpAnswer {
  return { ...answer, headers: { ...answer.headers, "set-cookie": [...set] } };
}
