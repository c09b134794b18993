/** How many requests run at each provider at a time. */
export class ProviderLoad {
  readonly #running = new Map<string, number>();

  constructor(
    private readonly cap: number,
    private readonly violations: string[],
  ) {}

  async run<T>(provider: string, act: () => Promise<T>): Promise<T> {
    if (this.#count(provider, 1) > this.cap) this.violations.push(`I7: ${provider} above its cap`);
    try {
      return await act();
    } finally {
      this.#count(provider, -1);
    }
  }

  #count(provider: string, by: number): number {
    const running = (this.#running.get(provider) ?? 0) + by;
    this.#running.set(provider, running);
    return running;
  }
}
