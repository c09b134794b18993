import { randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import type { AssociatedData } from "../../src/model/credentials/credential.js";
import { DataLoss } from "../../src/model/errors.js";
import { RingError, Vault } from "../../src/vault/vault.js";

const place: AssociatedData = {
  databaseId: "db",
  kind: "credential",
  providerId: "p",
  connectionId: "c",
  revision: 7n,
};

describe("Vault", () => {
  const key = randomBytes(32);
  const vault = new Vault(key);
  const plaintext = Buffer.from("a refresh token");

  it("opens what it sealed, and seals the same text differently each time", () => {
    const one = vault.seal(plaintext, place);
    const two = vault.seal(plaintext, place);
    expect(vault.open(one, place).equals(plaintext)).toBe(true);
    expect(Buffer.from(one.nonce).equals(two.nonce)).toBe(false);
    expect(Buffer.from(one.ciphertext).includes(plaintext)).toBe(false);
    expect(one.keyId).toBe(new Vault(key).keyId);
  });

  it("seals and opens an empty text", () => {
    expect(vault.open(vault.seal(Buffer.alloc(0), place), place).length).toBe(0);
  });

  const moved: [string, AssociatedData][] = [
    ["database", { ...place, databaseId: "db2" }],
    ["kind", { ...place, kind: "client_secret" }],
    ["provider", { ...place, providerId: "p2" }],
    ["connection", { ...place, connectionId: "c2" }],
    ["revision", { ...place, revision: 6n }],
    ["key of the record", { ...place, recordKey: "r" }],
    ["field boundary", { ...place, providerId: "pc", connectionId: "" }],
  ];
  it.each(moved)("does not open a record moved to another %s", (_name, other) => {
    const record = vault.seal(plaintext, place);
    expect(() => vault.open(record, other)).toThrow(DataLoss);
  });

  it("does not open a record with any one bit flipped", () => {
    const record = vault.seal(plaintext, place);
    for (const part of ["nonce", "ciphertext"] as const) {
      for (let bit = 0; bit < record[part].length * 8; bit++) {
        const bytes = Buffer.from(record[part]);
        bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        expect(() => vault.open({ ...record, [part]: bytes }, place)).toThrow(DataLoss);
      }
    }
  });

  it("does not accept a shortened tag", () => {
    const record = vault.seal(plaintext, place);
    for (let bytes = 0; bytes < record.ciphertext.length; bytes++) {
      expect(() =>
        vault.open({ ...record, ciphertext: record.ciphertext.subarray(0, bytes) }, place),
      ).toThrow(DataLoss);
    }
  });

  it("names another key instead of trying it", () => {
    const record = new Vault(randomBytes(32)).seal(plaintext, place);
    expect(() => vault.open(record, place)).toThrow("a key that is not loaded");
  });

  it.each([0, 16, 31, 33])("refuses a key of %i bytes", (bytes) => {
    expect(() => new Vault(randomBytes(bytes))).toThrow(RangeError);
  });

  it("never uses a nonce twice: 192 random bits each", () => {
    const nonces = new Set<string>();
    for (let count = 0; count < 20_000; count++) {
      const { nonce } = vault.seal(plaintext, place);
      expect(nonce.length).toBe(24);
      nonces.add(Buffer.from(nonce).toString("hex"));
    }
    expect(nonces.size).toBe(20_000);
  });

  it("opens what an earlier build sealed: key derivation, place, and tag stay as they are", () => {
    const earlier = new Vault(Buffer.from(Array.from({ length: 32 }, (_, index) => index)));
    const keyId = "0960e0344ef5c6f9";
    expect(earlier.keyId).toBe(keyId);
    const record = {
      keyId,
      layout: 1,
      nonce: Buffer.from("5134974e4d496b278685d492970800f08fbdb43eab7d48da", "hex"),
      ciphertext: Buffer.from("fb6ca6e9e7ae405f6cc50dddc0c0bdde54beb298d8dfaaaf7d8f0e06fbc8be", "hex"),
    };
    expect(earlier.open(record, { ...place, databaseId: "dbé" })).toEqual(plaintext);
    expect(earlier.linkKey(keyId)?.toString("hex")).toBe(
      "74849104ab6174047047d8504f93c174e7fc133a1c18365e65ebb7165bc50502",
    );
    expect(earlier.linkKey("another")).toBeUndefined();
    const longer = Buffer.concat([record.nonce, Buffer.alloc(1)]);
    expect(() => earlier.open({ ...record, nonce: longer }, { ...place, databaseId: "dbé" })).toThrow(
      DataLoss,
    );
  });

  it("opens no other layout than its own", () => {
    const record = vault.seal(plaintext, place);
    for (const layout of [0, 2, 7]) {
      expect(() => vault.open({ ...record, layout }, place)).toThrow(DataLoss);
      expect(vault.isCurrent({ ...record, layout })).toBe(false);
    }
  });

  describe("as a ring", () => {
    const [old, fresh] = [randomBytes(32), randomBytes(32)];
    const idOf = (bytes: Buffer): string => new Vault(bytes).keyId;

    it("seals with the primary, the newest at first, and opens with each", () => {
      const ring = new Vault([old, fresh]);
      expect(ring.keyIds).toEqual([idOf(old), idOf(fresh)]);
      const byFresh = ring.seal(plaintext, place);
      ring.usePrimary(idOf(old));
      const byOld = ring.seal(plaintext, place);
      expect([byFresh.keyId, byOld.keyId]).toEqual([idOf(fresh), idOf(old)]);
      for (const record of [byFresh, byOld]) expect(ring.open(record, place).equals(plaintext)).toBe(true);
      expect([ring.isCurrent(byFresh), ring.isCurrent(byOld)]).toEqual([false, true]);
      // The id is bound too: another key of the ring is not tried.
      expect(() => ring.open({ ...byOld, keyId: idOf(fresh) }, place)).toThrow(DataLoss);
    });

    it("takes another ring only if it has the primary and what is needed, and forgets no primary", () => {
      const ring = new Vault([old, fresh]);
      expect(() => ring.replace([old], [])).toThrow(RingError);
      expect(() => ring.replace([fresh], [idOf(old)])).toThrow(RingError);
      expect(ring.keyIds).toHaveLength(2);
      expect(() => ring.forget(idOf(fresh))).toThrow(RingError);
      ring.replace([fresh], []);
      expect(ring.keyIds).toEqual([idOf(fresh)]);
      expect(() => ring.usePrimary(idOf(old))).toThrow(RingError);
      expect(() => new Vault([])).toThrow(RangeError);
    });

    it("forgets a key that is not the primary, and no other", () => {
      const ring = new Vault([old, fresh]);
      const byOld = new Vault(old).seal(plaintext, place);
      ring.forget(idOf(old));
      expect([ring.has(idOf(old)), ring.has(idOf(fresh)), ring.keyIds]).toEqual([false, true, [idOf(fresh)]]);
      expect(() => ring.open(byOld, place)).toThrow("a key that is not loaded");
    });
  });
});
