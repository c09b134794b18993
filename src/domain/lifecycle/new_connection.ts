import type { Connection } from "../../model/connections/connection.js";
import type { ProviderProfile } from "../../model/providers/provider_profile.js";

/** A connection that holds nothing yet. */
export function newConnection(
  id: string,
  userId: string,
  profile: ProviderProfile,
  nowMs: number,
): Connection {
  return {
    id,
    userId,
    providerId: profile.id,
    providerName: profile.name,
    status: "pending",
    credentialRevision: 0n,
    requestedScopes: [],
    grantedScopes: [],
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
