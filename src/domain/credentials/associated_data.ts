import type { ClientKey } from "../../model/clients/client_key.js";
import type { PendingAuthorization } from "../../model/connections/authorization.js";
import type { Connection } from "../../model/connections/connection.js";
import type { PendingImport } from "../../model/connections/pending_import.js";
import type { PendingRevocation } from "../../model/connections/revocation.js";
import type { ClientRegistration } from "../../model/credentials/client_registration.js";
import type { AssociatedData } from "../../model/credentials/credential.js";
import type { ProviderProfile } from "../../model/providers/provider_profile.js";

/**
 * Where each kind of sealed record lies, bound into it: a record that was moved, or taken from an older copy, does not open. The id of the
 * database is added by the vault.
 */
export type CiphertextBinding = Omit<AssociatedData, "databaseId">;

/** What of a record its place is made of. */
export type ProfileVersion = Pick<ProviderProfile, "id" | "version">;
export type AuthorizationKey = Pick<PendingAuthorization, "connectionId" | "providerId" | "expiresAtMs">;
export type ImportKey = Pick<PendingImport, "connectionId" | "providerId" | "startedAtMs">;

/** @param revision the one that the connection names, or is about to name */
export function credentialPlace(connection: Connection, revision: bigint): CiphertextBinding {
  return { kind: "credential", providerId: connection.providerId, connectionId: connection.id, revision };
}

/** Each change of the profile makes it a new place. */
export function clientSecretPlace({ id, version }: ProfileVersion): CiphertextBinding {
  return { kind: "client_secret", providerId: id, connectionId: "", revision: version };
}

/** The registration access token of a profile's client: each registration makes it a new place. */
export function registrationPlace(
  { id }: Pick<ProviderProfile, "id">,
  { registeredAtMs }: Pick<ClientRegistration, "registeredAtMs">,
): CiphertextBinding {
  return { kind: "registration", providerId: id, connectionId: "", revision: BigInt(registeredAtMs) };
}

/** Bound to its end, so that one which was used up is good for no longer than it was anyway. */
export function authorizationPlace(stateHash: string, pending: AuthorizationKey): CiphertextBinding {
  const { connectionId, providerId, expiresAtMs } = pending;
  const revision = BigInt(expiresAtMs);
  return { kind: "authorization", providerId, connectionId, revision, recordKey: stateHash };
}

export function revocationPlace(
  revocation: Pick<PendingRevocation, "id" | "connectionId" | "providerId" | "revision">,
): CiphertextBinding {
  const { id, connectionId, providerId, revision } = revocation;
  return { kind: "revocation", providerId, connectionId, revision, recordKey: id };
}

export function importPlace(key: string, pending: ImportKey): CiphertextBinding {
  const { connectionId, providerId, startedAtMs } = pending;
  return { kind: "import", providerId, connectionId, revision: BigInt(startedAtMs), recordKey: key };
}

/** Bound to its `kid`, and so to its public half. */
export function clientKeyPlace({
  kid,
  createdAtMs,
}: Pick<ClientKey, "kid" | "createdAtMs">): CiphertextBinding {
  const revision = BigInt(createdAtMs);
  return { kind: "client_key", providerId: "", connectionId: "", revision, recordKey: kid };
}
