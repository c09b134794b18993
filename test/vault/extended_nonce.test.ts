import { createCipheriv, createSecretKey } from "node:crypto";
import { describe, expect, it } from "vitest";
import { ExtendedNonceKey } from "../../src/vault/sealing_key.js";

/** Test vectors of https://c2sp.org/XAES-256-GCM. */
describe("XAES-256-GCM", () => {
  const nonce = Buffer.from("ABCDEFGHIJKLMNOPQRSTUVWX");
  it.each([
    {
      keyByte: 1,
      associatedData: "",
      derived: "c8612c9ed53fe43e8e005b828a1631a0bbcb6ab2f46514ec4f439fcfd0fa969b",
      sealed: "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271",
    },
    {
      keyByte: 3,
      associatedData: "c2sp.org/XAES-256-GCM",
      derived: "e9c621d4cdd9b11b00a6427ad7e559aeedd66b3857646677748f8ca796cb3fd8",
      sealed: "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d",
    },
  ])("agrees with the vector of key $keyByte", ({ keyByte, associatedData, derived, sealed }) => {
    const key = new ExtendedNonceKey(createSecretKey(Buffer.alloc(32, keyByte)));
    const inner = key.derive(nonce);
    expect(inner.key.toString("hex")).toBe(derived);
    expect(Buffer.from(inner.nonce).toString()).toBe("MNOPQRSTUVWX");
    const cipher = createCipheriv("aes-256-gcm", inner.key, inner.nonce, { authTagLength: 16 });
    cipher.setAAD(Buffer.from(associatedData));
    const output = [cipher.update("XAES-256-GCM"), cipher.final(), cipher.getAuthTag()];
    expect(Buffer.concat(output).toString("hex")).toBe(sealed);
  });

  it("derives another key from a nonce that differs in any byte of its first half", () => {
    const key = new ExtendedNonceKey(createSecretKey(Buffer.alloc(32, 1)));
    const seen = new Set([key.derive(nonce).key.toString("hex")]);
    for (let byte = 0; byte < 12; byte++) {
      const other = Buffer.from(nonce);
      other[byte] = (other[byte] ?? 0) ^ 1;
      seen.add(key.derive(other).key.toString("hex"));
    }
    expect(seen.size).toBe(13);
  });
});
