import { describe, expect, it } from "vitest";
import { CredentialVault, clientSecretPlace } from "../../../src/domain/connections/credential_vault.js";
import {
  adoptPrimary,
  lackedKeys,
  openKeyCheck,
  sealKeyCheck,
} from "../../../src/domain/operations/key_check.js";
import { Secret } from "../../../src/runtime/secret.js";
import { StoreDamaged } from "../../../src/store/lmdb/store_error.js";
import { KeyError } from "../../../src/vault/key_file.js";
import { Vault } from "../../../src/vault/vault.js";
import { aProfile } from "../../samples.js";
import { openStore } from "../../store/temporary_store.js";

const [one, two, three] = [1, 2, 3].map((byte) => Buffer.alloc(32, byte)) as [Buffer, Buffer, Buffer];
const idOf = (key: Buffer): string => new Vault(key).keyId;

async function sealedBy(key: Buffer) {
  const store = openStore();
  const ring = new Vault(key);
  await openKeyCheck(store, ring);
  const vault = new CredentialVault({ vault: ring, databaseId: store.databaseId });
  const clientSecret = vault.sealToken(clientSecretPlace({ id: "p", version: 1n }), new Secret("s"));
  await store.commit((tx) => tx.putProvider(aProfile({ id: "p", clientSecret })));
  return store;
}

describe("adoptPrimary", () => {
  it("takes what the ring of a replica has, and names what it lacks", async () => {
    const store = await sealedBy(one);
    await openKeyCheck(store, new Vault([one, two]));
    await store.commit((tx) => {
      tx.setKeyCheck(sealKeyCheck(store.databaseId, new Vault(two)));
      tx.setSealedCount(idOf(three), 4n);
    });
    const whole = new Vault([one, three, two]);
    adoptPrimary(store, whole);
    expect([whole.keyId, lackedKeys(store, whole)]).toEqual([idOf(two), []]);
    const part = new Vault([one]);
    adoptPrimary(store, part);
    expect(part.keyId).toBe(idOf(one));
    expect([...lackedKeys(store, part)].sort()).toEqual([idOf(two), idOf(three)].sort());
  });

  it("refuses a ring that holds no key of the store", async () => {
    const store = await sealedBy(one);
    expect(() => adoptPrimary(store, new Vault(two))).toThrow(KeyError);
  });
});

describe("openKeyCheck", () => {
  it("takes the newest key of the ring for a new store, and the key of the check for another", async () => {
    const store = openStore();
    await openKeyCheck(store, new Vault([one, two]));
    expect(store.keyCheck?.keyId).toBe(idOf(two));
    const later = new Vault([two, three]);
    await openKeyCheck(store, later);
    expect(later.keyId).toBe(idOf(two));
  });

  it("refuses a ring without the key of the check, or without one that records need", async () => {
    const store = await sealedBy(one);
    await expect(openKeyCheck(store, new Vault([two]))).rejects.toThrow(KeyError);
    await expect(openKeyCheck(store, new Vault([two]))).rejects.toThrow(
      `the store wants key ${idOf(one)}, the ring holds ${idOf(two)}`,
    );
    await store.commit((tx) => tx.setSealedCount(idOf(three), 4n));
    await expect(openKeyCheck(store, new Vault([one]))).rejects.toThrow(
      `lacks key ${idOf(three)}, which 4 records of this store need`,
    );
    await openKeyCheck(store, new Vault([three, one]));
  });

  it.each(["keyId", "nonce", "ciphertext"] as const)("fixes a check whose %s was damaged", async (part) => {
    const store = await sealedBy(one);
    const check = store.keyCheck;
    if (!check) throw new Error("no check");
    const damaged =
      part === "keyId"
        ? { ...check, keyId: "feedfeedfeedfeed" }
        : { ...check, [part]: Buffer.from(check[part]).fill(0) };
    await store.commit((tx) => tx.setKeyCheck(damaged));
    const ring = new Vault([one, two]);
    await openKeyCheck(store, ring);
    expect(ring.keyId).toBe(idOf(one));
    expect(store.keyCheck).toMatchObject({ keyId: idOf(one) });
    await openKeyCheck(store, new Vault(one));
  });

  it("does not take a store for good whose records its right key does not open", async () => {
    const store = await sealedBy(one);
    const check = store.keyCheck;
    if (!check) throw new Error("no check");
    await store.commit((tx) => {
      tx.setKeyCheck({ ...check, ciphertext: Buffer.from(check.ciphertext).fill(0) });
      const profile = tx.getProvider("p");
      if (profile) tx.putProvider({ ...profile, version: 2n });
    });
    await expect(openKeyCheck(store, new Vault(one))).rejects.toThrow(StoreDamaged);
  });
});
