/**
 * Tries again and again until `check` does not throw.
 *
 * @throws Error with the last reason, when it is not so in time
 */
export async function eventually<T>(what: string, maxSeconds: number, check: () => Promise<T>): Promise<T> {
  const endMs = Date.now() + maxSeconds * 1000;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (error instanceof Final || Date.now() > endMs) {
        throw new Error(`not within ${maxSeconds} s: ${what}: ${(error as Error).message}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
  }
}

/** What no further try will change. */
export class Final extends Error {}
