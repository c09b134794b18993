import { RejectionOutcome, type Token } from "../../../gen/nexus/v1/token_pb.js";
import type { ApiAnswer } from "../../credentials/api_call.js";
import { CommandFailure } from "../../shell/command_failure.js";
import type { DaemonSession } from "../../shell/daemon_command.js";
import { printable } from "../../shell/text.js";
import type { Redaction } from "./redaction.js";
import type { Account } from "./tool.js";

/** What the daemon made of the refusal: another token is there, or what the model has to know. */
export type Rejection = { readonly kind: "retry" } | { readonly kind: "note"; readonly note: string };

const maxChallengeBytes = 8192;

/** Whether the API refuses the credential, and not what it is used for (RFC 9110 section 15.5.2, RFC 6750 section 3.1). */
export function isRejection(answer: Pick<ApiAnswer, "status" | "headers">): boolean {
  if (answer.status === 401) return true;
  return answer.status === 403 && /\b(insufficient_scope|invalid_token)\b/.test(challengeOf(answer));
}

/**
 * Reports it to the daemon, which refreshes once or asks the person for scopes.
 *
 * @param redaction of what the daemon may repeat of it
 */
export async function reportRejection(
  { daemon, call }: DaemonSession,
  account: Account,
  { revision }: Token,
  answer: Pick<ApiAnswer, "status" | "headers">,
  redaction: Redaction,
): Promise<Rejection> {
  const wwwAuthenticate = redaction.apply(challengeOf(answer));
  try {
    const { outcome } = await call(`report the refused token of ${account.providerName}`, (options) =>
      daemon.tokens.reportRejectedToken(
        { name: account, revision, status: answer.status, wwwAuthenticate },
        options,
      ),
    );
    if (outcome !== RejectionOutcome.SCOPES_MISSING) return { kind: "retry" };
    return {
      kind: "note",
      note: `the API wants permissions that the user has not given: call connect with ${JSON.stringify({ provider: account.providerName })}`,
    };
  } catch (error) {
    if (!(error instanceof CommandFailure)) throw error;
    const [why = ""] = error.message.split("\n");
    return { kind: "note", note: `the API refuses the credential, and there is no other: ${printable(why)}` };
  }
}

function challengeOf({ headers }: Pick<ApiAnswer, "headers">): string {
  const text = Buffer.from(headers["www-authenticate"] ?? "", "latin1").toString("utf8");
  return Buffer.byteLength(text) <= maxChallengeBytes ? text : "";
}
