/**
 * Starts `work` and settles as it does, or rejects with the signal's reason as soon as it aborts.
 *
 * Every call has promises of its own: a race against one promise per stream would keep a reaction for each message sent.
 */
export function unlessAborted<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason);
      return;
    }
    const abort = (): void => reject(signal.reason);
    const forget = (): void => signal.removeEventListener("abort", abort);
    signal.addEventListener("abort", abort, { once: true });
    work().finally(forget).then(resolve, reject);
  });
}
