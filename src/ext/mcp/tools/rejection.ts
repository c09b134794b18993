import { type ApiAnswer, CommandFailure, type DaemonSession, printable } from "../../../cli/kit.js";
import { type ConsentRequired, RejectionOutcome, type Token } from "../../../gen/nexus/v1/token_pb.js";
import { refusesCredential } from "../../../model/credentials/credentials.js";
import type { Redaction } from "./redaction.js";
import type { Account } from "./tool.js";

/** What the daemon made of the refusal: another token is there, or what the model has to know. */
export type Rejection = { readonly kind: "retry" } | { readonly kind: "note"; readonly note: string };

const maxChallengeBytes = 8192;

export function isRejection(answer: ApiAnswer): boolean {
  return refusesCredential(answer.status, challengeOf(answer.headers));
}

/** Reports it to the daemon, which refreshes once or asks the person for scopes. @param redaction of what the daemon may repeat of it */
export async function reportRejection(
  { daemon, call }: DaemonSession,
  account: Account,
  { revision }: Token,
  { status, headers }: ApiAnswer,
  redaction: Redaction,
): Promise<Rejection> {
  const wwwAuthenticate = redaction.apply(challengeOf(headers));
  try {
    const { outcome, missingScopes, consent } = await call(
      `report the refused token of ${account.providerName}`,
      daemon.tokens.reportRejectedToken,
      { name: account, revision, status, wwwAuthenticate },
    );
    if (outcome !== RejectionOutcome.SCOPES_MISSING) return { kind: "retry" };
    return { kind: "note", note: scopesNote(account, missingScopes, consent) };
  } catch (error) {
    if (!(error instanceof CommandFailure)) throw error;
    const [why = ""] = error.message.split("\n");
    return { kind: "note", note: `the API refuses the credential, and there is no other: ${printable(why)}` };
  }
}

/** `connect` asks for scopes by their names: for one that the token has, or none, there is only the link. */
function scopesNote(
  { providerName, label }: Account,
  scopes: readonly string[],
  consent: ConsentRequired | undefined,
): string {
  const wanted = "the API wants permissions that the user has not given";
  if (scopes.length > 0) {
    const given = { provider: providerName, ...(label === "" ? {} : { label }), scopes };
    return `${wanted}: call connect with ${JSON.stringify(given)}`;
  }
  if (consent === undefined) return `${wanted}, and does not name them`;
  const { authUrl, verificationUri, userCode } = consent;
  const link = authUrl || `${verificationUri} with the code ${userCode}`;
  return `${wanted}: show this link to the user and to nobody else, and call again when the user is done: ${link}`;
}

function challengeOf(headers: ApiAnswer["headers"]): string {
  const text = Buffer.from(headers["www-authenticate"] ?? "", "latin1").toString("utf8");
  return Buffer.byteLength(text) <= maxChallengeBytes ? text : "";
}
