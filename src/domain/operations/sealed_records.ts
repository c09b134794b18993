import { unlessDataLoss } from "../../model/errors.js";
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
} from "../connections/connections.js";

/** Records looked at, or sealed again in one commit: some milliseconds, so that other callers are not held up. */
const stretch = 64;

/** The place that a record says it lies at; undefined when it, or what it belongs to, is gone or cannot be read. */
export function sealedPlaceOf(reads: Store, kind: SealedKind, key: string): CiphertextBinding | undefined {
  return unlessDataLoss(() => placeOf(reads, kind, key));
}

function placeOf(reads: Store, kind: SealedKind, key: string): CiphertextBinding | undefined {
  switch (kind) {
    case "client_secret": {
      const profile = reads.getProvider(key);
      return profile && clientSecretPlace(profile);
    }
    case "registration": {
      const profile = reads.getProvider(key);
      return profile?.registration && registrationPlace(profile.id, profile.registration.registeredAtMs);
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
      return revocation && revocationPlace(revocation.id, revocation);
    }
    case "import": {
      const pending = reads.getImport(key);
      return pending && importPlace(key, pending);
    }
    case "client_key": {
      const clientKey = reads.clientKeys.get(key);
      return clientKey && clientKeyPlace(clientKey.kid, clientKey.createdAtMs);
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
