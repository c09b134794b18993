import type { AssociatedData } from "../model/credential.js";
import { DataLoss } from "../model/errors.js";
import type { Store } from "../store/store.js";
import { KeyFault } from "../vault/key_file.js";
import type { Vault } from "../vault/vault.js";

const knownText = "nexus key check";

/**
 * Tells a right key from a wrong one before anything is served; the first key that a new store meets is its key.
 *
 * @throws KeyFault
 */
export async function openKeyCheck(
  store: Pick<Store, "databaseId" | "keyCheck" | "commit">,
  vault: Vault,
): Promise<void> {
  const place: AssociatedData = {
    databaseId: store.databaseId,
    kind: "key_check",
    providerId: "",
    connectionId: "",
    revision: 0n,
  };
  const check = store.keyCheck;
  if (!check) {
    const sealed = vault.seal(Buffer.from(knownText), place);
    await store.commit((tx) => tx.setKeyCheck(sealed));
    return;
  }
  try {
    vault.open(check, place);
  } catch (error) {
    if (!(error instanceof DataLoss)) throw error;
    throw new KeyFault(
      `the encryption key is not the one that sealed this store (the store wants key ${check.keyId}, this is key ${vault.keyId})`,
    );
  }
}
