import { createHash, timingSafeEqual } from "node:crypto";
import { readFileSync } from "node:fs";
import { readVersion } from "../../../config/config.js";
import type { HttpAnswer } from "../../../server/kit.js";
import { baseStyle, type Children, document, type View } from "../../../server/pages/kit.js";
import type { PageRequest } from "./request.js";
import { notices } from "./words.js";

/** Nothing runs and nothing is loaded but what this listener serves, nothing is framed, nothing is kept, and forms lead nowhere else. */
export const consoleHeaders = {
  "content-security-policy":
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  // With `no-referrer` a browser would send its own forms with `Origin: null`.
  "referrer-policy": "same-origin",
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
} as const;

const htmlHeaders = { ...consoleHeaders, "content-type": "text/html; charset=utf-8" };

/** Their addresses change with them, so that browsers may keep them. */
const style = asset("css", "text/css", baseStyle);
const script = asset("js", "text/javascript");

/** By path, what pages load. */
export const consoleAssets: ReadonlyMap<string, HttpAnswer> = new Map([style, script]);

function asset(ending: string, type: string, before = ""): readonly [path: string, answer: HttpAnswer] {
  const body = before + readFileSync(new URL(`../assets/console.${ending}`, import.meta.url), "utf8");
  const version = createHash("sha256").update(body).digest("hex").slice(0, 12);
  const cached = { "cache-control": "private, max-age=31536000, immutable" };
  const headers = { ...consoleHeaders, "content-type": `${type}; charset=utf-8`, ...cached };
  return [`/console-${version}.${ending}`, { status: 200, headers, body }];
}

const head = <><link rel="stylesheet" href={style[0]} /><script src={script[0]} defer></script></>;

export interface PageContent {
  /** The heading; also in the title of the window. */
  readonly title: string;
  /** Instead of the title, as the heading. */
  readonly heading?: View;
  /** What stands at the right of the heading. */
  readonly actions?: View;
  /** The section that is marked in the navigation. */
  readonly section: string;
  readonly content: View;
  /** Default 200. */
  readonly status?: number;
}

/** A page of a signed-in person. */
export function consolePage(request: PageRequest, page: PageContent): HttpAnswer {
  const { title, heading = title, actions, section, content, status = 200 } = page;
  const { nowMs, theme } = request;
  const notice = notices.get(request.query.get("notice") ?? "");
  const body = (
    <>
      <a class="skip" href="#content">Skip to the content</a>
      <header class="top">
        <a class="brand" href="/"><Mark />nexusd</a>
        <nav aria-label="Console">
          <ul>
            {request.sections.map(({ title: name, path }) => (
              <li>
                <a href={path} aria-current={path === section ? "page" : undefined}>{name}{waitingOf(request, path)}</a>
              </li>
            ))}
          </ul>
        </nav>
        <div class="who">
          <span>Signed in as <bdi>{request.session.principal.name}</bdi></span>
          <PostForm request={request} action="/sign-out">
            <button class="quiet small" type="submit">Sign out</button>
          </PostForm>
        </div>
      </header>
      <main id="content">
        <div class="heading"><h1>{heading}</h1>{actions && <div class="actions">{actions}</div>}</div>
        {notice && <p class="notice" role="status">{notice}</p>}
        {content}
        <p class="hidden" role="status" data-announce></p>
      </main>
      <Footer theme={theme} />
    </>
  );
  return { status, headers: htmlHeaders, body: document({ title: `${title} - nexusd`, head, body, nowMs, theme }) };
}

/** Where nothing waits now, the script puts it as soon as a page that it asks for again has it. */
function waitingOf({ sections, waiting }: PageRequest, path: string): View {
  if (!sections.some((each) => each.path === path && each.waiting)) return undefined;
  const count = waiting.get(path) ?? 0;
  return (
    <span id={`waiting-${path.slice(1)}`} data-follow="">
      {count > 0 && <><span class="badge" aria-hidden="true">{count}</span><span class="hidden"> {count} waiting</span></>}
    </span>
  );
}

const version = readVersion();
const themes = { system: "System", light: "Light", dark: "Dark" };

/** The script keeps it in a cookie, so that no page flashes in other colors. */
export function themeOf(cookies: string | undefined): string | undefined {
  return /(?:^|; )nexusd-theme=(light|dark)(?:;|$)/.exec(cookies ?? "")?.[1];
}

function Footer({ theme = "system" }: { readonly theme: string | undefined }) {
  return (
    <footer>
      <span>nexusd {version}. In a terminal: <code>nexusd --help</code></span>
      <label data-script hidden>
        Theme{" "}
        <select data-choose-theme autocomplete="off">
          {Object.entries(themes).map(([word, text]) => <option value={word} selected={word === theme}>{text}</option>)}
        </select>
      </label>
    </footer>
  );
}

/**
 * A page for somebody who is not signed in, and of what ends a visit.
 *
 * @param lines one sentence each
 * @param more in its head
 */
export function plainPage(status: number, title: string, lines: readonly View[], more?: View): HttpAnswer {
  const body = <main class="plain card"><Mark /><h1>{title}</h1>{lines.map((line) => <p>{line}</p>)}</main>;
  return { status, headers: htmlHeaders, body: document({ title: `${title} - nexusd`, head: <>{head}{more}</>, body }) };
}

function Mark() {
  return (
    <svg class="logo" viewBox="0 0 24 24" aria-hidden="true">
      <path d="M6 18V6l12 12V6" fill="none" stroke="currentColor" stroke-width="2" />
      <circle cx="6" cy="18" r="3" />
      <circle cx="18" cy="6" r="3" />
    </svg>
  );
}

export const formTokenField = "form_token";

/** The token in the forms of a session: it follows from the token of the session, and that does not follow from it. */
export function formTokenOf(sessionToken: string): string {
  return createHash("sha256").update("nexus console form\n").update(sessionToken).digest("base64url");
}

/** In constant time. */
export function isFormToken(presented: string, expected: string): boolean {
  const [one, other] = [presented, expected].map((text) => createHash("sha256").update(text).digest());
  return one !== undefined && other !== undefined && timingSafeEqual(one, other);
}

interface PostFormProps extends Children {
  readonly request: PageRequest;
  /** The path of a `FormAction`. */
  readonly action: string;
  readonly class?: string;
  readonly id?: string;
}

/** A form that acts. */
export function PostForm({ request, action, children, ...attributes }: PostFormProps) {
  return (
    <form method="post" action={action} {...attributes}>
      <input type="hidden" name={formTokenField} value={request.formToken} />
      {children}
    </form>
  );
}

/** After an action (RFC 9110 section 15.4.4). @param notice a word of `notices`, which the next page says as a sentence */
export function seeOther(path: string, notice?: string): HttpAnswer {
  const mark = path.includes("?") ? "&" : "?";
  const location = notice === undefined ? path : `${path}${mark}${new URLSearchParams({ notice })}`;
  return { status: 303, headers: { ...consoleHeaders, location }, body: "" };
}
