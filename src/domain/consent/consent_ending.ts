import { type AuditEventType, by } from "../../model/access/audit_event.js";
import { daemon, type Principal } from "../../model/access/principal.js";
import type { PendingAuthorization } from "../../model/connections/authorization.js";
import { grantBinding } from "../../model/connections/grant_binding.js";
import { isRefusal } from "../../model/connections/refused_consent.js";
import { stepUpAnswered } from "../../model/connections/step_up.js";
import type { ProblemReason } from "../../model/problem_reason.js";
import type { ProviderProfile } from "../../model/providers/provider_profile.js";
import { type GrantFailure, UnusableGrant } from "../../oauth/failure.js";
import type { Changes } from "../../runtime/changes.js";
import type { Clock } from "../../runtime/clock.js";
import type { Log } from "../../runtime/log.js";
import type { Store } from "../../store/store.js";
import type { Transaction } from "../../store/transaction.js";
import { changeConnection, consentEnded } from "../connections/connections.js";
import type { RevocationQueue } from "../grants/grants.js";
import { refusalWords } from "../token_endpoint/token_endpoint.js";
import {
  type ConsentFailure,
  type DroppedGrant,
  namedProvider,
  type RefusedConsent,
} from "./consent_outcomes.js";

/** How a consent came to nothing. */
export interface EndedConsent {
  readonly pending: PendingAuthorization;
  readonly reason: ProblemReason;
  readonly type: AuditEventType;
  readonly actor: Principal;
  /** What more the problem of the connection says, in words of ours. */
  readonly detail?: string | undefined;
  /** What the provider or the protocol calls it, for the audit log; the reason if it is not given. */
  readonly word?: string | undefined;
  /** What the provider granted anyway, and to whom it is bound (`grantBinding`). */
  readonly dropped?: { readonly grant: UnusableGrant; readonly binding: string } | undefined;
}

/** Writes down consents that came to nothing. */
export class ConsentEnding {
  constructor(
    private readonly deps: {
      readonly store: Store;
      readonly changes: Changes;
      readonly revocations: RevocationQueue;
      readonly clock: Clock;
      readonly log: Log;
    },
  ) {}

  /** Says of a link that leads to no provider why. */
  unstarted<Failure extends ConsentFailure>(providerId: string, failure: Failure): Failure {
    const reason = failure.kind === "provider_misconfigured" ? "misconfigured" : failure.kind;
    this.deps.changes.emit("consentFailed", providerId, reason);
    return failure;
  }

  /** One commit. A connection that is active, or was requested again, stays as it is. */
  async end(ended: EndedConsent): Promise<RefusedConsent> {
    this.deps.changes.emit("consentFailed", ended.pending.providerId, ended.reason);
    return await this.deps.store.commit((tx) => this.endIn(tx, ended));
  }

  /** A code that was not exchanged, or whose token set cannot be used: that is dropped. @param problem what the failure means for the consent */
  async endExchange(failed: {
    readonly pending: PendingAuthorization;
    readonly profile: ProviderProfile;
    readonly failure: GrantFailure;
    readonly problem: Pick<EndedConsent, "reason" | "type" | "detail">;
    readonly actor: Principal;
  }): Promise<RefusedConsent> {
    const { pending, profile, failure, problem, actor } = failed;
    const { connectionId, providerId } = pending;
    const { reason, type, detail } = problem;
    const details = { reason, failure: failure.message, description: refusalWords(failure) };
    this.deps.log.warn({ connectionId, providerId, ...details }, "code not exchanged");
    const word = failure.oauthError ?? reason;
    const dropped =
      failure instanceof UnusableGrant ? { grant: failure, binding: grantBinding(profile) } : undefined;
    return await this.end({ pending, reason, type, detail, word, actor, dropped });
  }

  /** In one transaction, after the pending authorization was taken. */
  endIn(tx: Transaction, ended: EndedConsent): RefusedConsent {
    const { pending, reason, type, actor, detail, word = reason } = ended;
    const { connectionId, providerId } = pending;
    const nowMs = this.deps.clock.nowMs();
    const connection = tx.getConnection(connectionId);
    if (connection && connection.pendingStateHash === undefined) {
      const status = reason === "consent_expired" ? "expired" : "failed";
      const change = consentEnded(connection, status, reason, nowMs, detail);
      const stepUp = isRefusal(reason) ? stepUpAnswered(connection) : {};
      tx.putConnection(changeConnection(connection, { ...change, ...stepUp }, nowMs));
    }
    const event = { timeMs: nowMs, connectionId, providerId };
    tx.appendAudit({ ...event, type, ...by(actor), reason: word });
    const grant = this.#drop(tx, ended);
    const givenUp = grant === undefined ? undefined : whyKept[grant];
    if (givenUp !== undefined) {
      tx.appendAudit({ ...event, type: "revocation_given_up", principal: daemon.name, reason: givenUp });
    }
    const profile = tx.getProvider(providerId);
    const provider = profile ? namedProvider(profile) : { providerName: connection?.providerName ?? "" };
    const expected = reason === "account_changed" ? connection?.account : undefined;
    return { kind: "refused", reason, word, ...provider, detail, grant, connectionId, expected };
  }

  /**
   * At many providers one revocation ends all that an account has granted to the client. So a grant is not revoked while the connection
   * holds a credential, unless the id_token names another account. That id_token is wrong in some way, and its claim can do no more than
   * this.
   */
  #drop(tx: Transaction, { pending, dropped }: EndedConsent): DroppedGrant | undefined {
    if (!dropped) return undefined;
    // It may be a grant of another connection, which the other account gave: nobody here can know.
    if (dropped.grant.reason === "account_changed") return "kept";
    const { connectionId, providerId } = pending;
    const { tokenSet, claimedSubject } = dropped.grant;
    const subject = tx.getConnection(connectionId)?.subject;
    const isOther = claimedSubject !== undefined && subject !== undefined && claimedSubject !== subject;
    if (tx.getCredential(connectionId) !== undefined && !isOther) return "kept";
    const place = { connectionId, providerId, revision: 0n, binding: dropped.binding };
    return this.deps.revocations.enqueue(tx, place, tokenSet);
  }
}

/** Of grants that stay at the provider, why. */
const whyKept: Readonly<Partial<Record<DroppedGrant, string>>> = {
  kept: "connection_goes_on",
  not_possible: "no_revocation_endpoint",
};
