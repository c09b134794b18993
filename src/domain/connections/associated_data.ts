import type { AuthorizationKey } from "../../model/connections/authorization.js";
import type { Connection } from "../../model/connections/connection.js";
import type { ImportKey } from "../../model/connections/pending_import.js";
import type { RevokedPlace } from "../../model/connections/revocation.js";
import type { AssociatedData } from "../../model/credentials/credential.js";
import type { ProfileVersion } from "../../model/providers/provider_profile.js";

/**
 * Where each kind of sealed record lies, bound into it: a record that was moved, or taken from an older copy, does not open. The id of the
 * database is added by the vault.
 */
export type CiphertextBinding = Omit<AssociatedData, "databaseId">;

/** @param revision the one that the connection names, or is about to name */
export function credentialPlace(connection: Connection, revision: bigint): CiphertextBinding {
  return { kind: "credential", providerId: connection.providerId, connectionId: connection.id, revision };
}

/** Each change of the profile makes it a new place. */
export function clientSecretPlace({ id, version }: ProfileVersion): CiphertextBinding {
  return { kind: "client_secret", providerId: id, connectionId: "", revision: version };
}

/** The registration access token of a profile's client: each registration makes it a new place. */
export function registrationPlace(providerId: string, registeredAtMs: number): CiphertextBinding {
  return { kind: "registration", providerId, connectionId: "", revision: BigInt(registeredAtMs) };
}

/** Bound to its end, so that one which was used up is good for no longer than it was anyway. */
export function authorizationPlace(stateHash: string, pending: AuthorizationKey): CiphertextBinding {
  const { connectionId, providerId, expiresAtMs } = pending;
  const revision = BigInt(expiresAtMs);
  return { kind: "authorization", providerId, connectionId, revision, recordKey: stateHash };
}

export function revocationPlace(id: string, place: RevokedPlace): CiphertextBinding {
  const { connectionId, providerId, revision } = place;
  return { kind: "revocation", providerId, connectionId, revision, recordKey: id };
}

export function importPlace(key: string, pending: ImportKey): CiphertextBinding {
  const { connectionId, providerId, startedAtMs } = pending;
  return { kind: "import", providerId, connectionId, revision: BigInt(startedAtMs), recordKey: key };
}

/** Bound to its `kid`, and so to its public half. */
export function clientKeyPlace(kid: string, createdAtMs: number): CiphertextBinding {
  const revision = BigInt(createdAtMs);
  return { kind: "client_key", providerId: "", connectionId: "", revision, recordKey: kid };
}
