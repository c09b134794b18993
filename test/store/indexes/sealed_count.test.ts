import { describe, expect, it } from "vitest";
import type { SealedRecord } from "../../../src/model/credentials/credential.js";
import type { Store } from "../../../src/store/store.js";
import { aConnection, aProfile, nowMs, pending, sealed, stateHash } from "../../samples.js";
import { openStore } from "../temporary_store.js";

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
      label: "",
      scopes: [],
      principal: { name: "owner", kind: "owner" as const },
      startedAtMs: nowMs,
      sealed: by("a"),
    };
    await store.commit((tx) => {
      tx.putProvider(aProfile({ id: "p", clientSecret: by("a") }));
      tx.putConnection(aConnection({ id: "c", pendingStateHash: stateHash(1) }));
      tx.putCredential("c", { revision: 1n, sealed: by("a") });
      tx.putAuthorization(stateHash(1), pending("c", { sealed: by("a") }));
      tx.revocations.put(revocation);
      tx.putImport("i", imported);
    });
    expect(countsOf(store)).toEqual({ a: 5 });
    await store.commit((tx) => {
      tx.putCredential("c", { revision: 2n, sealed: by("b") });
      tx.putProvider(aProfile({ id: "p", clientSecret: by("b") }));
      tx.revocations.put({ ...revocation, attempts: 1, sealed: by("b") });
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
      tx.revocations.delete("r");
      tx.putImport("i", { ...imported, sealed: undefined });
    });
    expect(countsOf(store)).toEqual({});
  });
});
