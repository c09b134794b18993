/** One critical section per key, entered in order of arrival. Keys without a holder cost nothing. */
export class KeyedMutex<K> {
  readonly #tails = new Map<K, Promise<void>>();

  async run<T>(key: K, section: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(key) ?? Promise.resolve();
    let release!: () => void;
    const tail = new Promise<void>((resolve) => {
      release = resolve;
    });
    const chained = before.then(() => tail);
    this.#tails.set(key, chained);
    await before;
    try {
      return await section();
    } finally {
      release();
      if (this.#tails.get(key) === chained) this.#tails.delete(key);
    }
  }

  get size(): number {
    return this.#tails.size;
  }
}
