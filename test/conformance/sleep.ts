/** What a test case wants: these servers run on the machine's clock, as their clients do. */
export function sleep(ms = 0): Promise<void> {
  return ms === 0 ? Promise.resolve() : new Promise((resolve) => setTimeout(resolve, ms));
}
