/** A map of bounded size that several owners share: none of them takes the place of another that has less. */
export class FairMap<K, V> {
  /** The one used longest ago comes first. */
  readonly #owners = new Map<string, Map<K, V>>();
  #size = 0;

  /** @param limits at least 1 each */
  constructor(private readonly limits: { readonly ofOne: number; readonly ofAll: number }) {}

  get size(): number {
    return this.#size;
  }

  get(owner: string, key: K): V | undefined {
    const entries = this.#owners.get(owner);
    const value = entries?.get(key);
    if (value !== undefined) entries?.delete(key);
    if (value !== undefined) entries?.set(key, value);
    return value;
  }

  /** @returns the value that made room: of the owner itself, if it has its part, and else of the one that has the most */
  set(owner: string, key: K, value: V): V | undefined {
    const own = this.#owners.get(owner);
    if (own?.has(key)) return void own.set(key, value);
    let removed: V | undefined;
    if (own && own.size >= this.limits.ofOne) removed = this.#removeFirst(owner, own);
    else if (this.#size >= this.limits.ofAll) removed = this.#removeFirst(...this.#largest(owner));
    const entries = this.#owners.get(owner) ?? new Map<K, V>();
    this.#owners.set(owner, entries.set(key, value));
    this.#size++;
    return removed;
  }

  delete(owner: string, key: K): void {
    const entries = this.#owners.get(owner);
    if (!entries?.delete(key)) return;
    this.#size--;
    if (entries.size === 0) this.#owners.delete(owner);
  }

  keysOf(owner: string): readonly K[] {
    return [...(this.#owners.get(owner)?.keys() ?? [])];
  }

  *values(): Generator<V> {
    for (const entries of this.#owners.values()) yield* entries.values();
  }

  #removeFirst(owner: string, entries: Map<K, V>): V | undefined {
    for (const [key, value] of entries) {
      this.delete(owner, key);
      return value;
    }
    return undefined;
  }

  /** The owner itself where others have no more. */
  #largest(owner: string): [string, Map<K, V>] {
    let found: [string, Map<K, V>] = [owner, this.#owners.get(owner) ?? new Map()];
    for (const each of this.#owners) if (each[1].size > found[1].size) found = each;
    return found;
  }
}
