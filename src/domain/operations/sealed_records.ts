import { DataLoss } from "../../model/errors.js";
import { type SealedKind, sealedKinds } from "../../store/indexes/sealed_walk.js";
import type { Store } from "../../store/store.js";
import type { Transaction } from "../../store/transaction.js";
import {
  authorizationPlace,
  type CiphertextBinding,
  clientKeyPlace,
  clientSecretPlace,
  credentialPlace,
  importPlace,
  registrationPlace,
  revocationPlace,
} from "../credentials/associated_data.js";
import type { CredentialVault } from "../credentials/credential_vault.js";

/** Records looked at, or sealed again in one commit: some milliseconds, so that other callers are not held up. */
const stretch = 64;

/** The place that a record says it lies at; undefined when it, or what it belongs to, is gone or cannot be read. */
export function sealedPlaceOf(reads: Store, kind: SealedKind, key: string): CiphertextBinding | undefined {
  try {
    return placeOf(reads, kind, key);
  } catch (error) {
    if (error instanceof DataLoss) return undefined;
    throw error;
  }
}

function placeOf(reads: Store, kind: SealedKind, key: string): CiphertextBinding | undefined {
  switch (kind) {
    case "client_secret": {
      const profile = reads.getProvider(key);
      return profile && clientSecretPlace(profile);
    }
    case "registration": {
      const profile = reads.getProvider(key);
      return profile?.registration && registrationPlace(profile, profile.registration);
    }
    case "credential": {
      const connection = reads.getConnection(key);
      return connection && credentialPlace(connection, connection.credentialRevision);
    }
    case "authorization": {
      const pending = reads.getAuthorization(key);
      return pending && authorizationPlace(key, pending);
    }
    case "revocation": {
      const revocation = reads.revocations.get(key);
      return revocation && revocationPlace(revocation);
    }
    case "import": {
      const pending = reads.getImport(key);
      return pending && importPlace(key, pending);
    }
    case "client_key": {
      const clientKey = reads.clientKeys.get(key);
      return clientKey && clientKeyPlace(clientKey);
    }
  }
}

/**
 * Seals one record again with the primary key, in the transaction that reads it; it is not announced, since nothing changes for callers.
 *
 * @throws DataLoss when it cannot be opened; it stays what it is
 */
export function resealRecord(tx: Transaction, vault: CredentialVault, kind: SealedKind, key: string): void {
  resealers[kind](tx, vault, key);
}

const resealers: Readonly<
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
    const place = registrationPlace(profile, registration);
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
      sealed: vault.reseal(revocationPlace(revocation), revocation.sealed),
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
    tx.clientKeys.put({ ...clientKey, sealed: vault.reseal(clientKeyPlace(clientKey), clientKey.sealed) });
  },
};

/** A page of one kind, for work in small steps. */
export interface SealedPage {
  readonly kind: SealedKind;
  readonly entries: ReturnType<Store["walkSealed"]>;
}

/** Every record that may hold something sealed, page by page; between pages others run. */
export async function* sealedPages(store: Store, signal?: AbortSignal): AsyncGenerator<SealedPage> {
  for (const kind of sealedKinds) {
    let after: string | undefined;
    for (;;) {
      const entries = store.walkSealed(kind, after, stretch);
      if (entries.length > 0) yield { kind, entries };
      after = entries.at(-1)?.key;
      if (entries.length < stretch) break;
      await new Promise((resolve) => setImmediate(resolve));
      signal?.throwIfAborted();
    }
  }
}

/** What opening every record found. */
export interface SealedVerdict {
  /** Records that open, by kind. */
  readonly records: Readonly<Record<SealedKind, number>>;
  /** Those that do not, by kind and key. */
  readonly unreadable: readonly { readonly kind: SealedKind; readonly key: string }[];
  /** Provider profiles, with a client secret or without. */
  readonly profiles: number;
}

/** Opens every sealed record. @throws the reason of `signal` when it aborts */
export async function verifySealed(
  store: Store,
  vault: CredentialVault,
  signal?: AbortSignal,
): Promise<SealedVerdict> {
  const records = {
    client_secret: 0,
    registration: 0,
    credential: 0,
    authorization: 0,
    revocation: 0,
    import: 0,
    client_key: 0,
  };
  const unreadable: { kind: SealedKind; key: string }[] = [];
  let profiles = 0;
  for await (const { kind, entries } of sealedPages(store, signal)) {
    if (kind === "client_secret") profiles += entries.length;
    for (const { key, sealed, isReadable } of entries) {
      if (isReadable && !sealed) continue;
      const place = sealed && sealedPlaceOf(store, kind, key);
      if (place && vault.opens(place, sealed)) records[kind]++;
      else unreadable.push({ kind, key });
    }
  }
  return { records, unreadable, profiles };
}
