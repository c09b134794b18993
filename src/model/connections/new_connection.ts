import type { ProviderProfile } from "../providers/provider_profile.js";
import type { Connection } from "./connection.js";
import type { UserAccount } from "./connection_name.js";

/** A connection that holds nothing yet. */
export function newConnection(
  id: string,
  { userId, label }: UserAccount,
  profile: Pick<ProviderProfile, "id" | "name" | "strategy">,
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
