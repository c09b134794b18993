import { type Connection, isLive } from "../../model/connections/connection.js";
import type { NameParts } from "../../model/connections/connection_name.js";
import { AlreadyExists } from "../../model/errors.js";
import type { ProviderProfile } from "../../model/providers/provider_profile.js";
import type { Transaction } from "../../store/transaction.js";

/**
 * Before a connection is made, in its transaction.
 *
 * @throws AlreadyExists when another has its label; without one there may be several
 */
export function refuseTakenLabel(tx: Pick<Transaction, "idsNamed" | "getConnection">, name: NameParts): void {
  if (name.label === "") return;
  // The first is live if any is.
  const [id] = tx.idsNamed(name);
  const first = id === undefined ? undefined : tx.getConnection(id);
  if (!first || !isLive(first)) return;
  throw new AlreadyExists(
    `the connection ${id} of this user and provider has this label: use it, end it, or choose another label`,
  );
}

/** A connection that holds nothing yet. */
export function newConnection(
  id: string,
  { userId, label }: Pick<Connection, "userId" | "label">,
  profile: ProviderProfile,
  nowMs: number,
): Connection {
  return {
    id,
    userId,
    providerId: profile.id,
    providerName: profile.name,
    label,
    status: "pending",
    credentialRevision: 0n,
    requestedScopes: [],
    grantedScopes: [],
    consentedScopes: [],
    expiresAtMs: undefined,
    issuedAtMs: undefined,
    refreshable: false,
    refreshNotBeforeMs: undefined,
    problem: undefined,
    failedRefreshes: 0,
    refreshIntent: undefined,
    pendingStateHash: undefined,
    requestExpiresAtMs: undefined,
    createdAtMs: nowMs,
    updatedAtMs: nowMs,
    dueAtMs: undefined,
    subject: undefined,
    strategy: profile.strategy,
    metadata: {},
  };
}
