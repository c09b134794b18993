import {
  type Cipher,
  createCipheriv,
  createDecipheriv,
  createHash,
  createSecretKey,
  hkdfSync,
  type KeyObject,
  randomFillSync,
} from "node:crypto";
import { layout } from "./place_encoding.js";

const blockBytes = 16;
/** What of the nonce derives the key; the rest is the nonce of AES-GCM. */
const derivingBytes = 12;
const extendedNonceBytes = 24;

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

const algorithm = "aes-256-gcm";
const keyBytes = 32;
const tagBytes = 16;

/** A nonce, and the ciphertext followed by the 128-bit tag. */
export interface Ciphertext {
  readonly nonce: Uint8Array;
  readonly ciphertext: Uint8Array;
}

/** Random bytes for nonces, which are no secret: many are drawn at a time, since each draw costs as much as sealing does. */
const drawn = Buffer.allocUnsafeSlow(128 * extendedNonceBytes);
let usedBytes = drawn.length;

function nextNonce(): Buffer {
  if (usedBytes === drawn.length) {
    randomFillSync(drawn);
    usedBytes = 0;
  }
  const from = usedBytes;
  usedBytes += extendedNonceBytes;
  return Buffer.from(drawn.subarray(from, usedBytes));
}

/** One key of the ring. */
export class SealingKey {
  /** Names the key and reveals nothing of it: a digest of 256 random bits. */
  readonly id: string;
  /** 32 bytes that prove to another hub of a fleet that this one holds the key; of no use for what is sealed. */
  readonly linkKey: Buffer;
  readonly #extended: ExtendedNonceKey;

  /** @param key 32 bytes; the caller's copy can be wiped afterwards */
  constructor(key: Uint8Array) {
    if (key.length !== keyBytes)
      throw new RangeError(`an encryption key has ${keyBytes} bytes, not ${key.length}`);
    this.id = keyIdOf(key);
    // A key of its own, so that one key is never used by two algorithms.
    const derived = Buffer.from(hkdfSync("sha256", key, "", `nexus sealed record v${layout}`, keyBytes));
    this.#extended = new ExtendedNonceKey(createSecretKey(derived));
    derived.fill(0);
    this.linkKey = Buffer.from(hkdfSync("sha256", key, "", "nexus fleet link v1", keyBytes));
  }

  seal(plaintext: Uint8Array, associatedData: Buffer): Ciphertext {
    const nonce = nextNonce();
    const derived = this.#extended.derive(nonce);
    const cipher = createCipheriv(algorithm, derived.key, derived.nonce, { authTagLength: tagBytes });
    cipher.setAAD(associatedData);
    const encrypted = cipher.update(plaintext);
    // A stream mode: nothing is left for the end.
    cipher.final();
    return { nonce, ciphertext: Buffer.concat([encrypted, cipher.getAuthTag()]) };
  }

  /** Undefined when it does not open. */
  open(sealed: Ciphertext, associatedData: Buffer): Buffer | undefined {
    if (sealed.nonce.length !== extendedNonceBytes || sealed.ciphertext.length < tagBytes) return undefined;
    const { key, nonce } = this.#extended.derive(sealed.nonce);
    const decipher = createDecipheriv(algorithm, key, nonce, { authTagLength: tagBytes });
    decipher.setAAD(associatedData);
    const end = sealed.ciphertext.length - tagBytes;
    decipher.setAuthTag(sealed.ciphertext.subarray(end));
    try {
      const opened = decipher.update(sealed.ciphertext.subarray(0, end));
      // It throws where the tag is another.
      decipher.final();
      return opened;
    } catch {
      return undefined;
    }
  }
}

/** @param key 32 bytes */
export function keyIdOf(key: Uint8Array): string {
  return createHash("sha256").update("nexus key id\0").update(key).digest("hex").slice(0, 16);
}
