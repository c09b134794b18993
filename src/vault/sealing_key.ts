import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createSecretKey,
  hkdfSync,
  randomFillSync,
} from "node:crypto";
import { ExtendedNonceKey, extendedNonceBytes } from "./extended_nonce.js";
import { layout } from "./place_encoding.js";

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
  /** Names the key and tells nothing of it: a digest of 256 random bits. */
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
