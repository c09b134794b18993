import {
  authorizationPlace,
  type CredentialVault,
  clientKeyPlace,
  clientSecretPlace,
  credentialPlace,
  importPlace,
  registrationPlace,
  revocationPlace,
} from "../../domain/connections/connections.js";
import { DataLoss } from "../../model/model.js";
import type { SealedKind, Transaction } from "../../store/store.js";

/**
 * Each seals one record again with the primary key, in the transaction that reads it. It is not announced, since nothing changes for callers.
 * Throws DataLoss for what cannot be opened, which stays as it is.
 */
export const resealers: Readonly<
  Record<SealedKind, (tx: Transaction, vault: CredentialVault, key: string) => void>
> = {
  client_secret: (tx, vault, key) => {
    const profile = tx.getProvider(key);
    if (!profile?.clientSecret) return;
    const clientSecret = vault.reseal(clientSecretPlace(profile), profile.clientSecret);
    tx.putProvider({ ...profile, clientSecret });
  },
  registration: (tx, vault, key) => {
    const profile = tx.getProvider(key);
    const { registration } = profile ?? {};
    if (!profile || !registration?.accessToken) return;
    const place = registrationPlace(profile.id, registration.registeredAtMs);
    const accessToken = vault.reseal(place, registration.accessToken);
    tx.putProvider({ ...profile, registration: { ...registration, accessToken } });
  },
  credential: (tx, vault, key) => {
    const stored = tx.getCredential(key);
    if (!stored) return;
    const connection = tx.getConnection(key);
    if (!connection) throw new DataLoss("the credential belongs to no connection");
    const place = credentialPlace(connection, connection.credentialRevision);
    tx.putCredential(key, { ...stored, sealed: vault.reseal(place, stored.sealed) });
  },
  authorization: (tx, vault, key) => {
    const pending = tx.getAuthorization(key);
    if (!pending) return;
    tx.putAuthorization(key, {
      ...pending,
      sealed: vault.reseal(authorizationPlace(key, pending), pending.sealed),
    });
  },
  revocation: (tx, vault, key) => {
    const revocation = tx.revocations.get(key);
    if (!revocation) return;
    tx.revocations.put({
      ...revocation,
      sealed: vault.reseal(revocationPlace(revocation.id, revocation), revocation.sealed),
    });
  },
  import: (tx, vault, key) => {
    const pending = tx.getImport(key);
    if (!pending?.sealed) return;
    tx.putImport(key, { ...pending, sealed: vault.reseal(importPlace(key, pending), pending.sealed) });
  },
  client_key: (tx, vault, key) => {
    const clientKey = tx.clientKeys.get(key);
    if (!clientKey) return;
    const place = clientKeyPlace(clientKey.kid, clientKey.createdAtMs);
    tx.clientKeys.put({ ...clientKey, sealed: vault.reseal(place, clientKey.sealed) });
  },
};
