import type { Account } from "../credentials/account.js";
import type { Strategy } from "../credentials/strategy.js";
import { type ProblemReason, problemMessages } from "../problem_reason.js";
import type { ProviderRevocation } from "./revocation.js";

/** See `nexus.v1.ConnectionStatus`; the order is that of the numbers of the enum, from 1. */
export const connectionStatuses = ["pending", "active", "attention", "revoked", "expired", "failed"] as const;
export type ConnectionStatus = (typeof connectionStatuses)[number];

export interface Problem {
  readonly reason: ProblemReason;
  readonly sinceMs: number;
  /** When the daemon tries again; undefined when it will not. */
  readonly retryAtMs: number | undefined;
  /** `retryAtMs` must not be undercut by a caller's demand: the provider requested it, or the last outcome is unknown. */
  readonly firm?: boolean | undefined;
  /** Of `reauth_required`: the profile moved to another server or client, away from the grant with this binding (`grantBinding`). */
  readonly movedFrom?: string | undefined;
  /**
   * What more there is to say of a consent that came to nothing, of a token that nobody consents to, or of a profile that moved:
   * the end of a sentence, in words of ours.
   */
  readonly detail?: string | undefined;
  /** The provider refused refreshes, and none succeeded since. */
  readonly refused?: Refusals | undefined;
}

/** Refusals of the refreshes of one connection, none of which named its refresh token as the cause. */
export interface Refusals {
  readonly sinceMs: number;
  readonly lastMs: number;
  readonly times: number;
  /**
   * How many of them came after the provider had accepted another connection since the one before: these speak for this connection
   * alone.
   */
  readonly alone: number;
  /** Of the profile; refusals of another version do not count. */
  readonly profileVersion: bigint;
  /** Of the last one. */
  readonly httpStatus: number;
}

/** The sentence of a problem. */
export function problemSentence({ reason, movedFrom, detail, refused }: Problem): string {
  if (reason === "refresh_refused" && refused !== undefined) return refusedSentence(refused);
  if (movedFrom !== undefined)
    return detailed(
      movedSentence,
      detail ?? "the user must consent again, or the profile must be changed back",
    );
  return detailed(problemMessages[reason], detail);
}

/** A sentence, with what more there is to say. */
export function detailed(sentence: string, detail: string | undefined): string {
  return detail === undefined ? sentence : `${sentence.replace(/\.$/, "")}: ${detail}.`;
}

function refusedSentence({ httpStatus, times }: Refusals): string {
  const name = statusNames.get(httpStatus);
  const status = `HTTP status ${httpStatus}${name === undefined ? "" : ` (${name})`}`;
  return `The provider refused ${times} refreshes in a row, the last with ${status}, and did not say why: the user must consent again.`;
}

/** RFC 9110 section 15.5: those that token endpoints have been seen to refuse with. */
const statusNames: ReadonlyMap<number, string> = new Map([
  [400, "Bad Request"],
  [401, "Unauthorized"],
  [402, "Payment Required"],
  [403, "Forbidden"],
  [404, "Not Found"],
  [405, "Method Not Allowed"],
  [406, "Not Acceptable"],
  [409, "Conflict"],
  [410, "Gone"],
  [415, "Unsupported Media Type"],
  [422, "Unprocessable Content"],
]);

const movedSentence =
  "The provider profile now names another client, issuer or token endpoint than this consent was given to.";

/** A refresh token is being redeemed, or was when the daemon died. An attempt that finds one does not know how the last ended. */
export interface RefreshIntent {
  readonly credentialRevision: bigint;
  readonly startedAtMs: number;
  /**
   * How often this refresh token may have been sent without an answer that counts: 1, or 2 with the one probe. It is 0 if the store was
   * restored and this daemon has not sent it.
   */
  readonly sends: number;
  /** It comes from a backup: a daemon that went on with the original may have used the refresh token. */
  readonly restored?: boolean | undefined;
  /** Id of the daemon that sent it last; undefined in those of older releases. */
  readonly owner?: string | undefined;
  /** UUID of the attempt: an outcome counts only against its own. */
  readonly attempt?: string | undefined;
}

