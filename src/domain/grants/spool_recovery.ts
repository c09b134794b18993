import { type AuditEventType, by } from "../../model/access/audit_event.js";
import { daemon } from "../../model/access/principal.js";
import { type Connection, isRefusedByApi } from "../../model/connections/connection.js";
import { grantBinding } from "../../model/connections/grant_binding.js";
import type { SpooledTokenSet, SpoolOutcome } from "../../model/connections/spooled_token_set.js";
import { isOtherAccount } from "../../model/credentials/account.js";
import type { Credential } from "../../model/credentials/credential.js";
import { unlessDataLoss } from "../../model/errors.js";
import { isRefreshableToCheck } from "../../model/refresh/refresh_policy.js";
import type { Clock } from "../../runtime/clock.js";
import { unlessUnreadable } from "../../store/records/unreadable.js";
import type { Transaction } from "../../store/transaction.js";
import {
  type CredentialVault,
  changeConnection,
  consentGiven,
  movedGrant,
  takeRequest,
  tokenChangeOf,
} from "../connections/connections.js";
import type { RevocationQueue } from "./revocation_queue.js";

export interface SpoolRecoveryDeps {
  readonly vault: CredentialVault;
  /** As of a consent: see `ConsentCommitDeps`. */
  readonly refusesOtherAccounts: boolean;
  /** Takes the token of a connection that was revoked or deleted. */
  readonly revocations: RevocationQueue;
  readonly clock: Clock;
}

/** Stores a token set that no commit took, if what it was made for is still as it was then. */
export function storeSpooled(tx: Transaction, entry: SpooledTokenSet, deps: SpoolRecoveryDeps): SpoolOutcome {
  const { connection: spooled, credential } = entry;
  const stored = tx.getCredential(spooled.id);
  if (stored && Buffer.compare(stored.sealed.ciphertext, credential.sealed.ciphertext) === 0) return "known";
  const nowMs = deps.clock.nowMs();
  const event = {
    timeMs: nowMs,
    principal: daemon.name,
    connectionId: spooled.id,
    providerId: spooled.providerId,
    revision: spooled.credentialRevision,
  };
  const opened = unlessDataLoss(() => deps.vault.openCredential(spooled, credential));
  if (!opened) {
    tx.appendAudit({ ...event, type: "token_storage_failed", reason: "data_loss" });
    return "data_loss";
  }
  const isConsent = entry.grant === "consent";
  if (isConsent && entry.attempt !== undefined) takeRequest(tx, entry.attempt, nowMs);
  const imported = importOf(tx, entry);
  const base = baseOf(tx, entry, imported);
  const isOther = isConsent && isOtherAccount(base?.account, spooled.account);
  if (!base || (isOther && deps.refusesOtherAccounts)) {
    const before = { ...spooled, credentialRevision: spooled.credentialRevision - 1n };
    deps.revocations.enqueueLate(tx, before, opened, opened);
    const reason = isOther ? "account_changed" : "superseded";
    tx.appendAudit({ ...event, type: "token_storage_failed", reason });
    return "superseded";
  }
  const changed = changeConnection(base, tokenChangeOf(spooled), nowMs);
  tx.putCredential(base.id, credential);
  tx.putConnection(detachedIfMoved(tx, changed, opened, nowMs));
  if (imported) tx.putImport(imported.key, { ...imported.pending, sealed: undefined });
  const principal = imported && by(imported.pending.principal);
  tx.appendAudit({ ...event, ...principal, type: eventOf(entry), reason: "spooled" });
  return "stored";
}

/** The entry of an import that is not over. */
function importOf(tx: Transaction, { grant, connection, attempt: key }: SpooledTokenSet) {
  if (grant !== "import" || key === undefined) return undefined;
  const pending = tx.getImport(key);
  return pending?.sealed && pending.connectionId === connection.id ? { key, pending } : undefined;
}

/** What the token set becomes the next revision of; undefined when that is not as it was when the token set was made. */
function baseOf(
  tx: Transaction,
  entry: SpooledTokenSet,
  imported: object | undefined,
): Connection | undefined {
  const { grant, connection: spooled } = entry;
  const current = tx.getConnection(spooled.id);
  if (grant === "import") return current === undefined && imported ? spooled : undefined;
  if (!current || !fits(current, entry)) return undefined;
  return grant === "consent" ? consentGiven(current, spooled) : current;
}

function eventOf({ grant, connection }: SpooledTokenSet): AuditEventType {
  if (grant === "import") return "connection.imported";
  if (grant === "consent") return "oauth_flow_completed";
  const isServed = connection.problem === undefined || isRefusedByApi(connection);
  return isServed ? "token_refreshed" : "token_refresh_failed";
}

/** Whether the connection is still as it was when the token set of a refresh or consent was made. */
function fits(current: Connection, entry: SpooledTokenSet): boolean {
  const { grant, connection: spooled, attempt } = entry;
  if (grant === "undone") return isSucceededBy(current, spooled);
  const base = spooled.credentialRevision - 1n;
  if (current.credentialRevision !== base) return false;
  if (grant === "consent") return current.status !== "revoked";
  // An edit of the profile parts it from its grant, and an unknown outcome ends it; both leave the mark: the answer is still its own.
  const { movedFrom, reason } = current.problem ?? {};
  const isOwed = isRefreshableToCheck(current) || movedFrom !== undefined || reason === "outcome_unknown";
  const { refreshIntent } = current;
  const isItsAttempt = attempt === undefined || refreshIntent?.attempt === attempt;
  return isOwed && refreshIntent?.credentialRevision === base && isItsAttempt;
}

/**
 * Whether what the database lost is newer than what it has: the store went back to an earlier token of the same connection. What was
 * refreshed or consented to since then was issued later, and stays.
 */
export function isSucceededBy(current: Connection, lost: Connection): boolean {
  if (current.status === "revoked" || current.providerId !== lost.providerId) return false;
  if (lost.status !== "active" && lost.status !== "attention") return false;
  const isIssuedBefore = (current.issuedAtMs ?? 0) < (lost.issuedAtMs ?? 0);
  return current.credentialRevision < lost.credentialRevision && isIssuedBefore;
}

/** A grant whose profile moved during the request is not sent to where the profile leads now. */
function detachedIfMoved(
  tx: Transaction,
  connection: Connection,
  { binding }: Credential,
  nowMs: number,
): Connection {
  // One that cannot be read is looked at before the next refresh.
  const profile = unlessUnreadable(() => tx.getProvider(connection.providerId));
  if (!profile || binding === undefined || binding === grantBinding(profile)) return connection;
  return changeConnection(connection, movedGrant(profile, connection, binding, nowMs), nowMs);
}
