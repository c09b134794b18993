import type { Answer } from "../../server/listen/http_listener.js";
import { html } from "../../server/pages/html.js";
import { plainPage } from "./frame/console_layout.js";

const newLink = html`Run <code>nexusd open</code> where the daemon runs for a link that signs this browser in.`;

export function signedOutPage(): Answer {
  return plainPage(401, "Signed out", [
    "This browser is not signed in, or its session has ended: after 8 hours, when the daemon was restarted, or because the key behind it was revoked.",
    newLink,
  ]);
}

export function goodbyePage(): Answer {
  return plainPage(200, "Signed out", ["This browser is signed out.", newLink]);
}

/** @param isSignedIn whether the browser has a session all the same */
export function usedLinkPage(isSignedIn: boolean): Answer {
  return plainPage(410, "This link does not work", [
    "Links to the console work once, and for a minute. If another browser was signed in by this one, it is signed out now.",
    isSignedIn ? html`This browser is signed in: <a href="/">go to the console</a>.` : newLink,
  ]);
}

/** A page of another site led here: signing in is for the person who asked for the link. */
export function foreignLinkPage(): Answer {
  return plainPage(403, "Not signed in", [
    "Another site led your browser to this link, which was not used up.",
    "If you asked for it yourself, paste it into the address bar.",
  ]);
}

export function foreignRequestPage(): Answer {
  return plainPage(403, "Nothing was done", [
    "This request did not come from a page of this console and session, so that nothing was changed.",
    html`<a href="/">Go to the console</a>, and do it again there.`,
  ]);
}

export function notFoundPage(): Answer {
  return plainPage(404, "Nothing here", [
    "There is no page at this address.",
    html`<a href="/">Go to the console</a>`,
  ]);
}

export function methodNotAllowedPage(allow: string): Answer {
  const answer = plainPage(405, "Not possible", ["This address does not take such a request."]);
  return { ...answer, headers: { ...answer.headers, allow } };
}

/** @param origin where the console is; undefined when no address is known */
export function misdirectedPage(origin: string | undefined): Answer {
  return plainPage(421, "Wrong address", [
    "This page was asked for under a name that is not its own.",
    ...(origin === undefined ? [] : [`Its address begins with ${origin}.`]),
  ]);
}

export function badRequestPage(): Answer {
  return plainPage(400, "Not understood", ["Your browser sent a request that is malformed."]);
}

export function tooFastPage(perSecond: number): Answer {
  return plainPage(429, "Too fast", [
    `Too many requests from your address: at most ${perSecond} per second.`,
    "Wait a moment, then load this page again.",
  ]);
}

export function tooLargePage(): Answer {
  return plainPage(413, "Too long", [
    "What was entered is longer than any field takes. Nothing was changed.",
  ]);
}

export function notYetPage(): Answer {
  return plainPage(503, "Not opened yet", [
    "Your browser asked for this page ahead of time.",
    "Load the page again to open it.",
  ]);
}

export function internalErrorPage(): Answer {
  return plainPage(500, "Something went wrong", [
    "This is an error of the daemon. It was written into its log.",
    html`<a href="/">Go to the console</a>`,
  ]);
}
