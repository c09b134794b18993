import { Role } from "../../../gen/nexus/v1/access_pb.js";
import type { AuditEvent } from "../../../gen/nexus/v1/audit_pb.js";
import { type Connection, ConnectionStatus, type Problem } from "../../../gen/nexus/v1/connection_pb.js";
import type { FailingReason, ConnectionStatus as StateName } from "../../../model/connections/connections.js";
import type { Tone } from "./parts.js";

/** What a page says after an action, by the word in its address: nobody can put words of their own there. */
export const notices: ReadonlyMap<string, string> = new Map([
  ["refreshed", "The token was refreshed."],
  ["all_refreshed", "The tokens were refreshed."],
  ["revoked", "The connection was revoked, and its credential erased."],
  ["all_revoked", "The connections were revoked, and their credentials erased."],
  ["none_selected", "Nothing was done: select the connections first."],
  ["connected", "Connected: no person is needed for this provider, and a token was minted."],
  ["provider_added", "The provider was added. Register the redirect URI at its console, then connect."],
  ["client_changed", "The client was changed: the next request to the provider is made with it."],
  ["client_kept", "Nothing was changed: what was entered is stored already."],
  ["provider_deleted", "The provider was deleted."],
  ["request_sent", "It was approved."],
  ["approved_in_part", "You approved it. It waits for another approver."],
  ["request_refused", "It was denied."],
  ["key_revoked", "The API key was revoked."],
  ["agent_stopped", "The agent was stopped: what it had open has ended."],
  ["stop_lifted", "The stop was lifted: the agent may call again."],
]);

/** The states in the order of filters and tiles: word of the contract and of the commands, its number, the same word for people, meaning, color. */
export const states = [
  ["attention", ConnectionStatus.ATTENTION, "Attention", "A user or an operator must act", "bad"],
  ["active", ConnectionStatus.ACTIVE, "Active", "The token is kept fresh", "good"],
  ["pending", ConnectionStatus.PENDING, "Pending", "Waits for the user's consent", "calm"],
  ["failed", ConnectionStatus.FAILED, "Failed", "The consent failed", "warn"],
  ["expired", ConnectionStatus.EXPIRED, "Expired", "Nobody consented in time", "idle"],
  ["revoked", ConnectionStatus.REVOKED, "Revoked", "The credential is erased", "idle"],
] as const satisfies readonly (readonly [
  word: StateName,
  ConnectionStatus,
  text: string,
  meaning: string,
  tone: Tone,
])[];

/** A state in a word for people, what the word says, and its color. */
export function stateWord({ status, problem, awaitingConfirmation }: Connection): {
  readonly text: string;
  readonly meaning: string;
  readonly tone: Tone;
} {
  const [, , text = "Unknown", meaning = "", tone = "idle"] =
    states.find(([, each]) => each === status) ?? [];
  if (awaitingConfirmation)
    return { text, meaning: "Consent to be confirmed by the application", tone: "warn" };
  if (status === ConnectionStatus.ACTIVE && problem)
    return { text, meaning: "Active, with a problem", tone: "warn" };
  return { text, meaning, tone };
}

const waits = "If that goes on, look at the provider.";
const ofProfile = "Correct the provider's profile, then ask for consent again.";

/** What a person does about a problem, by its word; the others need consent again. */
const advice: Readonly<Record<string, string>> = {
  misconfigured: "Correct the provider's client id, secret or addresses.",
  client_rejected: ofProfile,
  issuer_mismatch: ofProfile,
  unsupported_demand: ofProfile,
  invalid_authorization_response: ofProfile,
  provider_deleted: "Register the provider again, and ask for a new connection.",
  refresh_failing: waits,
  restored: waits,
  provider_unreachable: "Wait until the provider answers, then ask for consent again.",
  clock_skew: "Set the clock of this machine, then ask for consent again.",
};

export function adviceOf({ reason }: Problem): string {
  return advice[reason] ?? "Ask for consent again.";
}

/** Whether the client of the provider has to be changed before anything else helps. */
export function isOfClient(problem: Problem | undefined): boolean {
  return ["misconfigured", "client_rejected"].includes(problem?.reason ?? "");
}