/** An API refused a token for scopes that it lacks (RFC 6750 section 3.1). */
export interface StepUp {
  /** Those that it named; none when it named none. */
  readonly scopes: readonly string[];
  /** How often in a row it was requested: 1 to 3. */
  readonly attempts: number;
  readonly lastAtMs: number;
  /** Whether no person has answered yet. */
  readonly wanted: boolean;
}

/** A request for consent that brought no credential. */
export interface UnfulfilledRequest {
  readonly reason: ProblemReason;
  readonly detail?: string | undefined;
  readonly refusedAtMs: number;
}

export interface Connection {
  readonly id: string;
  readonly userId: string;
  readonly providerId: string;
  readonly providerName: string;
  /** Distinguishes accounts of one user at one provider; see `ConnectionName`. */
  readonly label: string;
  readonly status: ConnectionStatus;
  /** Number of the newest credential; 0 before the first. */
  readonly credentialRevision: bigint;
  readonly requestedScopes: readonly string[];
  readonly grantedScopes: readonly string[];
  /** What the consent that brought the credential requested; a provider may grant it by other words. */
  readonly consentedScopes: readonly string[];
  readonly expiresAtMs: number | undefined;
  readonly issuedAtMs: number | undefined;
  readonly refreshable: boolean;
  /** Start of the refresh window, jitter included. */
  readonly refreshNotBeforeMs: number | undefined;
  readonly problem: Problem | undefined;
  /** Failed refreshes in a row. */
  readonly failedRefreshes: number;
  readonly refreshIntent: RefreshIntent | undefined;
  /** Hex of the key of the newest pending authorization: a hash of its `state`, or of its completion code. */
  readonly pendingStateHash: string | undefined;
  readonly requestExpiresAtMs: number | undefined;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
  /** When the daemon must look at it next: a refresh, an expiry to announce, a request that runs out. */
  readonly dueAtMs: number | undefined;
  /** `sub` of the id_token of the newest consent. */
  readonly subject: string | undefined;
  /** As the profile reported when the newest credential was written. */
  readonly strategy: Strategy;
  /** Values of the callback or of the token answer that the profile keeps. */
  readonly metadata: Readonly<Record<string, string>>;
  /** When the refresh token, or the authorization behind it, ends if it is not used before. */
  readonly refreshExpiresAtMs?: number | undefined;
  /** The pending authorization holds a credential that waits for its confirmation. */
  readonly awaitingConfirmation?: boolean | undefined;
  /** Of a revoked one: the state of the revocation at the provider. */
  readonly providerRevocation?: ProviderRevocation | undefined;
  readonly stepUp?: StepUp | undefined;
  /** Of the newest request, until another one takes its place or brings a credential. */
  readonly refusedConsent?: UnfulfilledRequest | undefined;
  readonly account?: Account | undefined;
  /** When the credential was last sent to its API for a check. */
  readonly checkedAtMs?: number | undefined;
}

/** Whether the API refused the credential when it was checked, and has not accepted it since. */
export function isRefusedByApi({ status, problem }: Connection): boolean {
  return status === "attention" && problem?.reason === "credential_refused";
}

/** Whether a connection is not ended: it holds a credential, or waits for a person. */
export function isLive({ status }: Connection): boolean {
  return status === "active" || status === "attention" || status === "pending";
}

/** Allowed changes of status; a status may always stay as it is. */
const transitions: Readonly<Record<ConnectionStatus, readonly ConnectionStatus[]>> = {
  pending: ["active", "attention", "failed", "expired", "revoked"],
  active: ["attention", "revoked"],
  attention: ["active", "revoked"],
  failed: ["active", "attention", "pending", "revoked"],
  expired: ["active", "attention", "pending", "revoked"],
  revoked: [],
};

/** @throws Error on a change that the table does not have: an error of this program, not of a caller */
export function assertTransition(from: ConnectionStatus, to: ConnectionStatus): void {
  if (from !== to && !transitions[from].includes(to)) throw new Error(`no transition from ${from} to ${to}`);
}

/** Whether a connection's access token can be handed out at `nowMs`. One that waits for its first has none, wherever the clock goes. */
export function hasUsableToken(connection: Connection, nowMs: number): boolean {
  const { status, credentialRevision, expiresAtMs } = connection;
  return status === "active" && credentialRevision > 0n && (expiresAtMs === undefined || nowMs < expiresAtMs);
}
