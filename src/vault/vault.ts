import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createSecretKey,
  type KeyObject,
  randomBytes,
} from "node:crypto";
import type { AssociatedData, SealedRecord } from "../model/credential.js";
import { DataLoss } from "../model/errors.js";

const algorithm = "aes-256-gcm";
const keyBytes = 32;
const nonceBytes = 12;
const tagBytes = 16;

/**
 * Seals and opens records with AES-256-GCM (NIST SP 800-38D), synchronously.
 *
 * Nonces are 96 random bits, so one key must not seal more than 2^32 records (SP 800-38D section 8.3): at 1000 refreshes a
 * second that is 49 days, at one a second 136 years.
 */
export class Vault {
  readonly keyId: string;
  readonly #key: KeyObject;

  /** @param key 32 bytes; the caller's copy can be wiped afterwards */
  constructor(key: Uint8Array) {
    if (key.length !== keyBytes)
      throw new RangeError(`an encryption key has ${keyBytes} bytes, not ${key.length}`);
    this.#key = createSecretKey(key);
    this.keyId = createHash("sha256").update("nexus key id\0").update(key).digest("hex").slice(0, 16);
  }

  seal(plaintext: Uint8Array, place: AssociatedData): SealedRecord {
    const nonce = randomBytes(nonceBytes);
    const cipher = createCipheriv(algorithm, this.#key, nonce, { authTagLength: tagBytes });
    cipher.setAAD(encodePlace(place, this.keyId));
    const ciphertext = Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
    return { keyId: this.keyId, nonce, ciphertext };
  }

  /** @throws DataLoss when the record was sealed by another key, belongs to another place, or was altered */
  open(record: SealedRecord, place: AssociatedData): Buffer {
    if (record.keyId !== this.keyId)
      throw new DataLoss(`sealed ${place.kind} needs a key that is not loaded`);
    if (record.nonce.length !== nonceBytes || record.ciphertext.length < tagBytes) throw broken(place);
    const decipher = createDecipheriv(algorithm, this.#key, record.nonce, { authTagLength: tagBytes });
    decipher.setAAD(encodePlace(place, record.keyId));
    const end = record.ciphertext.length - tagBytes;
    decipher.setAuthTag(record.ciphertext.subarray(end));
    try {
      return Buffer.concat([decipher.update(record.ciphertext.subarray(0, end)), decipher.final()]);
    } catch {
      throw broken(place);
    }
  }
}

function broken(place: AssociatedData): DataLoss {
  return new DataLoss(`sealed ${place.kind} cannot be opened: it was altered, or belongs elsewhere`);
}

/** An unambiguous encoding: each field behind its length. */
function encodePlace(place: AssociatedData, keyId: string): Buffer {
  const fields = [
    "nexus sealed record v1",
    place.databaseId,
    keyId,
    place.kind,
    place.providerId,
    place.connectionId,
    place.revision.toString(),
  ];
  const parts: Buffer[] = [];
  for (const field of fields) {
    const text = Buffer.from(field, "utf8");
    const length = Buffer.alloc(4);
    length.writeUInt32BE(text.length);
    parts.push(length, text);
  }
  return Buffer.concat(parts);
}
