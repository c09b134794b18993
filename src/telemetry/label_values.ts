/** Stands for every value beyond the bound. */
export const otherValue = "other";

/** Keeps the number of distinct values of a label bounded: the first `maxValues` are kept, later ones become `other`. */
export class LabelValues {
  readonly #seen: Set<string>;

  constructor(
    private readonly maxValues: number,
    known: Iterable<string> = [],
  ) {
    this.#seen = new Set(known);
  }

  bound(value: string): string {
    if (this.#seen.has(value)) return value;
    if (this.#seen.size >= this.maxValues) return otherValue;
    this.#seen.add(value);
    return value;
  }
}
