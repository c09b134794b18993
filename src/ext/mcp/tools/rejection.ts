import { type ApiAnswer, printable } from "../../../cli/kit.js";
import {
  type ApiResponse,
  apiResponse,
  type NeededConsent,
  type ReportOutcome,
} from "../../../domain/use/use.js";
import type { Redaction } from "./redaction.js";
import type { ToolAccount } from "./tool.js";

const maxChallengeBytes = 8192;

/** What the daemon hears of a refusal. @param redaction of what it may repeat of it */
export function responseOf({ status, headers }: ApiAnswer, redaction: Redaction): ApiResponse {
  const challenge = redaction.apply(challengeOf(headers));
  return apiResponse(status, { "www-authenticate": challenge, "dpop-nonce": headers["dpop-nonce"] });
}

/** Why there is no other credential, for the model; undefined where there is one. */
export function noteOf(outcome: ReportOutcome, account: ToolAccount): string | undefined {
  if (outcome.kind === "authentication_insufficient") return signInNote(outcome.consent);
  if (outcome.kind === "scopes_missing") return scopesNote(account, outcome.missingScopes, outcome.consent);
  if (outcome.kind !== "rejected") return undefined;
  const [why = ""] = outcome.error.message.split("\n");
  return `the API refuses the credential, and there is no other: ${printable(why)}`;
}

/** `connect` asks for scopes by their names: for one that the token has, or none, there is only the link. */
function scopesNote(
  { providerName, label }: ToolAccount,
  scopes: readonly string[],
  consent: NeededConsent | undefined,
): string {
  const wanted = "the API wants permissions that the user has not given";
  if (scopes.length > 0) {
    const given = { provider: providerName, ...(label === "" ? {} : { label }), scopes };
    return `${wanted}: call connect with ${JSON.stringify(given)}`;
  }
  return consent ? `${wanted}: ${shown(consent)}` : `${wanted}, and does not name them`;
}

/** RFC 9470: `connect` would return the token that there is. */
function signInNote(consent: NeededConsent | undefined): string {
  const wanted = "the API wants the user to sign in anew, or in another way";
  return consent
    ? `${wanted}: ${shown(consent)}`
    : `${wanted}, and no link could be made for it: do not retry`;
}

function shown({ authUrl, verificationUri, userCode }: NeededConsent): string {
  const link = authUrl || `${verificationUri} with the code ${userCode}`;
  return `show this link to the user and to nobody else, and call again when the user is done: ${link}`;
}

function challengeOf(headers: ApiAnswer["headers"]): string {
  const text = Buffer.from(headers["www-authenticate"] ?? "", "latin1").toString("utf8");
  return Buffer.byteLength(text) <= maxChallengeBytes ? text : "";
}
