import type { CredentialVault } from "../../domain/connections/connections.js";
import { sealedPages, sealedPlaceOf } from "../../domain/operations/operations.js";
import { type SealedKind, type Store, sealedKinds } from "../../store/store.js";

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
  const records = Object.fromEntries(sealedKinds.map((kind) => [kind, 0])) as Record<SealedKind, number>;
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
