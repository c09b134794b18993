import type { AssociatedData, SealedRecord } from "../model/credentials/credential.js";
import { DataLoss } from "../model/errors.js";
import { encodePlace, layout } from "./place_encoding.js";
import { SealingKey } from "./sealing_key.js";

export { digestOf, matchesDigest } from "./api_key.js";
export { KeyError } from "./key_file.js";
export { KeyRingSource } from "./key_source.js";
export { readSecretFile } from "./secret_file.js";

/** A change of the ring that would leave something without its key. */
export class RingError extends Error {
  override readonly name = "RingError";
}

/**
 * The key ring: opens each record with the key that it names, and seals with one, the primary. Synchronous.
 *
 * Records are sealed with XAES-256-GCM: nonces of 192 random bits, of which 2^80 are safe under one key (`sealing_key.ts`).
 */
export class Vault {
  #keys: ReadonlyMap<string, SealingKey>;
  #primary: SealingKey;

  /** @param keys one key or a ring, 32 bytes each, the newest last: it is the primary until `usePrimary` says otherwise */
  constructor(keys: Uint8Array | readonly Uint8Array[]) {
    const ring = ringOf(keys instanceof Uint8Array ? [keys] : keys);
    const newest = [...ring.values()].at(-1);
    if (!newest) throw new RangeError("a key ring has at least one key");
    this.#keys = ring;
    this.#primary = newest;
  }

  /** Of the primary. */
  get keyId(): string {
    return this.#primary.id;
  }

  /** The newest last. */
  get keyIds(): readonly string[] {
    return [...this.#keys.keys()];
  }

  has(keyId: string): boolean {
    return this.#keys.has(keyId);
  }

  /** What proves to another hub of a fleet that this ring holds a key; undefined where it does not. */
  linkKey(keyId: string): Buffer | undefined {
    return this.#keys.get(keyId)?.linkKey;
  }

  /** Whether a record is as it would be sealed now. */
  isCurrent(record: SealedRecord): boolean {
    return record.keyId === this.#primary.id && record.layout === layout;
  }

  /** @throws RingError when the ring does not hold it */
  usePrimary(keyId: string): void {
    const key = this.#keys.get(keyId);
    if (!key) throw new RingError(`the ring does not hold key ${keyId}`);
    this.#primary = key;
  }

  /**
   * Replaces this ring with another; the primary stays by default.
   *
   * @throws RingError when a key that is needed is not among them; then nothing changes
   */
  replace(keys: readonly Uint8Array[], needed: readonly string[], primary = this.#primary.id): void {
    const ring = ringOf(keys);
    for (const keyId of [primary, ...needed]) {
      if (!ring.has(keyId)) throw new RingError(`records need key ${keyId}, which the source does not give`);
    }
    this.#keys = ring;
    this.usePrimary(primary);
  }

  /** @throws RingError on the primary */
  forget(keyId: string): void {
    if (keyId === this.#primary.id) throw new RingError(`key ${keyId} is the primary`);
    this.#keys = new Map([...this.#keys].filter(([id]) => id !== keyId));
  }

  seal(plaintext: Uint8Array, place: AssociatedData): SealedRecord {
    const { id } = this.#primary;
    const sealed = this.#primary.seal(plaintext, encodePlace(place, id));
    return { keyId: id, layout, ...sealed };
  }

  /** @throws DataLoss when its key is not in the ring, when it belongs to another place, or was altered */
  open(record: SealedRecord, place: AssociatedData): Buffer {
    const key = this.#keys.get(record.keyId);
    if (!key) throw new DataLoss(`sealed ${place.kind} needs a key that is not loaded`);
    const opened = record.layout === layout ? key.open(record, encodePlace(place, record.keyId)) : undefined;
    if (!opened)
      throw new DataLoss(`sealed ${place.kind} cannot be opened: it was altered, or belongs elsewhere`);
    return opened;
  }
}

function ringOf(keys: readonly Uint8Array[]): ReadonlyMap<string, SealingKey> {
  return new Map(keys.map((key) => new SealingKey(key)).map((key) => [key.id, key]));
}
