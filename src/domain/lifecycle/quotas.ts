import type { Principal } from "../../model/access/principal.js";
import { ResourceExhausted } from "../../model/errors.js";
import type { Limits } from "../../model/limits.js";
import type { Transaction } from "../../store/transaction.js";

/** Limits of what lies in the store: checked inside the commit that would pass them, so that none passes by a race. */
export type StoredLimits = Pick<Limits, "maxPendingAuthorizations" | "maxConnectionsPerUser">;

/** Before a connection is made. @throws ResourceExhausted */
export function refuseMoreConnections(
  tx: Pick<Transaction, "countConnectionsOfUser">,
  userId: string,
  { maxConnectionsPerUser: limit }: StoredLimits,
): void {
  if (tx.countConnectionsOfUser(userId) < limit) return;
  throw new ResourceExhausted("TOO_MANY_CONNECTIONS", {
    what: "connections of this user_id",
    limit,
    unit: "",
    setting: "NEXUS_MAX_CONNECTIONS_PER_USER",
  });
}

/** Before a pending authorization is made. Those that nobody answered end after 10 minutes. @throws ResourceExhausted */
export function refuseMoreAuthorizations(
  tx: Pick<Transaction, "countAuthorizations">,
  { name }: Principal,
  { maxPendingAuthorizations: limit }: StoredLimits,
): void {
  if (tx.countAuthorizations(name) < limit) return;
  throw new ResourceExhausted("TOO_MANY_PENDING_AUTHORIZATIONS", {
    what: "requests for consent of this principal that wait for a person",
    limit,
    unit: "",
    setting: "NEXUS_MAX_PENDING_AUTHORIZATIONS",
  });
}