/** What a failing provider does, and what a person does about it. */
export const failingAdvice: Readonly<Record<FailingReason, string>> = {
  misconfigured:
    "It refuses the client, or stands where the daemon must not call: compare client id, secret and addresses with its console.",
  transient: "It did not process the requests. The daemon tries again by itself.",
  ambiguous: "Requests were sent, and no answer came. The daemon tries again by itself, with care.",
  rejected:
    "Its answers fail the checks of the protocol: compare issuer and endpoints with its documentation.",
};

/** What happened, where the type of the event does not say it to a person. */
const events: Readonly<Record<string, string>> = {
  credential_captured: "Key entered",
  credential_rejected: "Key refused",
  credential_replaced: "Key replaced",
  token_retrieved: "Token read",
  token_reads_counted: "Token read again",
  egress_used: "Requests sent with the credential",
  token_rejected: "Token refused by an API",
  revoked_at_provider: "Revoked at the provider",
  oauth_flow_completed: "Connected",
  oauth_error: "Consent not given",
  state_verification_failed: "Consent of another browser",
  token_exchange_failed: "Code not exchanged",
  id_token_verification_failed: "Identity not proved",
  token_refresh_fatal: "Refresh failed for good",
  "approval.given": "Request approved",
  "approval.refused": "Request denied",
  "approval.expired": "Request not answered",
  "plan.asked": "Plan asked for",
  "plan.approved": "Plan approved",
  "plan.denied": "Plan denied",
  "plan.used": "Request sent under a plan",
  "plan.ended": "Plan ended",
  "console.session_opened": "Signed in",
  "console.session_ended": "Signed out",
  "console.sign_in_refused": "Sign-in refused",
};

/** `provider.created` is `Provider created`. */
export function eventText(type: string): string {
  const text = events[type] ?? type.replaceAll(/[._]/g, " ").replace("api key", "API key");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** What became of a request that waited for a person: a word, and its color. */
export const decisionWords: Readonly<Record<string, readonly [text: string, Tone]>> = {
  "approval.given": ["Approved", "good"],
  "approval.refused": ["Denied", "bad"],
  "approval.expired": ["Not answered", "idle"],
  "plan.approved": ["Approved", "good"],
  "plan.denied": ["Denied", "bad"],
};

/** What the audit log says of such a request. */
export interface DecidedRequest {
  /** Method, host, and path. */
  readonly request: string;
  /** How long an approval counts, if longer than once: `for an hour`. */
  readonly extent: string;
  /** Which of several approvals it is: `1 of 2`; empty where one approver decides. */
  readonly share: string;
  /** Of a denial, by the person; empty for none. */
  readonly reason: string;
}

/** Undefined for other events. Neither a method nor a target has a space. */
export function decisionOf({ eventType, reason }: AuditEvent): DecidedRequest | undefined {
  if (!(eventType in decisionWords)) return undefined;
  const form =
    /^.+?(?: (for an hour|for its session))?: (\S+ \S+) \(line \d+(?:, (\d of \d))?, sha256:[0-9a-f]{64}\)(?:: (.*))?$/s;
  const [, extent = "", request, share = "", given = ""] = form.exec(reason) ?? [];
  return request === undefined ? undefined : { request, extent, share, reason: given };
}

/** Reasons of requests that got no token. */
const refusalReasons: Readonly<Record<string, string>> = {
  permission_denied: "Request denied",
  use_egress: "Token denied: rules check each request",
  show_body: "Body asked for",
};

/** What happened with its reason, for a list. */
export function reasonText({ eventType, reason, approver }: AuditEvent): string {
  if (eventType === "access.denied") return `Call denied: ${reason}`;
  if (eventType !== "token_retrieval_failed") return eventText(eventType);
  const text = refusalReasons[reason] ?? `No token: ${reason.replaceAll("_", " ")}`;
  return approver === "" ? text : `${text} by ${approver}`;
}

export const roleWords: Readonly<Record<Role, string>> = {
  [Role.UNSPECIFIED]: "None",
  [Role.ADMIN]: "Admin",
  [Role.OPERATOR]: "Operator",
  [Role.AGENT]: "Agent",
};
