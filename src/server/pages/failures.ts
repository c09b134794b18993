import type { ConsentFailure, DroppedGrant, RefusedConsent } from "../../domain/consent/consent.js";
import { accountText } from "../../model/credentials/account.js";
import { type ProblemReason, problemMessages } from "../../model/problem_reason.js";
import type { DescribeProvider } from "./page_words.js";

/** What ends a visit: of the flow, or of this listener. */
export type Failure =
  | ConsentFailure
  | { readonly kind: "incomplete_link" }
  /** Of a fleet: the hub that acts cannot be reached. */
  | { readonly kind: "unavailable" }
  | { readonly kind: "rate_limited"; readonly perSecond: number };

/** How a failure is answered. */
export interface FailureText {
  readonly status: 400 | 404 | 410 | 429 | 502 | 503;
  /** A stable word, for those who help the user. */
  readonly word: string;
  /** One sentence each. Never text of the provider. */
  readonly lines: readonly string[];
  /** For the people who run the daemon. */
  readonly operator?: string | undefined;
}

type FailureRow = readonly [status: FailureText["status"], what: string, next: string];

const startAgain = "Go back to the application that sent you here and start again.";
const unchanged = `Nothing was changed. ${startAgain}`;
const newLink =
  "Links like this work once and for ten minutes. Go back to the application that sent you here and ask for a new one.";
const ofOperator =
  "Nothing was changed. Only the people who run this service can fix it. Please contact them.";
const tellOperator = `Nothing was changed. ${startAgain} If it happens again, contact the people who run it.`;

const rows: Readonly<Record<Exclude<Failure["kind"], "refused" | "rate_limited">, FailureRow>> = {
  unknown_request: [
    404,
    "This link was used already, was replaced by a newer one, or is not one of ours.",
    "If you have connected already, all is well. If not, go back to the application that sent you here and ask for a new link.",
  ],
  expired: [410, "This link has expired.", newLink],
  provider_changed: [410, "The provider was changed or deleted after this link was made.", newLink],
  provider_unreachable: [
    503,
    "The provider cannot be reached at the moment.",
    "Nothing was changed. Wait a minute, then load this page again.",
  ],
  provider_misconfigured: [502, "The provider is not what its registration here says.", ofOperator],
  denied_without_state: [
    400,
    "You or the provider declined.",
    "Nothing was changed: the provider did not say to which link its answer belongs. To connect after all, open the link of your application again.",
  ],
  answer_without_state: [
    400,
    "The provider sent you back and did not say to which link its answer belongs.",
    tellOperator,
  ],
  foreign_answer: [
    400,
    "This answer is not from the provider that you were sent to.",
    "Nothing was changed. Go on in the provider's own page, or open the link again.",
  ],
  foreign_form: [
    400,
    "This form belongs to another browser window, or your browser keeps no cookies.",
    "Nothing was changed. Open the link of your application again.",
  ],
  incomplete_link: [400, "The link is not complete.", unchanged],
  unavailable: [
    503,
    "This service cannot act at the moment.",
    "Wait a minute, then load this page again. If it says that the link was used, go back to the application that sent you here.",
  ],
};

/** Of consents that are over. A reason that is not here appears as agents get it. */
const refusals: Readonly<Partial<Record<ProblemReason, FailureRow>>> = {
  access_denied: [400, "You or the provider declined.", unchanged],
  state_verification_failed: [
    400,
    "This is not the browser in which you opened the link, or it keeps no cookies.",
    unchanged,
  ],
  issuer_mismatch: [
    400,
    "The answer that came back does not name the provider that you were sent to, so it was not used.",
    tellOperator,
  ],
  invalid_authorization_response: [400, "The answer that came back breaks the protocol.", tellOperator],
  client_rejected: [
    502,
    "The provider refused the registration of this service: its client id, its secret, or the way in which it was sent.",
    ofOperator,
  ],
  clock_skew: [502, "The clocks of the provider and of this service differ.", ofOperator],
  unsupported_demand: [502, "The provider demands what its registration here does not do.", ofOperator],
  misconfigured: [502, "The provider is not what its registration here says.", ofOperator],
  provider_unreachable: [502, "The provider stopped answering before you were connected.", unchanged],
  account_changed: [
    400,
    "You signed in at the provider with another account than the one that this connection belongs to.",
    "Go back to the application that sent you here, start again, and sign in with that account. For the other one it needs a connection of its own. What you just allowed is not used: to withdraw it, open the settings of the account that you signed in with.",
  ],
  authentication_insufficient: [
    400,
    "You signed in at the provider in another way, or longer ago, than this access needs.",
    "Go back to the application that sent you here, and start again. If the provider does not ask you to sign in, sign out there first. What you just allowed is not used.",
  ],
  token_exchange_failed: [502, problemMessages.token_exchange_failed, tellOperator],
};

/** Reasons whose details hold nothing but what an unauthenticated caller may read. */
const openDetails: readonly ProblemReason[] = [
  "authentication_insufficient",
  "authorization_failed",
  "client_rejected",
  "clock_skew",
  "token_exchange_failed",
  "unsupported_demand",
];

const grants: Readonly<Record<DroppedGrant, (providerName: string) => string | undefined>> = {
  pending: () => "What you allowed is being withdrawn at the provider.",
  not_possible: (providerName) =>
    `What you allowed at ${providerName} cannot be withdrawn from here: remove this application in the settings of your account there.`,
  kept: () => "Your connection is as it was.",
  not_needed: () => undefined,
};

/** The one table: what went wrong, to the text for the user and the HTTP status. */
export function failureText(failure: Failure, describe: DescribeProvider): FailureText {
  if (failure.kind === "refused") return refusalText(failure, describe(failure).displayName);
  if (failure.kind === "rate_limited") {
    const what = `Too many requests from your address: at most ${failure.perSecond} per second.`;
    return {
      status: 429,
      word: failure.kind,
      lines: [what, "Nothing was changed. Wait a moment, then load this page again."],
    };
  }
  const [status, ...lines] = rows[failure.kind];
  return { status, word: failure.kind, lines };
}

function refusalText(failure: RefusedConsent, providerName: string): FailureText {
  const { reason, word, detail, grant, expected } = failure;
  const [status, what, next] = refusals[reason] ?? [400, problemMessages[reason], unchanged];
  const ofGrant = grant && grants[grant](providerName);
  const account = masked(accountText(expected));
  const more = [account && `It belongs to ${account}.`, ofGrant ?? ""].filter((line) => line !== "");
  const isOpen = openDetails.includes(reason) && detail !== word;
  return {
    status,
    word: word === reason ? reason : `${reason} (${word})`,
    lines: [what, ...more, ofGrant === undefined ? next : next.replace("Nothing was changed. ", "")],
    operator: isOpen ? detail : undefined,
  };
}

/** Enough of an account for its owner: the holder of the link may be somebody else. */
function masked(account: string): string {
  return account.replace(/^(.)[^@]*/u, "$1\u2026");
}
