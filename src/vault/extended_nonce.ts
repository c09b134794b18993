import { type Cipher, createCipheriv, type KeyObject } from "node:crypto";

const blockBytes = 16;
/** What of the nonce derives the key; the rest is the nonce of AES-GCM. */
const derivingBytes = 12;
export const extendedNonceBytes = 24;

/**
 * XAES-256-GCM (C2SP, https://c2sp.org/XAES-256-GCM): AES-256-GCM under a key that is derived from the first half of a nonce of
 * 192 bits, by CMAC (NIST SP 800-108r1 section 4.1). Nonces are random: after 2^80 of them under one key the chance that any two are
 * the same is 2^-32, where 96 bits reach that after 2^32. Nothing has to be counted.
 */
export class ExtendedNonceKey {
  /** The raw block cipher. ECB keeps nothing from one block to the next, so that one object serves for all. */
  readonly #cipher: Cipher;
  /** The two blocks of a derivation, but for the nonce: each its counter and the label, xored with subkey K1 of CMAC (NIST SP 800-38B section 6.1). */
  readonly #blocks: Buffer;

  /** @param key AES-256, used for nothing else */
  constructor(key: KeyObject) {
    this.#cipher = createCipheriv("aes-256-ecb", key, null).setAutoPadding(false);
    const subkey = double(this.#encrypt(Buffer.alloc(blockBytes)));
    this.#blocks = Buffer.concat([subkey, subkey]);
    for (const counter of [1, 2]) {
      const start = (counter - 1) * blockBytes;
      this.#blocks[start + 1] = (this.#blocks[start + 1] ?? 0) ^ counter;
      this.#blocks[start + 2] = (this.#blocks[start + 2] ?? 0) ^ 0x58;
    }
  }

  /** The key and the nonce of AES-256-GCM. @param nonce 24 bytes */
  derive(nonce: Uint8Array): { readonly key: Buffer; readonly nonce: Uint8Array } {
    const blocks = Buffer.from(this.#blocks);
    for (let index = 0; index < derivingBytes; index++) {
      const byte = nonce[index] ?? 0;
      blocks[4 + index] = (blocks[4 + index] ?? 0) ^ byte;
      blocks[blockBytes + 4 + index] = (blocks[blockBytes + 4 + index] ?? 0) ^ byte;
    }
    return { key: this.#encrypt(blocks), nonce: nonce.subarray(derivingBytes) };
  }

  /** Each block is the input of one CMAC. @param blocks whole ones */
  #encrypt(blocks: Buffer): Buffer {
    return this.#cipher.update(blocks);
  }
}

/** Doubling in GF(2^128). */
function double(block: Buffer): Buffer {
  const doubled = Buffer.alloc(blockBytes);
  let carry = 0;
  for (let index = blockBytes - 1; index >= 0; index--) {
    const byte = block[index] ?? 0;
    doubled[index] = ((byte << 1) | carry) & 0xff;
    carry = byte >> 7;
  }
  if (carry === 1) doubled[blockBytes - 1] = (doubled[blockBytes - 1] ?? 0) ^ 0x87;
  return doubled;
}
