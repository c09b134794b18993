import { DataLoss } from "../../model/errors.js";
import { type SealedKind, sealedKinds } from "../../store/indexes/sealed_walk.js";
import type { Store } from "../../store/store.js";
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
