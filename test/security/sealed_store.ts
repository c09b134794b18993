import { join } from "node:path";
import { CredentialVault } from "../../src/domain/connections/credential_vault.js";
import type { SealedRecord } from "../../src/model/credentials/credential.js";
import { newId } from "../../src/model/ids.js";
import { Secret } from "../../src/runtime/secret.js";
import { type Databases, openDatabases } from "../../src/store/lmdb/databases.js";
import { Store, storeFileName } from "../../src/store/store.js";
import { readKeyFile } from "../../src/vault/key_file.js";
import { Vault } from "../../src/vault/vault.js";

/** The store of a daemon that does not run, opened with the key in its folder. */
export async function withStore<T>(
  folder: string,
  work: (store: Store, vault: CredentialVault) => Promise<T>,
): Promise<T> {
  const store = Store.open({ folder, nowMs: 1 });
  const ring = new Vault(readKeyFile(join(folder, "encryption.key")));
  ring.usePrimary(store.keyCheck?.keyId ?? "");
  try {
    return await work(store, new CredentialVault({ vault: ring, databaseId: store.databaseId }));
  } finally {
    await store.close();
  }
}

/** Copies one static connection many times, each with a secret of its own. Answers the secrets by id. */
export async function multiply(folder: string, id: string, count: number): Promise<Map<string, string>> {
  return await withStore(folder, async (store, vault) => {
    const original = store.getConnection(id);
    if (!original) throw new Error("no such connection");
    const secrets = new Map<string, string>();
    await store.commit((tx) => {
      for (let index = 0; index < count; index++) {
        const copy = { ...original, id: newId() };
        const secret = `secret-${index}`;
        tx.putConnection(copy);
        tx.putCredential(copy.id, vault.sealFields(copy, 1n, { api_key: new Secret(secret) }));
        secrets.set(copy.id, secret);
      }
    });
    return secrets;
  });
}

/** How many records name each key, counted one by one. */
export async function keyIdsOf(folder: string): Promise<Map<string, number>> {
  return await withStore(folder, async (store) => {
    const counts = new Map<string, number>();
    for (const kind of ["client_secret", "credential", "authorization", "revocation", "import"] as const) {
      for (const { sealed } of store.walkSealed(kind, undefined, 1_000_000)) {
        if (sealed) counts.set(sealed.keyId, (counts.get(sealed.keyId) ?? 0) + 1);
      }
    }
    return counts;
  });
}

/** The databases as they lie on the disk, for whoever can write to it. */
export async function tamper(folder: string, work: (databases: Databases) => void): Promise<void> {
  const databases = openDatabases(join(folder, storeFileName));
  databases.root.transactionSync(() => {
    work(databases);
  });
  await databases.root.close();
}

/** The bytes with one bit of the sealed part inside them flipped. */
export function flipInside(bytes: Uint8Array, sealed: SealedRecord, bit = 5): Buffer {
  const copy = Buffer.from(bytes);
  const start = copy.indexOf(Buffer.from(sealed.ciphertext));
  if (start < 0) throw new Error("the sealed part is not in the record");
  copy[start + (bit >> 3)] = (copy[start + (bit >> 3)] ?? 0) ^ (1 << (bit & 7));
  return copy;
}
