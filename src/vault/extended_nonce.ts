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
  /** Subkey K1 of CMAC (NIST SP 800-38B section 6.1). */
  readonly #subkey: Buffer;

  /** @param key AES-256, used for nothing else */
  constructor(key: KeyObject) {
    this.#cipher = createCipheriv("aes-256-ecb", key, null).setAutoPadding(false);
    this.#subkey = double(this.#encrypt(Buffer.alloc(blockBytes)));
  }

  /** The key and the nonce of AES-256-GCM. @param nonce 24 bytes */
  derive(nonce: Uint8Array): { readonly key: Buffer; readonly nonce: Uint8Array } {
    const blocks = Buffer.alloc(2 * blockBytes);
    for (const counter of [1, 2]) {
      const start = (counter - 1) * blockBytes;
      blocks[start + 1] = counter;
      blocks[start + 2] = 0x58;
      blocks.set(nonce.subarray(0, derivingBytes), start + 4);
      for (let index = 0; index < blockBytes; index++) {
        blocks[start + index] = (blocks[start + index] ?? 0) ^ (this.#subkey[index] ?? 0);
      }
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
