import { about, by } from "../../model/access/audit_event.js";
import type { Principal } from "../../model/access/principal.js";
import type { Connection } from "../../model/connections/connection.js";
import { grantBinding } from "../../model/connections/grant_binding.js";
import { isUnattended } from "../../model/providers/grant_type.js";
import type { ProviderProfile } from "../../model/providers/provider_profile.js";
import { isRefreshable } from "../../model/refresh/refresh_policy.js";
import type { Transaction } from "../../store/transaction.js";
import { attention, type ConnectionChange, changeConnection } from "./connection_change.js";

/**
 * Detaches the connections of a profile from their grants if an edit would send these to another server or client, in the commit of the edit. They wait for
 * consent under the same id, because what they hold was given to another client, issuer or token endpoint. Even a valid access token must
 * not follow a profile that now leads agents to another API. If the profile is set back, the connections that wait only for that become
 * active again.
 *
 * @returns how many connections wait for consent from now on
 */
export function moveGrants(
  tx: Transaction,
  before: ProviderProfile,
  after: ProviderProfile,
  principal: Principal,
): number {
  const [from, to] = [grantBinding(before), grantBinding(after)];
  if (before.authType !== "oauth2" || from === to) return 0;
  const nowMs = after.updatedAtMs;
  let moved = 0;
  const mintsAnew = isUnattended(after);
  // Then nobody changed the profile, and nobody can set it back.
  const isOwnClient = after.registration !== undefined && after.clientId !== before.clientId;
  const detail = isOwnClient ? ownClientWords : undefined;
  for (const connection of tx.connectionsOf(after.id)) {
    const isLive = connection.status === "active" || isRefreshable(connection);
    if (!isLive && connection.problem?.movedFrom !== to) continue;
    const change = isLive
      ? movedGrant(after, connection, from, nowMs, detail)
      : returnedGrant(connection, nowMs);
    tx.putConnection(changeConnection(connection, change, nowMs));
    const type = isLive ? "grant_detached" : "grant_returned";
    tx.appendAudit({ timeMs: nowMs, type, ...by(principal), ...about(connection) });
    if (isLive && !mintsAnew) moved++;
  }
  return moved;
}

/**
 * The change of a connection whose profile moved to another server or client. A refresh that is under way keeps its mark. Where no person is needed its
 * token ends, and another is due at once.
 *
 * @param detail what the problem says beside that
 */
export function movedGrant(
  profile: ProviderProfile,
  connection: Connection,
  movedFrom: string,
  nowMs: number,
  detail?: string,
): ConnectionChange {
  if (isUnattended(profile)) {
    return {
      status: "active",
      problem: undefined,
      failedRefreshes: 0,
      expiresAtMs: nowMs,
      refreshNotBeforeMs: nowMs,
    };
  }
  return {
    ...attention(connection, "reauth_required", nowMs),
    problem: { reason: "reauth_required", sinceMs: nowMs, retryAtMs: undefined, movedFrom, detail },
    refreshIntent: connection.refreshIntent,
  };
}

const ownClientWords =
  "nexusd registered this client by itself, because the server no longer knew the one before or is another one: the user must consent again";

function returnedGrant(connection: Connection, nowMs: number): ConnectionChange {
  return {
    status: "active",
    problem: undefined,
    failedRefreshes: 0,
    refreshNotBeforeMs: connection.refreshable ? nowMs : undefined,
  };
}

/** Whether a connection is the one that an attempt was made for, parted from its grant meanwhile: the attempt's answer is still its own. */
export function isDetached(current: Connection | undefined, attempted: Connection): current is Connection {
  return (
    current?.status === "attention" &&
    current.problem?.movedFrom !== undefined &&
    current.credentialRevision === attempted.credentialRevision
  );
}
