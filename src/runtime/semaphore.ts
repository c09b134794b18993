/** Admits at most `limit` holders at a time, in order of arrival. */
export class Semaphore {
  readonly #waiting: (() => void)[] = [];
  #held = 0;

  /** @param limit at least 1 */
  constructor(readonly limit: number) {}

  get held(): number {
    return this.#held;
  }

  get idle(): boolean {
    return this.#held === 0 && this.#waiting.length === 0;
  }

  /** Takes a place if one is free. */
  tryAcquire(): boolean {
    if (this.#held >= this.limit) return false;
    this.#held++;
    return true;
  }

  async acquire(): Promise<void> {
    if (this.tryAcquire()) return;
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  release(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#held--;
  }
}
