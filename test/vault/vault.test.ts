import { randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import type { AssociatedData } from "../../src/model/credential.js";
import { DataLoss } from "../../src/model/errors.js";
import { Vault } from "../../src/vault/vault.js";

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
});
