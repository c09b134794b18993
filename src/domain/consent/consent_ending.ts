import { type AuditEventType, by } from "../../model/access/audit_event.js";
import type { Principal } from "../../model/access/principal.js";
import type { PendingAuthorization } from "../../model/connections/authorization.js";
import type { ProblemReason } from "../../model/problem_reason.js";
import type { Clock } from "../../runtime/clock.js";
import type { Store } from "../../store/store.js";
import { changeConnection, consentEnded } from "../lifecycle/connection_change.js";
import { messageForPerson } from "./consent_result.js";
import type { ConsentFailure } from "./consent_types.js";

/** Writes down consents that came to nothing. */
export class ConsentEnding {
  readonly #store: Pick<Store, "commit">;
  readonly #clock: Clock;

  constructor(options: { store: Pick<Store, "commit">; clock: Clock }) {
    this.#store = options.store;
    this.#clock = options.clock;
  }

  /** With a page that says so. */
  async refuse(
    pending: PendingAuthorization,
    reason: ProblemReason,
    type: AuditEventType,
    visitor: Principal,
  ): Promise<ConsentFailure> {
    await this.end(pending, reason, type, visitor);
    return { kind: "failure", status: 400, reason, message: messageForPerson(reason) };
  }

  /** A connection that is active, or was requested anew, stays as it is. @param detail in place of `reason` in the audit log */
  async end(
    pending: PendingAuthorization,
    reason: ProblemReason,
    type: AuditEventType,
    visitor: Principal,
    detail?: string,
  ): Promise<void> {
    const nowMs = this.#clock.nowMs();
    await this.#store.commit((tx) => {
      const connection = tx.getConnection(pending.connectionId);
      if (connection && connection.pendingStateHash === undefined) {
        const status = reason === "consent_expired" ? "expired" : "failed";
        tx.putConnection(
          changeConnection(connection, consentEnded(connection, status, reason, nowMs), nowMs),
        );
      }
      tx.appendAudit({
        timeMs: nowMs,
        type,
        ...by(visitor),
        connectionId: pending.connectionId,
        providerId: pending.providerId,
        reason: detail ?? reason,
      });
    });
  }
}
