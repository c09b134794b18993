import type { ConsentDone } from "../../domain/consent/consent_types.js";
import { accountText } from "../../model/credentials/account.js";
import type { Answer } from "../listen/http_listener.js";
import { type Failure, failureText } from "./failures.js";
import { type Html, html, joined } from "./html.js";
import type { DescribeProvider } from "./page_words.js";

/**
 * Headers of everything that the browser listener answers: nothing runs, nothing is framed, nothing is kept, and the address
 * of a page (it holds a code or a state) goes nowhere.
 */
export const safeHeaders = {
  "content-security-policy":
    "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
  "referrer-policy": "no-referrer",
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
} as const;

export const htmlHeaders = { ...safeHeaders, "content-type": "text/html; charset=utf-8" };

export const stylePath = "/style.css";

interface Page {
  readonly title: string;
  readonly mark: "done" | "stopped" | "plain";
  /** One paragraph each. */
  readonly lines: readonly (string | Html)[];
  /** A word for whoever is asked for help. */
  readonly reason?: string;
  /** For the people who run the daemon. */
  readonly operator?: string | undefined;
}

/** A consent that is given, as its page tells it. */
export interface Visited extends Pick<ConsentDone, "account" | "isOther"> {
  /** For people. */
  readonly provider: string;
}

/** The person consented, and no application asked for them back. @param done undefined when it is not known what of */
export function donePage(done: Visited | undefined): Answer {
  const account = accountText(done?.account);
  return page(200, {
    title: "Connected",
    mark: "done",
    lines: [
      done === undefined ? "Your account is connected." : `Your account at ${done.provider} is connected.`,
      ...(account === "" ? [] : [html`The account is <b><bdi>${account}</bdi></b>.`]),
      ...(done?.isOther
        ? ["It is another account than before: applications act with this one from now on."]
        : []),
      "You can close this window.",
    ],
  });
}

/** The person said no to more access, and no application asked for them back. @param provider for people */
export function declinedPage(provider: string): Answer {
  return page(200, {
    title: "Nothing was changed",
    mark: "done",
    lines: [
      `Your account at ${provider} stays connected, with the access that you allowed before.`,
      "You can close this window.",
    ],
  });
}

/** Who opens a link twice may well be connected. */
const titles: Readonly<Partial<Record<Failure["kind"], string>>> = {
  expired: "This link has expired",
  unknown_request: "This link cannot be used",
};

export function failurePage(failure: Failure, describe: DescribeProvider): Answer {
  const { status, word, lines, operator } = failureText(failure, describe);
  return page(status, {
    title: titles[failure.kind] ?? "Not connected",
    mark: "stopped",
    lines: failure.kind === "expired" ? lines.slice(1) : lines,
    reason: word,
    operator,
  });
}

/** For programs; errors are as the REST routes write them. */
export function jsonAnswer(status: number, body: object): Answer {
  return {
    status,
    headers: { ...safeHeaders, "content-type": "application/json" },
    body: JSON.stringify(body),
  };
}

export function failureJson(failure: Failure, describe: DescribeProvider): Answer {
  const { status, word, lines, operator } = failureText(failure, describe);
  const message = [...lines, ...(operator === undefined ? [] : [operator])].join(" ");
  return jsonAnswer(status, { error: word, code: word, message });
}

export function homePage(): Answer {
  return page(200, {
    title: "Nexus",
    mark: "plain",
    lines: ["Nexus connects applications to your accounts. Applications send you here when they need you."],
  });
}

export function notFoundPage(): Answer {
  return page(404, {
    title: "Nothing here",
    mark: "stopped",
    lines: ["There is no page at this address.", "Follow the link that your application gave you once more."],
  });
}

export function badRequestPage(): Answer {
  return page(400, {
    title: "Not understood",
    mark: "stopped",
    lines: ["Your browser sent a request that is malformed."],
  });
}

/** Asked for as a picture, a script or a frame. */
export function embeddedPage(): Answer {
  return page(400, {
    title: "Not opened",
    mark: "stopped",
    lines: ["Another page tried to load this one inside itself.", "Nothing was changed."],
  });
}

/** @param allow the methods that the path knows */
export function methodNotAllowedPage(allow = "GET, HEAD"): Answer {
  const answer = page(405, {
    title: "Not possible",
    mark: "stopped",
    lines: ["Pages here can be looked at, and nothing else."],
  });
  return { ...answer, headers: { ...answer.headers, allow } };
}

/** @param status 415 for another media type than that of forms (RFC 9110 section 15.5.16) */
export function formRefusedPage(status: 400 | 415 = 400): Answer {
  return page(status, {
    title: "Not sent",
    mark: "stopped",
    lines: [
      "This form was sent by another page than ours, or in a way that browsers do not send forms.",
      "Nothing was stored. Open the link of your application again.",
    ],
  });
}

export function formTooLargePage(): Answer {
  return page(413, {
    title: "Too long",
    mark: "stopped",
    lines: ["What was entered is longer than any credential.", "Nothing was stored. Go back and shorten it."],
  });
}

/** @param host where the listener is to be found */
export function misdirectedPage(host: string): Answer {
  return page(421, {
    title: "Wrong address",
    mark: "stopped",
    lines: ["This page was asked for under a name that is not its own.", `Its address begins with ${host}.`],
  });
}

export function prefetchPage(): Answer {
  return page(503, {
    title: "Not opened yet",
    mark: "plain",
    lines: ["Your browser asked for this page ahead of time.", "Load the page again to open it."],
  });
}

export function internalErrorPage(): Answer {
  return page(500, {
    title: "Something went wrong",
    mark: "stopped",
    lines: [
      "This is an error of the daemon, not of yours. It was written down.",
      "Go back to the application that sent you here and start again; if it happens again, tell the people who run it.",
    ],
  });
}

/** What a `HEAD` of `path` gets where a `GET` would act. */
export function idleAnswer(): Answer {
  return { status: 200, headers: htmlHeaders, body: "" };
}

/** Drawn, because not every font has one. */
export const checkMark = html`<svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="3"><path d="m4 13 5 5L20 6"/></svg>`;

const marks: Readonly<Record<Page["mark"], Html | undefined>> = {
  done: html`<div class="mark done" aria-hidden="true">${checkMark}</div>`,
  stopped: html`<div class="mark stopped" aria-hidden="true">!</div>`,
  plain: undefined,
};

function page(status: number, { title, mark, lines, reason, operator }: Page): Answer {
  const content = html`<main>
${marks[mark]}
<h1>${title}</h1>
${lines.map((line) => html`<p>${line}</p>`)}
${operator && html`<p class="operator">For the people who run it: ${unbroken(operator)}</p>`}
${reason && html`<p class="reason">Reason: <code>${reason}</code></p>`}
</main>`;
  return { status, headers: htmlHeaders, body: htmlDocument(title, content) };
}

/** Flags of commands stay whole at the end of a line. */
function unbroken(text: string): Html {
  const words = text
    .split(" ")
    .map((word) => (word.startsWith("--") ? html`<span class="flag">${word}</span>` : word));
  return joined(words, " ");
}

/** @param content of the body */
export function htmlDocument(title: string, content: Html): string {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title}</title>
<link rel="stylesheet" href="${stylePath}">
</head>
<body>
${content}
</body>
</html>
`.text;
}
