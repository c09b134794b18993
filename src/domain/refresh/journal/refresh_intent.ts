import type { Connection, RefreshIntent } from "../../../model/connections/connection.js";
import type { Credential } from "../../../model/credentials/credential.js";
import { newId } from "../../../model/ids.js";
import { isUnattended } from "../../../model/providers/grant_type.js";
import { deferredUntilMs } from "../../../model/refresh/foreign_intent.js";
import { isRefreshable } from "../../../model/refresh/refresh_policy.js";
import type { Clock } from "../../../runtime/clock.js";
import type { Secret } from "../../../runtime/secret.js";
import { unlessUnreadable } from "../../../store/records/unreadable.js";
import type { Store } from "../../../store/store.js";
import type { CredentialVault } from "../../credentials/credential_vault.js";

/**
 * The journal entry that shows, after a crash, that the outcome is unknown. A key that is proved for the first time is durable with it:
 * a refresh token that comes back may be bound to it.
 *
 * @returns the connection with its mark; undefined when it has moved on
 */
export async function writeIntent(
  { store, vault, clock }: { readonly store: Store; readonly vault: CredentialVault; readonly clock: Clock },
  { connection, earlier }: { readonly connection: Connection; readonly earlier: RefreshIntent | undefined },
  {
    credential,
    dpopKey,
  }: { readonly credential: Credential | undefined; readonly dpopKey: Secret | undefined },
): Promise<Connection | undefined> {
  const refreshIntent: RefreshIntent = {
    ...earlier,
    credentialRevision: connection.credentialRevision,
    startedAtMs: clock.nowMs(),
    sends: (earlier?.sends ?? 0) + 1,
    owner: store.owner,
    attempt: newId(),
  };
  return await store.commit((tx) => {
    const current = tx.getConnection(connection.id);
    if (!isSame(current, connection)) return undefined;
    tx.putUnannounced({ ...current, refreshIntent });
    if (credential && dpopKey && credential.dpopKey !== dpopKey) {
      const keyed = { ...credential, dpopKey };
      tx.putCredential(current.id, vault.sealCredential(current, current.credentialRevision, keyed));
    }
    return { ...connection, refreshIntent };
  });
}

/** Whether the connection is still the one that an attempt was made for, and the attempt its newest. */
export function isSame(current: Connection | undefined, attempted: Connection): current is Connection {
  if (current === undefined || !isRefreshable(current)) return false;
  if (current.refreshIntent?.attempt !== attempted.refreshIntent?.attempt) return false;
  return current.credentialRevision === attempted.credentialRevision;
}

/** Until when another daemon's request is waited for; undefined when nothing is to be waited for. */
export function waitsUntilMs(store: Store, connection: Connection, nowMs: number): number | undefined {
  const { refreshIntent, credentialRevision, providerId } = connection;
  if (refreshIntent?.credentialRevision !== credentialRevision) return undefined;
  const untilMs = deferredUntilMs(refreshIntent, connection, store.owner);
  if (untilMs === undefined || untilMs <= nowMs) return undefined;
  // What is minted uses nothing up; what a profile that cannot be read holds may.
  const profile = unlessUnreadable(() => store.getProvider(providerId));
  return profile && isUnattended(profile) ? undefined : untilMs;
}
