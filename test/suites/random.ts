/** Draws that a seed and the number of a case decide: each case can be run again alone. */
export class Random {
  #state: number;

  constructor(seed: number, index: number) {
    this.#state = (Math.imul(seed | 0, 0x9e3779b1) ^ Math.imul(index + 1, 0x85ebca6b)) >>> 0;
    for (let round = 0; round < 4; round++) this.next();
  }

  /** 32 bits; mulberry32. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  }

  /** From 0 to `below - 1`. */
  below(below: number): number {
    return this.next() % below;
  }

  /** True once in `outOf`. */
  once(outOf: number): boolean {
    return this.below(outOf) === 0;
  }

  pick<T>(items: readonly T[]): T {
    if (items.length === 0) throw new RangeError("nothing to pick from");
    return items[this.below(items.length)] as T;
  }

  list<T>(least: number, most: number, draw: () => T): T[] {
    return Array.from({ length: least + this.below(most - least + 1) }, draw);
  }

  bytes(length: number): Buffer {
    return Buffer.from(Array.from({ length }, () => this.below(256)));
  }

  text(alphabet: string, least: number, most: number): string {
    const letters = [...alphabet];
    return this.list(least, most, () => this.pick(letters)).join("");
  }
}

const oddities = [
  ..."\u0000\t\n\r \\/@:?#[]%&=;.,'\"<>{}|^`~+-_*!$()0aZ",
  "\u00a0", "\u200b", "\u202e", "\u2028", "\ufeff", "\ufffd", "\ud800", "\u3002", "\uff0e", "\uff0f", "\uff20", "\u2044", "\u00df",
  "\u0130", "\u017f", "\u{1f600}", "%00", "%0d%0a", "%2e", "%2f", "%40", "%5c", "%ff", "//", "..", "__proto__", "\r\n",
]; // biome-ignore format: a table

/** One to four changes of a text: what is odd put in, taken out, doubled, moved, in another case, or percent-encoded. */
export function mutateText(random: Random, text: string): string {
  let changed = text;
  for (let left = 1 + random.below(4); left > 0; left--) {
    const at = random.below(changed.length + 1);
    const end = Math.min(changed.length, at + 1 + random.below(4));
    const part = changed.slice(at, end);
    const put = (middle: string): void => {
      changed = changed.slice(0, at) + middle + changed.slice(end);
    };
    switch (random.below(7)) {
      case 0:
        changed = changed.slice(0, at) + random.pick(oddities) + changed.slice(at);
        break;
      case 1:
        put("");
        break;
      case 2:
        put(part + part);
        break;
      case 3:
        put(part === part.toUpperCase() ? part.toLowerCase() : part.toUpperCase());
        break;
      case 4:
        put([...Buffer.from(part)].map((byte) => `%${byte.toString(16).padStart(2, "0")}`).join(""));
        break;
      case 5:
        put(random.pick(oddities));
        break;
      default:
        put(
          [...part]
            .map((letter) => String.fromCharCode(letter.charCodeAt(0) ^ (1 << random.below(8))))
            .join(""),
        );
    }
  }
  return changed;
}
