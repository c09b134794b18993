/**
 * At most one call per key at a time: a caller that arrives while one is under way gets its result. A call is
 * forgotten as soon as it settles.
 */
export class SingleFlight<K, V> {
  readonly #flights = new Map<K, Promise<V>>();

  run(key: K, call: () => Promise<V>): Promise<V> {
    const under = this.#flights.get(key);
    if (under !== undefined) return under;
    const flight = call().finally(() => this.#flights.delete(key));
    this.#flights.set(key, flight);
    return flight;
  }

  has(key: K): boolean {
    return this.#flights.has(key);
  }

  get size(): number {
    return this.#flights.size;
  }

  /** Resolves when everything under way now has settled. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#flights.values());
  }
}
