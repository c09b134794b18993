import { hash } from "node:crypto";
import type { AuthorizationKey, PendingAuthorization } from "../../model/connections/authorization.js";
import type { Connection } from "../../model/connections/connection.js";
import type { ImportedToken, ImportKey, PendingImport } from "../../model/connections/pending_import.js";
import type { RevokedPlace } from "../../model/connections/revocation.js";
import type {
  AssociatedData,
  Credential,
  SealedCredential,
  SealedRecord,
} from "../../model/credentials/credential.js";
import { DataLoss, unlessDataLoss } from "../../model/errors.js";
import type { ProfileVersion, ProviderProfile } from "../../model/providers/provider_profile.js";
import { Secret } from "../../runtime/secret.js";
import {
  type AuthorizationSecret,
  decodeAuthorizationSecret,
  decodeCredential,
  decodeFields,
  encodeAuthorizationSecret,
  encodeCredential,
  encodeFields,
} from "../../store/records/secret_codec.js";
import type { Vault } from "../../vault/vault.js";

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

/** The only code that seals and opens: a record opens only where it was put. */
export class CredentialVault {
  constructor(private readonly deps: { readonly vault: Vault; readonly databaseId: string }) {}

  sealCredential(connection: Connection, revision: bigint, credential: Credential): SealedCredential {
    const sealed = this.#seal(encodeCredential(credential), credentialPlace(connection, revision));
    return { revision, sealed };
  }

  /** @throws DataLoss when it cannot be opened, or is not the revision that the connection names */
  openCredential(connection: Connection, stored: SealedCredential): Credential {
    return decodeCredential(this.#openStored(connection, stored));
  }

  sealFields(
    connection: Connection,
    revision: bigint,
    fields: Readonly<Record<string, Secret>>,
  ): SealedCredential {
    const sealed = this.#seal(encodeFields(fields), credentialPlace(connection, revision));
    return { revision, sealed };
  }

  /** The fields of a static credential. @throws DataLoss as `openCredential` */
  openFields(connection: Connection, stored: SealedCredential): Record<string, Secret> {
    return decodeFields(this.#openStored(connection, stored));
  }

  /** @param profile its id, and the version that the secret is stored with */
  sealClientSecret(profile: ProfileVersion, secret: Secret): SealedRecord {
    return this.sealToken(clientSecretPlace(profile), secret);
  }

  /** Undefined for a public client. @throws DataLoss */
  openClientSecret(profile: ProviderProfile): Secret | undefined {
    return profile.clientSecret && this.openToken(clientSecretPlace(profile), profile.clientSecret);
  }

  sealAuthorization(stateHash: string, pending: AuthorizationKey, secret: AuthorizationSecret): SealedRecord {
    return this.#seal(encodeAuthorizationSecret(secret), authorizationPlace(stateHash, pending));
  }

  /** @throws DataLoss */
  openAuthorization(stateHash: string, pending: PendingAuthorization): AuthorizationSecret {
    return decodeAuthorizationSecret(this.#open(pending.sealed, authorizationPlace(stateHash, pending)));
  }

  /** Undefined when it cannot be opened. */
  authorizationIfOpens(stateHash: string, pending: PendingAuthorization): AuthorizationSecret | undefined {
    return unlessDataLoss(() => this.openAuthorization(stateHash, pending));
  }

  /** A refresh token alone, or with the key that is proved with it. */
  sealImport(key: string, pending: ImportKey, { refreshToken, dpopKey }: ImportedToken) {
    const place = importPlace(key, pending);
    if (!dpopKey) return { sealed: this.sealToken(place, refreshToken) };
    const accessToken = new Secret("");
    const credential = { accessToken, refreshToken, tokenType: "", idToken: undefined, dpopKey };
    return { sealed: this.#seal(encodeCredential(credential), place), keyed: true };
  }

  /** @throws DataLoss */
  openImport(key: string, pending: PendingImport & { readonly sealed: SealedRecord }): ImportedToken {
    const place = importPlace(key, pending);
    if (pending.keyed !== true) {
      return { refreshToken: this.openToken(place, pending.sealed), dpopKey: undefined };
    }
    const { refreshToken, dpopKey } = decodeCredential(this.#open(pending.sealed, place));
    if (!refreshToken) throw new DataLoss("the sealed import holds no refresh token");
    return { refreshToken, dpopKey };
  }

  /** A single text. */
  sealToken(place: CiphertextBinding, token: Secret): SealedRecord {
    return this.#seal(Buffer.from(token.reveal(), "utf8"), place);
  }

  /** @throws DataLoss */
  openToken(place: CiphertextBinding, sealed: SealedRecord): Secret {
    return new Secret(this.#open(sealed, place).toString("utf8"));
  }

  /** Whether it opens where it lies. */
  opens(place: CiphertextBinding, sealed: SealedRecord): boolean {
    return unlessDataLoss(() => this.#open(sealed, place).fill(0)) !== undefined;
  }

  /** The same, sealed with the primary key and as records are sealed now. @throws DataLoss when it does not open */
  reseal(place: CiphertextBinding, sealed: SealedRecord): SealedRecord {
    const plaintext = this.#open(sealed, place);
    const fresh = this.#seal(plaintext, place);
    plaintext.fill(0);
    return fresh;
  }

  #openStored(connection: Connection, stored: SealedCredential): Buffer {
    const { credentialRevision } = connection;
    if (stored.revision !== credentialRevision)
      throw new DataLoss("the stored credential is not the one that the connection names");
    return this.#open(stored.sealed, credentialPlace(connection, credentialRevision));
  }

  #seal(plaintext: Uint8Array, place: CiphertextBinding): SealedRecord {
    return this.deps.vault.seal(plaintext, { databaseId: this.deps.databaseId, ...place });
  }

  #open(sealed: SealedRecord, place: CiphertextBinding): Buffer {
    return this.deps.vault.open(sealed, { databaseId: this.deps.databaseId, ...place });
  }
}

/** Key of a pending authorization: a reader of the store does not learn a `state` that works. */
export function hashState(state: string): string {
  return hash("sha256", state, "hex");
}
