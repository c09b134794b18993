import type { Answer } from "../../server/listen/http_listener.js";
import { plainPage } from "./kit/page.js";

const newLink = (
  <>
    Run <code>nexusd open</code> where the daemon runs for a link that signs this browser in.
  </>
);
const toConsole = <a href="/">Go to the console</a>;

export const signedOutPage = (): Answer =>
  plainPage(401, "Signed out", [
    "This browser is not signed in, or its session has ended: after 8 hours, when the daemon was restarted, or because the key behind it was revoked.",
    newLink,
  ]);

export const goodbyePage = (): Answer =>
  plainPage(200, "Signed out", ["This browser is signed out.", newLink]);

/** @param isSignedIn whether the browser has a session all the same */
export const usedLinkPage = (isSignedIn: boolean): Answer =>
  plainPage(410, "This link does not work", [
    "Links to the console work once, and for a minute. If another browser was signed in by this one, it is signed out now.",
    isSignedIn ? <>This browser is signed in: {toConsole}.</> : newLink,
  ]);

/** A page of another site led here: signing in is for the person who asked for the link. */
export const foreignLinkPage = (): Answer =>
  plainPage(403, "Not signed in", [
    "Another site led your browser to this link, which was not used up.",
    "If you asked for it yourself, paste it into the address bar.",
  ]);

export const foreignRequestPage = (): Answer =>
  plainPage(403, "Nothing was done", [
    "This request did not come from a page of this console and session, so that nothing was changed.",
    <>{toConsole}, and do it again there.</>,
  ]);

export const notFoundPage = (): Answer =>
  plainPage(404, "Nothing here", ["There is no page at this address.", toConsole]);

export function methodNotAllowedPage(allow: string): Answer {
  const answer = plainPage(405, "Not possible", ["This address does not take such a request."]);
  return { ...answer, headers: { ...answer.headers, allow } };
}

/** @param origin where the console is; undefined when no address is known */
export const misdirectedPage = (origin: string | undefined): Answer =>
  plainPage(421, "Wrong address", [
    "This page was asked for under a name that is not its own.",
    ...(origin === undefined ? [] : [`Its address begins with ${origin}.`]),
  ]);

export const badRequestPage = (): Answer =>
  plainPage(400, "Not understood", ["Your browser sent a request that is malformed."]);

export const tooFastPage = (perSecond: number): Answer =>
  plainPage(429, "Too fast", [
    `Too many requests from your address: at most ${perSecond} per second.`,
    "Wait a moment, then load this page again.",
  ]);

export const tooLargePage = (): Answer =>
  plainPage(413, "Too long", ["What was entered is longer than any field takes. Nothing was changed."]);

export const notYetPage = (): Answer =>
  plainPage(503, "Not opened yet", [
    "Your browser asked for this page ahead of time.",
    "Load the page again to open it.",
  ]);

export const internalErrorPage = (): Answer =>
  plainPage(500, "Something went wrong", [
    "This is an error of the daemon. It was written into its log.",
    toConsole,
  ]);
