import { about, by } from "../../model/access/audit_event.js";
import { daemon } from "../../model/access/principal.js";
import { type Connection, hasUsableToken } from "../../model/connections/connection.js";
import { dueAction, hasUnservedToken } from "../../model/refresh/refresh_policy.js";
import type { Store } from "../../store/store.js";
import type { Transaction } from "../../store/transaction.js";
import {
  attention,
  type ConnectionChange,
  changeConnection,
  consentEnded,
} from "../connections/connections.js";
import type { PendingConsents } from "./pending_consents.js";

/** Does what is due of a connection and is not a refresh. */
export function settleDue(
  store: Store,
  pending: PendingConsents,
  connectionId: string,
  nowMs: number,
): Promise<void> {
  return store.commit((tx) => {
    const connection = tx.getConnection(connectionId);
    if (!connection) return;
    const action = dueAction(connection, nowMs);
    if (action === "expire_request") {
      pending.end(tx, connection, "goes_on");
      const reason = connection.awaitingConfirmation ? "confirmation_expired" : "consent_expired";
      const change = consentEnded(connection, "expired", reason, nowMs);
      tx.putConnection(changeConnection(connection, change, nowMs));
      tx.appendAudit({ timeMs: nowMs, type: "oauth_error", ...by(daemon), ...about(connection), reason });
    } else if (action === "announce_expiry") {
      expire(tx, connection, nowMs);
    } else if (action === "none") {
      tx.putConnection(changeConnection(connection, {}, connection.updatedAtMs));
    }
  });
}

/** Notifies watchers that a token died while its refresh waits or is under way. */
export function announceExpiry(store: Store, connectionId: string, nowMs: number): Promise<void> {
  return store.commit((tx) => {
    const connection = tx.getConnection(connectionId);
    if (connection?.status === "active" && !hasUsableToken(connection, nowMs)) expire(tx, connection, nowMs);
  });
}

function expire(tx: Transaction, connection: Connection, nowMs: number): void {
  const change = expiryChange(connection, nowMs);
  tx.putConnection(changeConnection(connection, change, nowMs));
  if (change.status !== "attention") return;
  const reason = change.problem?.reason ?? "";
  tx.appendAudit({ timeMs: nowMs, type: "token_refresh_fatal", ...by(daemon), ...about(connection), reason });
}

/** What becomes of a connection whose token has expired: it waits for a refresh, or for a person. */
function expiryChange(connection: Connection, nowMs: number): ConnectionChange {
  if (hasUsableToken(connection, nowMs)) return {};
  const { problem } = connection;
  if (problem && hasUnservedToken(connection)) return attention(connection, problem.reason, nowMs);
  if (problem?.reason === "provider_deleted") return attention(connection, "provider_deleted", nowMs);
  // It keeps its intent and its due time: fixing the profile wakes it.
  if (problem?.reason === "misconfigured") return { status: "attention", problem };
  return connection.refreshable ? {} : attention(connection, "no_refresh_token", nowMs);
}
