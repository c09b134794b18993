import type { AssociatedData, SealedRecord } from "../../model/credentials/credential.js";
import { unlessDataLoss } from "../../model/errors.js";
import type { SealedCounts } from "../../store/indexes/sealed_count.js";
import { sealedKinds } from "../../store/indexes/sealed_walk.js";
import { StoreDamaged } from "../../store/lmdb/store_error.js";
import type { Store } from "../../store/store.js";
import { KeyError } from "../../vault/key_file.js";
import type { Vault } from "../../vault/vault.js";
import { CredentialVault } from "../connections/connections.js";
import { sealedPlaceOf } from "./sealed_records.js";

const knownText = "nexus key check";
/** Records of each kind that are tried before the store is called damaged. */
const sampleSize = 32;

/** The known text, sealed with the primary key. */
export function sealKeyCheck(databaseId: string, vault: Vault): SealedRecord {
  return vault.seal(Buffer.from(knownText), placeOf(databaseId));
}

/**
 * Distinguishes a right key from a wrong one before anything is served, and learns which key of the ring is the primary. In a new store
 * that is the newest key. A check that was damaged is written again, once a record proves the key.
 *
 * @throws KeyError when a key is missing that the check or a record needs
 * @throws StoreDamaged when the right key opens nothing
 */
export async function openKeyCheck(store: Store, vault: Vault): Promise<void> {
  const check = store.keyCheck;
  if (!check) return await writeKeyCheck(store, vault);
  const counts = store.sealedCounts();
  vault.usePrimary(primaryOf(check.keyId, counts, vault));
  if (!opensCheck(store, vault, check)) {
    refuseUnlessProven(store, vault);
    await writeKeyCheck(store, vault);
  }
  for (const [keyId, records] of counts) {
    if (vault.has(keyId)) continue;
    throw new KeyError(
      `the key ring lacks key ${keyId}, which ${records} records of this store need: put it back; \`nexusd keyring\` shows when a key can go`,
    );
  }
}

/**
 * The same of a replica, which writes nothing: it serves what it can open, and learns the primary from the one who leads.
 *
 * @throws KeyError when the ring holds no key of the store at all
 */
export function adoptPrimary(store: Store, vault: Vault): void {
  const wanted = store.keyCheck?.keyId;
  if (wanted === undefined) return;
  const counts = store.sealedCounts();
  const used = vault.keyIds.filter((keyId) => (counts.get(keyId) ?? 0n) > 0n).at(-1);
  vault.usePrimary(vault.has(wanted) || used === undefined ? primaryOf(wanted, counts, vault) : used);
}

/** Keys that records of the store need, or its key check, and the ring lacks. */
export function lackedKeys(store: Store, vault: Vault): readonly string[] {
  const wanted = store.keyCheck?.keyId;
  const needed = new Set([...store.sealedCounts().keys(), ...(wanted === undefined ? [] : [wanted])]);
  return [...needed].filter((keyId) => !vault.has(keyId));
}

function primaryOf(wanted: string, counts: SealedCounts, vault: Vault): string {
  if (vault.has(wanted)) return wanted;
  // A check that names a key of no record beside records of a key at hand was damaged.
  const used = vault.keyIds.filter((keyId) => (counts.get(keyId) ?? 0n) > 0n).at(-1);
  if (used !== undefined && !counts.has(wanted)) return used;
  const given = vault.keyIds.join(", ");
  throw new KeyError(
    `the encryption key is not the one that sealed this store (the store wants key ${wanted}, the ring holds ${given})`,
  );
}

function opensCheck(store: Store, vault: Vault, check: SealedRecord): boolean {
  return unlessDataLoss(() => vault.open(check, placeOf(store.databaseId)).toString("utf8")) === knownText;
}

/** Either the check alone is damaged, or what all records are bound to: then they must not be taken for lost one by one. */
function refuseUnlessProven(store: Store, sealer: Vault): void {
  const vault = new CredentialVault({ vault: sealer, databaseId: store.databaseId });
  let tried = 0;
  for (const kind of sealedKinds) {
    for (const { key, sealed } of store.walkSealed(kind, undefined, sampleSize)) {
      const place = sealed && sealedPlaceOf(store, kind, key);
      if (!place) continue;
      if (vault.opens(place, sealed)) return;
      tried++;
    }
  }
  if (tried === 0) return;
  throw new StoreDamaged(
    "the store is damaged: the right key opens neither its key check nor any of its records: restore a backup",
  );
}

async function writeKeyCheck(store: Store, vault: Vault): Promise<void> {
  const sealed = sealKeyCheck(store.databaseId, vault);
  await store.commit((tx) => tx.setKeyCheck(sealed));
}

function placeOf(databaseId: string): AssociatedData {
  return { databaseId, kind: "key_check", providerId: "", connectionId: "", revision: 0n };
}
