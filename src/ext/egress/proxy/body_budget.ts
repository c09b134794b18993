/** Bytes of request bodies that are held at a time, by one caller and by all together. */
export class BodyBudget {
  #held = 0;

  /** @param all that a caller's part is taken from as well */
  constructor(
    private readonly maxBytes: number,
    private readonly all?: BodyBudget,
  ) {}

  /** @returns whether there was room; nothing is taken otherwise */
  take(bytes: number): boolean {
    if (this.#held + bytes > this.maxBytes || this.all?.take(bytes) === false) return false;
    this.#held += bytes;
    return true;
  }

  giveBack(bytes: number): void {
    this.#held -= bytes;
    this.all?.giveBack(bytes);
  }
}

/** Of one caller: four of the longest bodies. */
export const maxHeldByCaller = 32 * 1024 * 1024;
/** Of all callers of one daemon. */
export const maxHeldByAll = 96 * 1024 * 1024;
