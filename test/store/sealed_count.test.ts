import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { SealedRecord } from "../../src/model/credential.js";
import { openDatabases } from "../../src/store/databases.js";
import { Store, storeFileName } from "../../src/store/store.js";
import { readStoreRecord, writeStoreRecord } from "../../src/store/store_record.js";
import { temporaryFolder } from "../temporary_folder.js";
import { connection, nowMs, pending, provider, sealed, stateHash } from "./samples.js";
import { openStore } from "./temporary_store.js";

const by = (keyId: string): SealedRecord => ({ ...sealed("x"), keyId });
const countsOf = (store: Store): Record<string, number> =>
  Object.fromEntries([...store.sealedCounts()].map(([keyId, count]) => [keyId, Number(count)]));

describe("how many records need each key", () => {
  it("is kept in the commit that changes it, for every kind", async () => {
    const store = openStore();
    const revocation = {
      id: "r",
      connectionId: "c",
      providerId: "p",
      revision: 1n,
      tokenTypeHint: "refresh_token" as const,
      attempts: 0,
      createdAtMs: nowMs,
      nextAttemptMs: nowMs,
      sealed: by("a"),
    };
    const imported = {
      connectionId: "c",
      providerId: "p",
      userId: "u",
      scopes: [],
      principal: { name: "owner", kind: "owner" as const },
      startedAtMs: nowMs,
      sealed: by("a"),
    };
    await store.commit((tx) => {
      tx.putProvider(provider("p", { clientSecret: by("a") }));
      tx.putConnection(connection("c", { pendingStateHash: stateHash(1) }));
      tx.putCredential("c", { revision: 1n, sealed: by("a") });
      tx.putAuthorization(stateHash(1), pending("c", { sealed: by("a") }));
      tx.putRevocation(revocation);
      tx.putImport("i", imported);
    });
    expect(countsOf(store)).toEqual({ a: 5 });
    await store.commit((tx) => {
      tx.putCredential("c", { revision: 2n, sealed: by("b") });
      tx.putProvider(provider("p", { clientSecret: by("b") }));
      tx.putRevocation({ ...revocation, attempts: 1, sealed: by("b") });
      tx.putImport("i", { ...imported, sealed: by("b") });
    });
    expect(countsOf(store)).toEqual({ a: 1, b: 4 });
    await expect(
      store.commit((tx) => {
        tx.deleteCredential("c");
        throw new Error("no");
      }),
    ).rejects.toThrow("no");
    expect(countsOf(store)).toEqual({ a: 1, b: 4 });
    await store.commit((tx) => {
      tx.deleteConnection("c");
      tx.deleteProvider("p");
      tx.deleteRevocation("r");
      tx.putImport("i", { ...imported, sealed: undefined });
    });
    expect(countsOf(store)).toEqual({});
  });

  it("is counted once in a store of the first release, without what names another key than its one", async () => {
    const folder = temporaryFolder();
    const first = Store.open({ folder, nowMs });
    await first.commit((tx) => {
      tx.setKeyCheck(by("a"));
      for (const id of ["1", "2", "3"]) tx.putCredential(id, { revision: 1n, sealed: by("a") });
      tx.putCredential("4", { revision: 1n, sealed: by("bit flipped") });
    });
    await first.close();
    const databases = openDatabases(join(folder, storeFileName));
    databases.meta.transactionSync(() => {
      for (const key of [...databases.numbers.getKeys({})]) databases.numbers.removeSync(key);
      const record = readStoreRecord(databases);
      if (record) writeStoreRecord(databases, { ...record, schemaVersion: 1 });
    });
    await databases.root.close();
    const store = openStore(folder);
    expect(countsOf(store)).toEqual({ a: 3 });
    const again = openDatabases(join(folder, storeFileName));
    expect(readStoreRecord(again)?.schemaVersion).toBe(2);
    await again.root.close();
    await store.commit((tx) => tx.deleteCredential("4"));
    expect(countsOf(store)).toEqual({ a: 3 });
  });
});
