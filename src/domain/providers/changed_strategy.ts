import { isDeepStrictEqual } from "node:util";
import type { ProviderProfile } from "../../model/providers/provider_profile.js";
import type { Transaction } from "../../store/transaction.js";
import { changeConnection } from "../connections/state/connection_change.js";

/**
 * How a credential is applied is the profile's to say: where an edit says it again, each connection that holds a credential changes with
 * it, in the commit of the edit, so that watchers and proxies learn of it, those too that are away at this moment.
 */
export function followStrategy(tx: Transaction, before: ProviderProfile, after: ProviderProfile): void {
  const { strategy, updatedAtMs: nowMs } = after;
  if (isDeepStrictEqual(before.strategy, strategy)) return;
  for (const connection of tx.connectionsOf(after.id)) {
    if (connection.credentialRevision === 0n || connection.status === "revoked") continue;
    tx.putConnection(changeConnection(connection, { strategy }, nowMs));
  }
}
