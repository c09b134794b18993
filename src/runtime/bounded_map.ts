/** A map of at most `limit` entries: the one used longest ago makes room for a new one. */
export class BoundedMap<K, V> {
  readonly #entries = new Map<K, V>();

  /** @param limit at least 1 */
  constructor(private readonly limit: number) {}

  get size(): number {
    return this.#entries.size;
  }

  get(key: K): V | undefined {
    const value = this.#entries.get(key);
    // The order of the map is that of the last use. It is kept only while the map is more than half full.
    if (value !== undefined && this.#entries.size * 2 > this.limit) {
      this.#entries.delete(key);
      this.#entries.set(key, value);
    }
    return value;
  }

  /** @returns the value that made room; undefined when none had to */
  set(key: K, value: V): V | undefined {
    let removed: V | undefined;
    if (this.#entries.size >= this.limit && !this.#entries.has(key)) {
      const [oldest] = this.#entries;
      if (oldest) {
        this.#entries.delete(oldest[0]);
        removed = oldest[1];
      }
    }
    this.#entries.set(key, value);
    return removed;
  }

  delete(key: K): void {
    this.#entries.delete(key);
  }

  clear(): void {
    this.#entries.clear();
  }

  /** The one that was set or, in a map that is more than half full, used longest ago comes first. */
  entries(): MapIterator<[K, V]> {
    return this.#entries.entries();
  }

  values(): MapIterator<V> {
    return this.#entries.values();
  }
}
