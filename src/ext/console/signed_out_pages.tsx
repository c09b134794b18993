import type { HttpAnswer } from "../../server/kit.js";
import type { View } from "../../server/pages/kit.js";
import { plainPage } from "./kit/page.js";

export const newLink = (
  <>
    Run <code>nexusd open</code> where the daemon runs for a link that signs this browser in.
  </>
);
export const toConsole = <a href="/">Go to the console</a>;

/** Pages for who is not signed in, and of requests that lead nowhere: status, title, and one sentence each. */
const notices = {
  signedOut: [
    401,
    "Signed out",
    "This browser is not signed in, or its session has ended: after 8 hours, when the daemon was restarted, or because the key behind it was revoked.",
    newLink,
  ],
  signIn: [
    401,
    "Sign in",
    "This browser is not signed in, or its session has ended.",
  ],
  signOutDone: [200, "Signed out", "This browser is signed out.", newLink],
  signInOver: [
    400,
    "Not signed in",
    "This sign-in has ended. Each one works once, within ten minutes, and only in the browser that began it.",
  ],
  signInDeclined: [403, "Not signed in", "You canceled the sign-in, or it was refused where you sign in."],
  signInRejected: [
    502,
    "Not signed in",
    "nexusd could not verify the answer from the place where you sign in.",
    "If it happens again, ask the operator of nexusd to look into its log.",
  ],
  signInUnavailable: [
    503,
    "Not signed in",
    "nexusd cannot use the place where you sign in at the moment.",
    "Try again. If it happens again, ask the operator of nexusd to look into its log.",
  ],
  noClaims: [
    403,
    "No access",
    "Your account has none of the groups or other claims that open this console.",
    "Ask your administrator for such a group, or the operator of nexusd to name one of yours: claims in NEXUS_JWT_ISSUERS_FILE.",
  ],
  noRole: [
    403,
    "No access",
    "Your account has no role in this console, or was stopped.",
    "Ask the operator of nexusd to bind the name below to a role in the policy file.",
  ],
  usedLink: [
    410,
    "This link does not work",
    "Links to the console work once, and for a minute. If another browser was signed in by this one, it is signed out now.",
  ],
  // A page of another site led here: signing in is for the person who asked for the link.
  foreignLink: [
    403,
    "Not signed in",
    "Another site led your browser to this link, which was not used up.",
    "If you asked for it yourself, paste it into the address bar.",
  ],
  foreignRequest: [
    403,
    "Nothing was done",
    "This request did not come from a page of this console and session, so that nothing was changed.",
    <>{toConsole}, and do it again there.</>,
  ],
  notFound: [404, "Nothing here", "There is no page at this address.", toConsole],
  methodNotAllowed: [405, "Not possible", "This address does not take such a request."],
  misdirected: [421, "Wrong address", "This page was asked for under a name that is not its own."],
  badRequest: [400, "Not understood", "Your browser sent a request that is malformed."],
  tooFast: [429, "Too fast", "Too many requests from your address.", "Wait a moment, then load this page again."],
  tooLarge: [413, "Too long", "What was entered is longer than any field takes. Nothing was changed."],
  notYet: [503, "Not opened yet", "Your browser asked for this page ahead of time.", "Load the page again to open it."],
  internalError: [500, "Something went wrong", "This is an error of the daemon. It was written into its log.", toConsole],
} as const satisfies Readonly<Record<string, readonly [status: number, title: string, ...lines: View[]]>>;

export type NoticeName = keyof typeof notices;

/**
 * Leads on by itself: a redirect would still be that of another site to the browser, and it would not show the session.
 *
 * @param path of a page of the console
 */
export function signedInPage(path: string): HttpAnswer {
  const onward = <meta http-equiv="refresh" content={`0;url=${path}`} />;
  return plainPage(200, "Signed in", [<a href={path}>Go to the console</a>], onward);
}

/** What stands below the buttons. */
const otherWays: Partial<Record<NoticeName, View>> = {
  signIn: (
    <>
      With access to the machine of the daemon, run <code>nexusd open</code> there instead.
    </>
  ),
};

/** @param more stands behind the other sentences */
export function noticePage(which: NoticeName, more?: View, headers = {}): HttpAnswer {
  const [status, title, ...lines] = notices[which];
  const behind = [more, otherWays[which]].filter((each) => each !== undefined);
  const answer = plainPage(status, title, [...lines, ...behind]);
  return { ...answer, headers: { ...answer.headers, ...headers } };
}
