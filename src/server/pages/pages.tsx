import type { HttpAnswer } from "../listen/http_listener.js";
import { baseStyle } from "../views/tokens.js";
import { CheckMark, document, Monogram, type View } from "../views/view.js";
import { type Failure, failureText } from "./failures.js";
import type { DescribeProvider } from "./page_words.js";

/**
 * Headers of everything that the browser listener answers. Nothing runs, nothing is framed, and nothing is kept. The address of a page,
 * which holds a code or a state, goes nowhere.
 */
export const safeHeaders = {
  "content-security-policy":
    "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
  "referrer-policy": "no-referrer",
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
} as const;

const htmlHeaders = { ...safeHeaders, "content-type": "text/html; charset=utf-8" };

export const stylePath = "/style.css";

interface Page {
  readonly title: string;
  /** Of the window, where it says more than the heading. */
  readonly windowTitle?: string;
  /** What the page is of, instead of a mark: the provider's name for people. */
  readonly provider?: string;
  readonly mark?: "done" | "stopped" | undefined;
  readonly content: View;
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A page for a person who comes with a link, or back from a provider. */
export function personPage({ title, windowTitle = title, provider, mark, content, ...more }: Page): HttpAnswer {
  const { status = 200, headers } = more;
  const body = (
    <main>
      <div class="top" aria-hidden="true">
        {provider !== undefined && <Monogram name={provider} big />}
        {mark && <span class={`mark ${mark}`}>{mark === "done" ? <CheckMark /> : "!"}</span>}
      </div>
      <h1 dir="auto">{title}</h1>
      {content}
    </main>
  );
  const head = <link rel="stylesheet" href={stylePath} />;
  return { status, headers: { ...htmlHeaders, ...headers }, body: document({ title: windowTitle, head, body }) };
}

/** What is reported of a request that leads nowhere: status, title, and one sentence each. */
const notices = {
  home: [200, "nexusd", "nexusd connects applications to your accounts. Applications send you here when they need you."],
  notFound: [
    404,
    "Nothing here",
    "There is no page at this address.",
    "Follow the link that your application gave you once more.",
  ],
  badRequest: [400, "Not understood", "Your browser sent a request that is malformed."],
  // Asked for as a picture, a script or a frame.
  embedded: [400, "Not opened", "Another page tried to load this one inside itself.", "Nothing was changed."],
  methodNotAllowed: [405, "Not possible", "Pages here can be looked at, and nothing else."],
  formRefused: [
    400,
    "Not sent",
    "This form was sent by another page than ours, or in a way that browsers do not send forms.",
    "Nothing was stored. Open the link of your application again.",
  ],
  formTooLarge: [
    413,
    "Too long",
    "What was entered is longer than any credential.",
    "Nothing was stored. Go back and shorten it.",
  ],
  misdirected: [421, "Wrong address", "This page was asked for under a name that is not its own."],
  prefetch: [
    503,
    "Not opened yet",
    "Your browser asked for this page ahead of time.",
    "Load the page again to open it.",
  ],
  internalError: [
    500,
    "Something went wrong",
    "This is an error of the daemon, not of yours. It was written into its log.",
    "Go back to the application that sent you here and start again; if it happens again, contact the people who run it.",
  ],
} as const satisfies Readonly<Record<string, readonly [status: number, title: string, ...lines: string[]]>>;

/** @param more a sentence behind the others */
export function noticePage(
  which: keyof typeof notices,
  { more, status, headers = {} }: { more?: string; status?: number; headers?: Page["headers"] } = {},
): HttpAnswer {
  const [usual, title, ...lines] = notices[which];
  const mark = ["home", "prefetch"].includes(which) ? undefined : "stopped";
  const content = [...lines, ...(more === undefined ? [] : [more])].map((line) => <p>{line}</p>);
  return personPage({ title, mark, content, status: status ?? usual, headers });
}

/** Who opens a link twice may well be connected. */
const titles: Readonly<Partial<Record<Failure["kind"], string>>> = {
  expired: "This link has expired",
  unknown_request: "This link cannot be used",
};

/** @param nowMs stands in the reference, by which an operator finds it in log and audit log */
export function failurePage(failure: Failure, describe: DescribeProvider, nowMs: number): HttpAnswer {
  const { status, word, lines, operator } = failureText(failure, describe);
  const isRefused = failure.kind === "refused";
  const time = new Date(nowMs).toISOString().replace(/T(.*)\..*/, " $1 UTC");
  const of = isRefused && failure.connectionId ? `, connection ${failure.connectionId}` : "";
  const content = (
    <>
      {(failure.kind === "expired" ? lines.slice(1) : lines).map((line) => <p>{line}</p>)}
      <div class="operator">
        <h2>For the people who run it</h2>
        {operator && <p>{unbroken(operator)}</p>}
        <p>Reason: <code>{word}</code></p>
        <p>Reference: <code>{time}{of}</code></p>
      </div>
    </>
  );
  return personPage({
    ...{ title: titles[failure.kind] ?? "Not connected", mark: "stopped", content, status },
    ...(isRefused && { provider: describe(failure).displayName }),
  });
}

/** For programs; errors are as the REST routes write them. */
export function jsonAnswer(status: number, body: object): HttpAnswer {
  return {
    status,
    headers: { ...safeHeaders, "content-type": "application/json" },
    body: JSON.stringify(body),
  };
}

export function failureJson(failure: Failure, describe: DescribeProvider): HttpAnswer {
  const { status, word, lines, operator } = failureText(failure, describe);
  const message = [...lines, ...(operator === undefined ? [] : [operator])].join(" ");
  return jsonAnswer(status, { error: word, code: word, message });
}

/** What a `HEAD` of `path` gets where a `GET` would act. */
export function idleAnswer(): HttpAnswer {
  return { status: 200, headers: htmlHeaders, body: "" };
}

/** Flags of commands stay whole at the end of a line. */
function unbroken(text: string): View {
  return text.split(/( )/).map((word) => (word.startsWith("--") ? <span class="flag">{word}</span> : word));
}

/** The one stylesheet of the browser listener, `/style.css`. */
export const pageStyle = `${baseStyle}body { min-height: 100svh; display: grid; place-items: center; padding: var(--s5) var(--s4); line-height: 1.55; }
main { width: 100%; max-width: 31rem; padding: var(--s6); background: var(--card); border: 1px solid var(--line); border-radius: 16px; box-shadow: var(--shadow); }
.top { display: flex; gap: var(--s3); align-items: center; margin-bottom: var(--s4); }
.top:empty { display: none; }
.mark { display: grid; place-items: center; flex: none; width: 2.6rem; height: 2.6rem; border-radius: 50%; font-size: 1.2rem; font-weight: 700; }
.mark svg { width: 1.3rem; height: 1.3rem; }
.done { background: var(--good-wash); color: var(--good); }
.stopped { background: var(--bad-wash); color: var(--bad); }
h1 { margin-bottom: var(--s3); }
main > :last-child { margin-bottom: 0; }
.operator { margin-top: var(--s5); padding: var(--s4); background: var(--sunk); border-radius: var(--round); font-size: var(--small); white-space: pre-line; }
.operator h2 { margin-bottom: var(--s1); font-size: inherit; }
.operator p { margin: 0; }
.flag { white-space: nowrap; }
.prose { white-space: pre-line; }
.note { margin-top: var(--s4); color: var(--soft); font-size: var(--small); }
.bad { color: var(--bad); }
form { margin: var(--s5) 0; }
input, select { min-height: 2.75rem; }
main button, main .button { display: block; width: 100%; min-height: 2.9rem; padding: .6rem 1rem; text-align: center; }
.actions { display: grid; gap: var(--s2); margin-top: var(--s5); }
.actions form { margin: 0; }
.facts { margin: var(--s4) 0; }
.facts > div { grid-template-columns: 7.5rem minmax(0, 1fr); }
.scopes { margin: 0 0 var(--s4); padding: 0; list-style: none; }
.scopes li { padding: var(--s2) 0; border-top: 1px solid var(--line); }
.scopes li:last-child { border-bottom: 1px solid var(--line); }
.scopes code { color: var(--soft); }
.summary { margin: var(--s4) 0; padding: var(--s4); background: var(--bad-wash); border-radius: var(--round); }
.summary:focus { outline: none; }
.summary h2 { margin: 0 0 var(--s1); font-size: var(--body); }
.summary ul { margin: 0; padding-left: 1.1rem; }
.summary a { color: var(--bad); }
@media (max-width: 30rem) {
  body { padding: var(--s3); place-items: start center; }
  main { padding: var(--s5) var(--s4); }
}
`;
